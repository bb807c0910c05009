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
    create_config(ask, name, instances, weights, container)
    _create(ask, "CreateEndpoint", EndpointName=name, EndpointConfigName=name)


def update_endpoint(
    ask: Ask,
    name: str,
    config: str,
    instances: int,
    weights: Mapping[str, float],
    container: Json,
    deployment: Mapping[str, Json] | None,
) -> None:
    """Create model and config, each called `config`, and update the endpoint to it."""
    create_config(ask, config, instances, weights, container)
    request: dict[str, Json] = {"DeploymentConfig": dict(deployment)} if deployment is not None else {}
    change(ask, "UpdateEndpoint", name, {"EndpointName": name, "EndpointConfigName": config, **request})


def change(ask: Ask, operation: str, name: str, request: Mapping[str, Json]) -> None:
    """Change an endpoint that is at rest: that it is in progress then means that an earlier try was carried out."""
    was_at_rest = ask("DescribeEndpoint", EndpointName=name)["EndpointStatus"] != "Updating"
    try:
        ask(operation, **request)
    except ApiError as error:
        if "in-progress" not in error.message or not was_at_rest:
            raise


def create_config(ask: Ask, name: str, instances: int, weights: Mapping[str, float], container: Json) -> None:
    """Create model and config of that name."""
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
