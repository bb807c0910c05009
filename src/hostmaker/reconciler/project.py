"""Projects the records onto the world: the instance set a node should run, and the routing table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, Member, MemberPhase
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.permissions import role_name
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, TableChange, VariantRoute

NOT_INVOKABLE = (EndpointStatus.CREATING, EndpointStatus.FAILED, EndpointStatus.DELETING)
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
ALL, NONE = Fraction(1), Fraction(0)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What counts where a config names no limit."""

    download: timedelta = timedelta(seconds=1200)
    startup: timedelta = timedelta(seconds=480)


def wanted_instances(
    endpoints: Iterable[Endpoint], timeouts: Timeouts, before: Iterable[InstanceSpec] = ()
) -> tuple[InstanceSpec, ...]:
    """Give every instance that should run, in a stable order.

    `before` is what was given last: of an instance, only its image can change.
    """
    known = {spec.instance_id: spec for spec in before}
    specs = []
    for endpoint in endpoints:
        for member in endpoint.recorded.members:
            if member.phase is not MemberPhase.STOPPED:
                spec = known.get(member.instance_id)
                if spec is None or spec.resolved_image != member.image:
                    spec = _spec(endpoint, member, timeouts)
                specs.append(spec)
    return tuple(sorted(specs, key=lambda spec: spec.instance_id))


def routes(endpoints: Iterable[Endpoint]) -> tuple[EndpointRoute, ...]:
    """Give the route of every endpoint that can be invoked, sorted by key."""
    invokable = [e for e in endpoints if e.recorded.status not in NOT_INVOKABLE and not e.desired.deleting]
    return tuple(sorted((route(endpoint) for endpoint in invokable), key=lambda each: each.key))


def newest_awaited(endpoints: Iterable[Endpoint]) -> int:
    """Give the newest table version whose acknowledgement is waited for, also where the table itself did not change.

    An instance of blue that has no traffic any more is not in the table, and yet a gateway may have sent to it before.
    """
    versions = [0]
    for endpoint in endpoints:
        versions += [m.withdrawn_at_version or 0 for m in endpoint.recorded.members]
        if endpoint.recorded.deployment is not None:
            versions.append(endpoint.recorded.deployment.version)
    return max(versions)


def table_change(
    base: int, version: int, before: tuple[EndpointRoute, ...], after: tuple[EndpointRoute, ...]
) -> TableChange:
    """Give what leads from the routes `before` to those `after`."""
    old = {each.key: each for each in before}
    kept = {each.key for each in after}
    changed = tuple(each for each in after if old.get(each.key) != each)
    return TableChange(base, version, changed, tuple(key for key in old if key not in kept))


def route(endpoint: Endpoint) -> EndpointRoute:
    """Give the route of one endpoint: each variant once, or, while a deployment shifts its traffic, once a fleet."""
    recorded = endpoint.recorded
    deployment = recorded.deployment
    if deployment is None:
        variants = tuple(_part(endpoint, recorded.live, v, ALL) for v in recorded.live_fleet.variants)
        return EndpointRoute(endpoint.desired.key, variants)
    names = dict.fromkeys((*(v.name for v in recorded.live_fleet.variants), *deployment.plan.sizes))
    parts = [part for name in names for part in _parts(endpoint, name)]
    return EndpointRoute(endpoint.desired.key, tuple(parts))


def green_share(endpoint: Endpoint, variant: str) -> Fraction:
    """Give the part of a variant's traffic that green of the deployment under way has, in [0, 1].

    Of a variant that green has not, the part that has left: such ones leave all at once.
    """
    deployment = endpoint.recorded.deployment
    assert deployment is not None
    if variant in deployment.plan.sizes:
        return Fraction(deployment.active.get(variant, 0), deployment.plan.sizes[variant])
    return ALL if any(deployment.active.values()) else NONE


def _parts(endpoint: Endpoint, name: str) -> list[VariantRoute]:
    """Give the routes of one variant in a deployment, those of blue first; such without instances only if all are."""
    recorded = endpoint.recorded
    deployment = recorded.deployment
    assert deployment is not None
    share = green_share(endpoint, name)
    parts = _blue_parts(endpoint, name, share)
    green = recorded.fleet(deployment.number).variant(name)
    if green is not None:
        parts.append(_part(endpoint, deployment.number, green, share))
    weight = sum(part.weight * float(part.share) for part in parts)  # of the variant, whichever config serves it
    serving = [part for part in parts if part.instances] or parts[:1]
    whole = sum((part.share for part in serving), NONE)
    return [
        replace(part, weight=weight, share=part.share / whole if whole else Fraction(1, len(serving)))
        for part in serving
    ]


def _blue_parts(endpoint: Endpoint, name: str, green: Fraction) -> list[VariantRoute]:
    """Share what is left of the traffic among blue's fleets by their instances (there is one, as a rule).

    As much of blue as green has taken over gets no more traffic; it goes on running, ready to take it back.
    """
    recorded = endpoint.recorded
    deployment = recorded.deployment
    assert deployment is not None
    size = deployment.blue_sizes.get(name, 0)
    room = max(size - int(green * size), 1) if green < 1 else size
    parts = []
    for fleet in deployment.blue:
        snapshot = recorded.fleets.get(str(fleet))
        wanted = snapshot.variant(name) if snapshot is not None else None
        if wanted is not None:
            part = _part(endpoint, fleet, wanted, NONE, room)
            parts.append(part)
            room -= len(part.instances)
    total = sum(len(part.instances) for part in parts)
    return [
        replace(part, share=(1 - green) * (Fraction(len(part.instances), total) if total else Fraction(1, len(parts))))
        for part in parts
    ]


def _part(
    endpoint: Endpoint, fleet: int, wanted: DesiredVariant, share: Fraction, most: int | None = None
) -> VariantRoute:
    serving = [
        member
        for member in endpoint.recorded.members
        if member.fleet == fleet and member.variant == wanted.name and member.phase is MemberPhase.IN_SERVICE
    ]
    snapshot = endpoint.recorded.fleet(fleet)
    explainer = (snapshot.explainer.digest if snapshot.explainer is not None else None) or ""
    return VariantRoute(
        wanted.name,
        wanted.share_weight,
        wanted.variant.routing_strategy,
        tuple(InstanceRoute(m.instance_id, m.slot, m.socket or "") for m in serving[:most]),
        snapshot.config_name,
        share,
        explainer,
        _workers(wanted) if explainer else 0,
    )


def _workers(wanted: DesiredVariant) -> int:
    """Give how many requests an instance does at once, as its model is told; 0 where it is not."""
    told = wanted.model.container.environment.get(WORKERS, "")
    return int(told) if told.isdigit() and len(told) < 5 else 0


def _spec(endpoint: Endpoint, member: Member, timeouts: Timeouts) -> InstanceSpec:
    wanted = endpoint.recorded.fleet(member.fleet).variant(member.variant)
    assert wanted is not None
    return InstanceSpec(
        instance_id=member.instance_id,
        region=endpoint.desired.region,
        endpoint=endpoint.desired.name,
        variant=member.variant,
        container=wanted.model.container,
        instance_type=wanted.variant.instance_type,
        download_timeout=wanted.variant.download_timeout or timeouts.download,
        startup_timeout=wanted.variant.startup_timeout or timeouts.startup,
        resolved_image=member.image,
        role=role_name(str(wanted.model.sent.get("ExecutionRoleArn") or "")),
    )
