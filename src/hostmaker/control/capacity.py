"""How many instances a server can have: each has a column of its own among the counts of requests inside."""

from __future__ import annotations

from collections.abc import Iterable

from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.errors import ResourceLimitExceeded
from hostmaker.kit.slots import SLOTS
from hostmaker.planner.groups import groups


def check_capacity(endpoints: Iterable[Endpoint], name: str, instances: int) -> None:
    """Refuse a change after which endpoint `name` has so many instances at once; raises ResourceLimitExceeded."""
    others = sum(_held(each) for each in endpoints if each.desired.name != name)
    if others + instances > SLOTS:
        raise ResourceLimitExceeded(
            f'A server can have {SLOTS} instances at once. Endpoint "{name}" would have {instances}, '
            f"{others} are held by other endpoints: ask for {max(SLOTS - others, 0)} at most."
        )


def _held(endpoint: Endpoint) -> int:
    return max(len(endpoint.recorded.members), sum(group.count for group in groups(endpoint)))
