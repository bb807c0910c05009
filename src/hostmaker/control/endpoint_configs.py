"""CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig, ListEndpointConfigs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from hostmaker.control.explainers import check_explainer
from hostmaker.control.lists import Listing, summaries
from hostmaker.control.services import Services
from hostmaker.control.tags import read_tags
from hostmaker.domain.endpoint_config import EndpointConfig, RoutingStrategy, Variant
from hostmaker.domain.errors import ValidationException
from hostmaker.domain.names import arn
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, NameTakenError, Output
from hostmaker.wire.members import check_members


class EndpointConfigs:
    """The operations on endpoint configs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """CreateEndpointConfig; every model it names must exist."""
        check_members("CreateEndpointConfig", request, self._services.strict)
        tags = read_tags(request.get("Tags"))
        name = str(request["EndpointConfigName"])
        config_arn = arn(ctx.region, ctx.account, "endpoint-config", name)
        taken = f'Cannot create already existing endpoint configuration "{config_arn}".'
        if self._services.store.endpoint_config(ctx.region, name) is not None:
            raise ValidationException(taken)
        variants = read_variants(cast(Sequence[Mapping[str, Json]], request["ProductionVariants"]))
        for variant in variants:
            if self._services.store.model(ctx.region, variant.model_name) is None:
                model_arn = arn(ctx.region, ctx.account, "model", variant.model_name)
                raise ValidationException(f'Could not find model "{model_arn}".')
        check_explainer(request)
        sent = {key: value for key, value in request.items() if key != "Tags"}
        config = EndpointConfig(ctx.region, name, config_arn, variants, self._services.now(), sent)
        try:
            self._services.store.add_endpoint_config(config, tags)
        except NameTakenError:
            raise ValidationException(taken) from None
        return {"EndpointConfigArn": config_arn}

    def describe(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeEndpointConfig: what was sent, with the initial weight filled in."""
        config = self._find(ctx, str(request["EndpointConfigName"]))
        variants = [
            {"InitialVariantWeight": 1.0, **variant}
            for variant in cast(Sequence[Mapping[str, Json]], config.sent["ProductionVariants"])
        ]
        filled = {"ProductionVariants": variants, "EndpointConfigArn": config.arn, "CreationTime": config.created}
        return {**config.sent, **filled}

    def delete(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteEndpointConfig: also while an endpoint uses it."""
        config = self._find(ctx, str(request["EndpointConfigName"]))
        self._services.store.delete_endpoint_config(ctx.region, config.name)
        return None

    def list(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """ListEndpointConfigs."""
        rows = [
            Listing(config.name, config.created, {"EndpointConfigName": config.name, "EndpointConfigArn": config.arn})
            for config in self._services.store.endpoint_configs(ctx.region)
        ]
        return summaries("EndpointConfigs", rows, request)

    def _find(self, ctx: CallContext, name: str) -> EndpointConfig:
        return find_config(self._services, ctx, name)


def find_config(services: Services, ctx: CallContext, name: str) -> EndpointConfig:
    """Give the config of that name; raises ValidationException."""
    config = services.store.endpoint_config(ctx.region, name)
    if config is None:
        config_arn = arn(ctx.region, ctx.account, "endpoint-config", name)
        raise ValidationException(f'Could not find endpoint configuration "{config_arn}".')
    return config


def read_variants(sent: Sequence[Mapping[str, Json]]) -> tuple[Variant, ...]:
    """Read the production variants; raises ValidationException for what the shapes cannot say."""
    variants = tuple(_variant(item) for item in sent)
    names = [variant.name for variant in variants]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f'The variant name "{name}" was non-unique within the request.')
    return variants


def _variant(sent: Mapping[str, Json]) -> Variant:
    name = str(sent["VariantName"])
    count, instance_type = sent.get("InitialInstanceCount"), sent.get("InstanceType")
    if not instance_type:
        raise ValidationException(f'InstanceType is required for production variant "{name}".')
    if not isinstance(count, int):
        raise ValidationException(f'InitialInstanceCount is required for production variant "{name}".')
    routing = cast(Mapping[str, str], sent.get("RoutingConfig") or {})
    weight = sent.get("InitialVariantWeight", 1.0)
    assert isinstance(weight, int | float)
    return Variant(
        name=name,
        model_name=str(sent["ModelName"]),
        instance_type=str(instance_type),
        initial_instance_count=count,
        initial_weight=float(weight),
        routing_strategy=RoutingStrategy(routing.get("RoutingStrategy", "RANDOM")),
        download_timeout=_seconds(sent.get("ModelDataDownloadTimeoutInSeconds")),
        startup_timeout=_seconds(sent.get("ContainerStartupHealthCheckTimeoutInSeconds")),
    )


def _seconds(value: Json) -> timedelta | None:
    return timedelta(seconds=value) if isinstance(value, int) else None
