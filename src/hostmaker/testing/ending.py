"""When a simulated world has come to rest, and what it is like then."""

from __future__ import annotations

from collections.abc import Sequence

from hostmaker.domain.endpoint import Endpoint, EndpointStatus, MemberPhase
from hostmaker.planner.groups import groups
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.gateways import FakeGateways


def has_come(endpoints: Sequence[Endpoint], fleet: FakeFleet, gateways: FakeGateways) -> bool:
    """Tell whether nothing is under way that would change an endpoint."""
    return (
        fleet.is_up
        and all(map(_stays, endpoints))
        and all(gateway.table == gateways.file for gateway in gateways.living.values())
        and len(fleet.directories) == sum(len(endpoint.recorded.members) for endpoint in endpoints)
    )


def state(endpoints: Sequence[Endpoint]) -> dict[str, object]:
    """Give what must be the same at the end, whoever has died on the way."""
    return {
        endpoint.desired.name: (
            endpoint.recorded.status.value,
            endpoint.recorded.live_fleet.config_name,
            sorted((member.variant, member.fleet, member.phase.value) for member in endpoint.recorded.members),
            endpoint.recorded.failure_reason,
        )
        for endpoint in endpoints
    }


def _stays(endpoint: Endpoint) -> bool:
    recorded = endpoint.recorded
    if recorded.status is EndpointStatus.FAILED:
        return not recorded.members
    wanted = sum(group.count for group in groups(endpoint))
    return (
        recorded.status in (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATE_ROLLBACK_FAILED)
        and recorded.begun == endpoint.desired.number
        and len(recorded.members) == wanted
        and all(member.phase is MemberPhase.IN_SERVICE for member in recorded.members)
    )
