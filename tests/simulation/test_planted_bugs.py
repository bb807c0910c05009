"""Bugs that are planted between the reconciler and the world: the stories must find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import pytest

from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Endpoint, MemberPhase, Recorded
from hostmaker.domain.fleet import Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.routing import RoutingTable, TableChange
from hostmaker.kit.clock import Clock
from hostmaker.planner.endpoint import Limits
from hostmaker.ports import EndpointStore, Node, Routes
from hostmaker.reconciler.loop import Hands
from hostmaker.testing import World
from hostmaker.testing.rehearsal import crash, rehearse

from .stories import STORIES, course

Plant = Callable[[Hands], Hands]


@dataclass
class Other:
    """Whatever it does not do otherwise, it does as what it stands before."""

    true: object

    def __getattr__(self, name: str) -> object:
        return getattr(self.true, name)


class NeverWaitsForAcknowledgement(Other):
    def acknowledged(self) -> int | None:
        return None


class NeverWaitsForRequestsInside(Other):
    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        return {}


class PublishesToGatewaysThatLiveOnly(Other):
    def publish(self, table: RoutingTable, change: TableChange) -> None:
        gateways = cast("dict[str, object]", self.true.__dict__)["_gateways"]
        before = gateways.file  # type: ignore[attr-defined]
        cast("Routes", self.true).publish(table, change)
        gateways.file = before  # type: ignore[attr-defined]


class TakesUnknownForNothing(Other):
    def seen(self) -> Known | Unknown:
        seen = cast("Node", self.true).seen()
        return seen if isinstance(seen, Known) else Known(10**9)


class TellsTheNodeOnce(Other):
    told = False

    def put(self, desired: DesiredInstances) -> None:
        if not self.told:
            self.told = True
            cast("Node", self.true).put(desired)


class KeepsNoRecord(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        return True


class RecordsOnlyTheStatus(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        return cast("EndpointStore", self.true).record(replace(recorded, members=()), generation, ended)


class ForgetsWhatIsWithdrawn(Other):
    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        gone = (MemberPhase.WITHDRAWN, MemberPhase.STOPPED)
        return [
            replace(
                each,
                recorded=replace(each.recorded, members=tuple(m for m in each.recorded.members if m.phase not in gone)),
            )
            for each in cast("EndpointStore", self.true).endpoints(region)
        ]


class CountsNoFurther(Other):
    def next_number(self, counter: str) -> int:
        return 1


class RunsTooFast(Other):
    def steady(self) -> float:
        return cast("Clock", self.true).steady() * 100


def on_store(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, store=cast("EndpointStore", cls(hands.store)))


def on_node(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, node=cast("Node", cls(hands.node)))


def on_routes(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, routes=cast("Routes", cls(hands.routes)))


def on_clock(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, clock=cast("Clock", cls(hands.clock)))


BUGS = {
    NeverWaitsForAcknowledgement: on_routes,
    NeverWaitsForRequestsInside: on_routes,
    PublishesToGatewaysThatLiveOnly: on_routes,
    TakesUnknownForNothing: on_node,
    TellsTheNodeOnce: on_node,
    KeepsNoRecord: on_store,
    RecordsOnlyTheStatus: on_store,
    ForgetsWhatIsWithdrawn: on_store,
    CountsNoFurther: on_store,
    RunsTooFast: on_clock,
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: type[Other]) -> None:
    plant = BUGS[bug](bug)

    def new_world(seed: int, crash_at: Sequence[int]) -> World:
        return World(seed, crash_at=crash_at, course=course, limits=Limits(drain_s=8.0), between=plant)

    with pytest.raises(AssertionError):
        for story in STORIES.values():
            expected = rehearse(story, 0, new_world)
            for point in range(0, len(expected.points), 5):
                crash(story, 0, (point,), expected, new_world)
