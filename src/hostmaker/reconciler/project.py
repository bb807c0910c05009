"""Projects the records onto the world: the instance set a node should run, and the routing table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, Member, MemberPhase
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, TableChange, VariantRoute

INVOKABLE = (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What counts where a config names no limit."""

    download: timedelta = timedelta(seconds=1200)
    startup: timedelta = timedelta(seconds=480)


def wanted_instances(endpoints: Iterable[Endpoint], timeouts: Timeouts) -> tuple[InstanceSpec, ...]:
    """Give every instance that should run, in a stable order."""
    specs = [
        _spec(endpoint, member, timeouts)
        for endpoint in endpoints
        for member in endpoint.recorded.members
        if member.phase is not MemberPhase.STOPPED
    ]
    return tuple(sorted(specs, key=lambda spec: spec.instance_id))


def routes(endpoints: Iterable[Endpoint]) -> tuple[EndpointRoute, ...]:
    """Give the route of every endpoint that can be invoked, sorted by key."""
    invokable = [e for e in endpoints if e.recorded.status in INVOKABLE and not e.desired.deleting]
    return tuple(sorted((_route(endpoint) for endpoint in invokable), key=lambda route: route.key))


def table_change(
    base: int, version: int, before: tuple[EndpointRoute, ...], after: tuple[EndpointRoute, ...]
) -> TableChange:
    """Give what leads from the routes `before` to those `after`."""
    old = {route.key: route for route in before}
    kept = {route.key for route in after}
    changed = tuple(route for route in after if old.get(route.key) != route)
    return TableChange(base, version, changed, tuple(key for key in old if key not in kept))


def _spec(endpoint: Endpoint, member: Member, timeouts: Timeouts) -> InstanceSpec:
    wanted = _variant(endpoint, member.variant)
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
    )


def _route(endpoint: Endpoint) -> EndpointRoute:
    variants = tuple(
        VariantRoute(
            wanted.variant.name,
            wanted.variant.initial_weight,
            wanted.variant.routing_strategy,
            tuple(
                InstanceRoute(member.instance_id, member.slot, member.socket or "")
                for member in endpoint.recorded.members
                if member.variant == wanted.variant.name and member.phase is MemberPhase.IN_SERVICE
            ),
        )
        for wanted in endpoint.desired.variants
    )
    return EndpointRoute(endpoint.desired.key, variants)


def _variant(endpoint: Endpoint, name: str) -> DesiredVariant:
    return next(wanted for wanted in endpoint.desired.variants if wanted.variant.name == name)
