"""UpdateEndpoint and UpdateEndpointWeightsAndCapacities: they keep what is desired, and answer at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from hostmaker.control.capacity import check_capacity
from hostmaker.control.endpoint_configs import find_config
from hostmaker.control.endpoints import (
    IN_PROGRESS,
    declared_members,
    find_endpoint,
    find_explainer,
    in_progress,
    take_snapshot,
    warn,
)
from hostmaker.control.explainers import Explainer, read_explainer
from hostmaker.control.guardrails import check_guardrails, read_guardrails
from hostmaker.control.model_data import missing_data
from hostmaker.control.services import Services
from hostmaker.domain.endpoint import Desired, DesiredVariant, Endpoint, EndpointStatus, RequestKind, Snapshot
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.errors import ApiError, ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.planner.deployment import sizes_before
from hostmaker.planner.preview import Preview, preview
from hostmaker.ports import CallContext, ObjectsUnavailableError, Output
from hostmaker.wire.members import check_members

UPDATABLE = (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE, EndpointStatus.UPDATE_ROLLBACK_FAILED)
COUNT, WEIGHT, CAPTURE = "DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"


class Updates:
    """The operations that change an endpoint."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def update(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """UpdateEndpoint."""
        declared = check_members("UpdateEndpoint", request, self._services.strict)
        _check_status(find_endpoint(self._services, ctx, str(request["EndpointName"])))
        config = find_config(self._services, ctx, str(request["EndpointConfigName"]))
        explainer = await find_explainer(self._services, config)
        # Nothing is waited for from here on: what is checked still is so when it is written.
        endpoint = find_endpoint(self._services, ctx, str(request["EndpointName"]))
        _check_status(endpoint)
        changed = self._changed(ctx, endpoint, request, config)
        _check_explainer(explainer)
        self._check_alarms(ctx, changed.guardrails.alarms)
        self._check_capacity(endpoint, self._preview(ctx, endpoint, changed).peak)
        if explainer is not None:
            changed = replace(changed, target=replace(changed.target, explainer=explainer.keep(self._services.specs)))
        self._put(endpoint, changed)
        warn(self._services, ctx.region, endpoint.desired.name, (*declared, *declared_members(changed.target)))
        return {"EndpointArn": endpoint.desired.arn}

    async def plan(self, ctx: CallContext, request: dict[str, Json]) -> Preview:
        """Show what UpdateEndpoint would do with the same request, and what would stop it; nothing is done.

        Raises ValidationException for what UpdateEndpoint refuses, whatever the state of the endpoint.
        """
        check_members("UpdateEndpoint", request, self._services.strict)
        endpoint = find_endpoint(self._services, ctx, str(request["EndpointName"]))
        config = find_config(self._services, ctx, str(request["EndpointConfigName"]))
        changed = self._changed(ctx, endpoint, request, config)
        shown = self._preview(ctx, endpoint, changed)
        stops = []
        try:
            _check_status(endpoint)
            self._check_capacity(endpoint, shown.peak)
        except ApiError as error:
            stops.append(error.message)
        missing, unknown = await missing_data(self._services.objects, changed.target)
        try:
            _check_explainer(await read_explainer(self._services.objects, config.sent))
        except ObjectsUnavailableError as error:
            unknown.append(f"Whether the SHAP baseline can be read is not known: {error}")
        name, notes = changed.target.config_name, [*shown.notes, *unknown]
        if name == endpoint.recorded.live_fleet.config_name:
            notes.append(f'"{name}" is in use now: instances are replaced by others like them.')
        return replace(shown, stops=(*stops, *missing, *shown.stops), notes=tuple(notes))

    def _preview(self, ctx: CallContext, endpoint: Endpoint, changed: Desired) -> Preview:
        before = sizes_before(endpoint.recorded)
        after = {variant.name: variant.instances for variant in changed.target.variants}
        readings = self._services.alarms.readings(ctx.region, changed.guardrails.alarms)
        return preview(changed.guardrails, before, after, readings)

    def _check_capacity(self, endpoint: Endpoint, instances: int) -> None:
        check_capacity(self._services.store.endpoints(), endpoint.desired.name, instances)

    def _changed(
        self, ctx: CallContext, endpoint: Endpoint, request: dict[str, Json], config: EndpointConfig
    ) -> Desired:
        """Give what an UpdateEndpoint to a config asks for; raises ValidationException for what cannot be."""
        live = endpoint.recorded.live_fleet
        find_config(self._services, ctx, live.config_name)  # as in the service, an update needs the present one
        target = _retained(request, live, take_snapshot(self._services, ctx, config))
        sent = _deployment_config(request, endpoint.desired)
        before = {variant.name: variant.instances for variant in live.variants}
        after = {variant.name: variant.instances for variant in target.variants}
        return replace(
            endpoint.desired,
            target=target,
            kind=RequestKind.UPDATE,
            guardrails=check_guardrails(read_guardrails(sent), sent or {}, before, after),
            deployment_config=sent,
            order=None,
        )

    def scale(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """UpdateEndpointWeightsAndCapacities: members that are not given are kept."""
        check_members("UpdateEndpointWeightsAndCapacities", request, self._services.strict)
        endpoint = find_endpoint(self._services, ctx, str(request["EndpointName"]))
        _check_status(endpoint)
        if endpoint.recorded.status is EndpointStatus.UPDATE_ROLLBACK_FAILED:
            raise ValidationException(
                f'Cannot update weights and capacities of endpoint "{endpoint.desired.arn}" with status '
                "UpdateRollbackFailed. Use UpdateEndpoint."
            )
        live = endpoint.recorded.live_fleet
        wanted = cast("list[Mapping[str, Json]]", request["DesiredWeightsAndCapacities"])
        variants = _scaled(live, wanted)
        target = replace(live, variants=variants)
        self._check_capacity(endpoint, sum(variant.instances for variant in variants))
        self._put(endpoint, replace(endpoint.desired, target=target, kind=RequestKind.SCALE, order=None))
        return {"EndpointArn": endpoint.desired.arn}

    def _put(self, endpoint: Endpoint, changed: Desired) -> None:
        """Keep a change that is to be begun; the endpoint is Updating from this moment on."""
        desired = replace(changed, generation=changed.generation + 1, number=changed.number + 1)
        now, recorded = self._services.now(), endpoint.recorded
        updating = replace(recorded, status=EndpointStatus.UPDATING, modified=now, failure_reason=None)
        self._services.store.put_desired(desired, updating)
        self._services.wake()

    def _check_alarms(self, ctx: CallContext, names: tuple[str, ...]) -> None:
        known = self._services.alarms.readings(ctx.region, names)
        for name in names:
            if name not in known:
                raise ValidationException(f'Could not find CloudWatch alarm "{name}".')


def _check_explainer(explainer: Explainer | None) -> None:
    """Refuse what would only be rolled back."""
    if explainer is not None and explainer.flaw is not None:
        raise ValidationException(explainer.flaw)


def _check_status(endpoint: Endpoint) -> None:
    status = endpoint.recorded.status
    if status in IN_PROGRESS:
        raise in_progress(endpoint)
    if status not in UPDATABLE:
        raise ValidationException(f'Cannot update endpoint "{endpoint.desired.arn}" with status {status.value}.')


def _deployment_config(request: Mapping[str, Json], desired: Desired) -> dict[str, Json] | None:
    """Give the config of this call; else the last one, if it is to be retained; else none."""
    sent = cast("dict[str, Json] | None", request.get("DeploymentConfig"))
    if sent is not None or not request.get("RetainDeploymentConfig"):
        return sent
    return desired.deployment_config


def _retained(request: Mapping[str, Json], live: Snapshot, target: Snapshot) -> Snapshot:
    """Keep the counts and weights that variants of the same name have now, if they are to be retained."""
    if not request.get("RetainAllVariantProperties"):
        return target
    excluded = cast("list[Mapping[str, Json]]", request.get("ExcludeRetainedVariantProperties") or [])
    left_out = {str(each["VariantPropertyType"]) for each in excluded}
    variants = []
    for variant in target.variants:
        now = live.variant(variant.name)
        if now is not None:
            variant = replace(
                variant,
                count=None if COUNT in left_out else now.instances,
                weight=None if WEIGHT in left_out else now.share_weight,
            )
        variants.append(variant)
    return replace(target, variants=tuple(variants))


def _scaled(live: Snapshot, wanted: list[Mapping[str, Json]]) -> tuple[DesiredVariant, ...]:
    names = [str(each["VariantName"]) for each in wanted]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f'The variant name "{name}" was non-unique within the request.')
    unknown = [name for name in names if live.variant(name) is None]
    if unknown:
        quoted = ", ".join(f'"{name}"' for name in unknown)
        raise ValidationException(
            f'The variant name(s) {quoted} is/are not present within endpoint configuration "{live.config_name}".'
        )
    by_name = dict(zip(names, wanted, strict=True))
    return tuple(_changed(variant, by_name.get(variant.name, {})) for variant in live.variants)


def _changed(variant: DesiredVariant, sent: Mapping[str, Json]) -> DesiredVariant:
    count, weight = sent.get("DesiredInstanceCount"), sent.get("DesiredWeight")
    if count == 0:
        raise ValidationException(
            f'DesiredInstanceCount of variant "{variant.name}" must be at least 1: only asynchronous endpoints and '
            "inference components may have none."
        )
    return replace(
        variant,
        count=count if isinstance(count, int) else variant.count,
        weight=float(weight) if isinstance(weight, int | float) else variant.weight,
    )
