"""A client of a simulated world, which asks again when nobody answers, as AWS's clients do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from hostmaker.domain.errors import ApiError
from hostmaker.kit.json_value import Json
from hostmaker.testing.control import ACCOUNT

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service"


class Ask(Protocol):
    """Makes a call until it is answered; raises ApiError."""

    def __call__(self, operation: str, **request: Json) -> dict[str, object]: ...


def create_endpoint(ask: Ask, name: str, instances: int, weights: Mapping[str, float], container: Json) -> None:
    """Create model, config and endpoint, each of that name."""
    listed: list[Json] = [
        {
            "VariantName": variant,
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": instances,
            "InitialVariantWeight": weight,
        }
        for variant, weight in weights.items()
    ]
    _create(ask, "CreateModel", ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    _create(ask, "CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=listed)
    _create(ask, "CreateEndpoint", EndpointName=name, EndpointConfigName=name)


def delete_endpoint(ask: Ask, name: str) -> None:
    """Delete an endpoint, its config and its model."""
    for operation, key in (
        ("DeleteEndpoint", "EndpointName"),
        ("DeleteEndpointConfig", "EndpointConfigName"),
        ("DeleteModel", "ModelName"),
    ):
        with suppress(ApiError):  # an earlier try was carried out, and its answer lost
            ask(operation, **{key: name})


def _create(ask: Ask, operation: str, **request: Json) -> None:
    try:
        ask(operation, **request)
    except ApiError as error:
        if "already exist" not in error.message:  # an earlier try was carried out, and its answer lost
            raise
