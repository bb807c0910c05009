"""Bugs that are planted between the reconciler and the world: the stories must find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from hostmaker.domain.alarm import AlarmReading, AlarmState
from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Endpoint, MemberPhase, Recorded
from hostmaker.domain.fleet import InstanceState, Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.routing import RoutingTable, TableChange
from hostmaker.kit.clock import Clock
from hostmaker.planner.endpoint import Limits
from hostmaker.ports import Alarms, EndpointStore, Node, Routes
from hostmaker.reconciler.loop import Hands
from hostmaker.testing import World
from hostmaker.testing.rehearsal import Story, crash, rehearse

from .deployment_stories import STORIES as DEPLOYMENTS
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


class RingsNoAlarm(Other):
    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        true = cast("Alarms", self.true).readings(region, names)
        return {name: replace(reading, state=AlarmState.OK) for name, reading in true.items()}


class KnowsNoAlarm(Other):
    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        return {}


class TakesAStartForHealth(Other):
    def seen(self) -> Known | Unknown:
        seen = cast("Node", self.true).seen()
        if not isinstance(seen, Known):
            return seen
        healthy = {
            ident: replace(fact, state=InstanceState.HEALTHY, socket=f"/fake/{ident}.sock")
            for ident, fact in seen.facts.items()
            if fact.state is InstanceState.STARTING
        }
        return replace(seen, facts={**seen.facts, **healthy})


class StopsOneWhenTwoFleetsRun(Other):
    most = 0

    def put(self, desired: DesiredInstances) -> None:
        before, self.most = self.most, max(self.most, len(desired.instances))
        is_second_fleet = 0 < before < len(desired.instances)
        kept = desired.instances[1:] if is_second_fleet else desired.instances
        cast("Node", self.true).put(replace(desired, instances=kept))


class BakesInNoTime(Other):
    def now(self) -> datetime:
        true = cast("Clock", self.true)
        return true.now() + timedelta(seconds=true.steady() * 99)


class ForgetsTheStep(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        if recorded.deployment is not None and recorded.deployment.cause is None:
            recorded = replace(recorded, deployment=replace(recorded.deployment, step=0))
        return cast("EndpointStore", self.true).record(recorded, generation, ended)


class ForgetsOnceWhyItTurnedBack(Other):
    has_forgotten = False

    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        deployment = recorded.deployment
        if deployment is not None and deployment.cause is not None and not self.has_forgotten:
            self.has_forgotten = True
            recorded = replace(recorded, deployment=replace(deployment, cause=None))
        return cast("EndpointStore", self.true).record(recorded, generation, ended)


class ForgetsTheDeployment(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        return cast("EndpointStore", self.true).record(replace(recorded, deployment=None), generation, ended)


class KeepsNoHistory(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        return cast("EndpointStore", self.true).record(recorded, generation)


class HearsNoOrder(Other):
    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        true = cast("EndpointStore", self.true).endpoints(region)
        return [replace(each, desired=replace(each.desired, order=None)) for each in true]


class NeverSwitches(Other):
    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        before = cast("EndpointStore", self.true).endpoints()[0].recorded.live
        kept = {**recorded.fleets, str(before): recorded.fleets.get(str(before), recorded.live_fleet)}
        return cast("EndpointStore", self.true).record(replace(recorded, live=before, fleets=kept), generation, ended)


def on_store(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, store=cast("EndpointStore", cls(hands.store)))


def on_node(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, node=cast("Node", cls(hands.node)))


def on_routes(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, routes=cast("Routes", cls(hands.routes)))


def on_alarms(cls: type[Other]) -> Plant:
    return lambda hands: replace(hands, alarms=cast("Alarms", cls(hands.alarms)))


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

BUGS_OF_DEPLOYMENTS = {
    RingsNoAlarm: on_alarms,
    KnowsNoAlarm: on_alarms,
    TakesAStartForHealth: on_node,
    StopsOneWhenTwoFleetsRun: on_node,
    BakesInNoTime: on_clock,
    ForgetsTheStep: on_store,
    ForgetsOnceWhyItTurnedBack: on_store,
    ForgetsTheDeployment: on_store,
    KeepsNoHistory: on_store,
    HearsNoOrder: on_store,
    NeverSwitches: on_store,
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: type[Other]) -> None:
    assert finds(BUGS[bug](bug), STORIES)


@pytest.mark.parametrize("bug", BUGS_OF_DEPLOYMENTS, ids=lambda bug: bug.__name__)
def test_a_bug_that_is_planted_into_deployments_is_found(bug: type[Other]) -> None:
    assert finds(BUGS_OF_DEPLOYMENTS[bug](bug), DEPLOYMENTS)


def finds(plant: Plant, stories: Mapping[str, Story]) -> bool:
    """Tell the stories, all of them undisturbed and then with crashes, until one of them breaks."""

    def new_world(seed: int, crash_at: Collection[int]) -> World:
        return World(seed, crash_at=crash_at, course=course, limits=Limits(drain_s=8.0), between=plant)

    try:
        expected = {name: rehearse(story, 0, new_world) for name, story in stories.items()}
        for name, story in stories.items():
            for point in range(0, len(expected[name].points), 5):
                crash(story, 0, (point,), expected[name], new_world)
    except AssertionError:
        return True
    return False
