"""CreateEndpoint, DescribeEndpoint, DeleteEndpoint, ListEndpoints.

A creation keeps what is desired, with config and models as they are now, and answers; the reconciler does the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from hostmaker.control.capacity import check_capacity
from hostmaker.control.describe import describe_endpoint, unheard_since
from hostmaker.control.endpoint_configs import find_config
from hostmaker.control.explainers import Explainer, read_explainer
from hostmaker.control.guardrails import check_guardrails, read_guardrails
from hostmaker.control.lists import Listing, summaries
from hostmaker.control.services import Services
from hostmaker.control.tags import read_tags
from hostmaker.domain.endpoint import Desired, DesiredVariant, Endpoint, EndpointStatus, Recorded, Snapshot
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.errors import InternalFailure, ValidationException
from hostmaker.domain.names import arn
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, NameTakenError, ObjectsUnavailableError, Output
from hostmaker.wire.members import check_members

log = logging.getLogger("hostmaker.control")
IN_PROGRESS = (
    EndpointStatus.CREATING,
    EndpointStatus.UPDATING,
    EndpointStatus.ROLLING_BACK,
    EndpointStatus.DELETING,
)


class Endpoints:
    """The operations on endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """CreateEndpoint."""
        declared = check_members("CreateEndpoint", request, self._services.strict)
        tags = read_tags(request.get("Tags"))
        name = str(request["EndpointName"])
        endpoint_arn = arn(ctx.region, ctx.account, "endpoint", name)
        taken = f'Cannot create already existing endpoint "{endpoint_arn}".'
        if self._services.store.endpoint(ctx.region, name) is not None:
            raise ValidationException(taken)
        config = find_config(self._services, ctx, str(request["EndpointConfigName"]))
        explainer = await find_explainer(self._services, config)
        # Nothing is waited for from here on: what is checked still is so when it is written.
        target = take_snapshot(self._services, ctx, config)
        declared += declared_members(target)
        sent = cast("dict[str, Json] | None", request.get("DeploymentConfig"))
        sizes = {variant.name: variant.instances for variant in target.variants}
        guardrails = check_guardrails(read_guardrails(sent), sent or {}, sizes, sizes)
        check_capacity(self._services.store.endpoints(), name, sum(sizes.values()))
        if explainer is not None:
            target = replace(target, explainer=explainer.keep(self._services.specs))
        now = self._services.now()
        desired = Desired(
            uid=self._services.new_id(),
            region=ctx.region,
            name=name,
            arn=endpoint_arn,
            target=target,
            created=now,
            guardrails=guardrails,
            deployment_config=sent,
        )
        recorded = Recorded(desired.uid, EndpointStatus.CREATING, now, fleets={"0": target})
        try:
            self._services.store.add_endpoint(desired, recorded, tags)
        except NameTakenError:
            raise ValidationException(taken) from None
        self._services.wake()
        warn(self._services, ctx.region, name, declared)
        return {"EndpointArn": endpoint_arn}

    def describe(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeEndpoint."""
        endpoint = find_endpoint(self._services, ctx, str(request["EndpointName"]))
        node = self._services.facts()
        return describe_endpoint(endpoint, node, unheard_since(node, self._services.now()))

    def delete(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteEndpoint: invocations are refused from now on; instances finish what is inside them."""
        endpoint = find_endpoint(self._services, ctx, str(request["EndpointName"]))
        status = endpoint.recorded.status
        may = self._services.allow_delete_in_progress and status is not EndpointStatus.DELETING
        if status in IN_PROGRESS and not may:
            raise in_progress(endpoint)
        desired = replace(endpoint.desired, deleting=True, generation=endpoint.desired.generation + 1)
        now = self._services.now()
        recorded = replace(endpoint.recorded, status=EndpointStatus.DELETING, modified=now, failure_reason=None)
        self._services.store.put_desired(desired, recorded)
        self._services.wake()
        return None

    def list(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """ListEndpoints: in every status."""
        rows = [
            Listing(
                name=endpoint.desired.name,
                created=endpoint.desired.created,
                modified=endpoint.recorded.modified,
                status=endpoint.recorded.status.value,
                summary={
                    "EndpointName": endpoint.desired.name,
                    "EndpointArn": endpoint.desired.arn,
                    "EndpointStatus": endpoint.recorded.status.value,
                },
            )
            for endpoint in self._services.store.endpoints(ctx.region)
        ]
        return summaries("Endpoints", rows, request)


def warn(services: Services, region: str, name: str, declared: tuple[str, ...]) -> None:
    """Tell what is without effect; the endpoint is there already, so a log that cannot be written is no error."""
    try:
        services.warn(region, name, tuple(dict.fromkeys(declared)))
    except OSError as error:
        log.warning("endpoint %s: its log cannot be written: %s", name, error)


def find_endpoint(services: Services, ctx: CallContext, name: str) -> Endpoint:
    """Give the endpoint of that name; raises ValidationException."""
    endpoint = services.store.endpoint(ctx.region, name)
    if endpoint is None:
        endpoint_arn = arn(ctx.region, ctx.account, "endpoint", name)
        raise ValidationException(f'Could not find endpoint "{endpoint_arn}".')
    return endpoint


def in_progress(endpoint: Endpoint) -> ValidationException:
    """Give the refusal of a change while another one is under way."""
    return ValidationException(f'Cannot update in-progress endpoint "{endpoint.desired.arn}".')


async def find_explainer(services: Services, config: EndpointConfig) -> Explainer | None:
    """Read what explains endpoints of a config; raises InternalFailure when the object store does not answer."""
    try:
        return await read_explainer(services.objects, config.sent)
    except ObjectsUnavailableError as error:
        raise InternalFailure(f"Request to service failed. {error}") from error


def take_snapshot(services: Services, ctx: CallContext, config: EndpointConfig) -> Snapshot:
    """Give config and models as they are now; raises ValidationException."""
    found = []
    for variant in config.variants:
        model = services.store.model(ctx.region, variant.model_name)
        if model is None:
            model_arn = arn(ctx.region, ctx.account, "model", variant.model_name)
            raise ValidationException(f'Could not find model "{model_arn}".')
        found.append(DesiredVariant(variant, model))
    return Snapshot(config.name, tuple(found), config.sent)


def declared_members(snapshot: Snapshot) -> tuple[str, ...]:
    """Name the members of config and models that are stored and have no effect here."""
    models = {wanted.model.name: wanted.model for wanted in snapshot.variants}
    of_models = (member for model in models.values() for member in check_members("CreateModel", model.sent))
    return (*check_members("CreateEndpointConfig", snapshot.sent), *of_models)


def list_monitoring_schedules(ctx: CallContext, request: Mapping[str, Json]) -> Output:
    """ListMonitoringSchedules: there are none; SDKs ask before they delete an endpoint."""
    return {"MonitoringScheduleSummaries": []}
