"""Every state that a small deployment can come to, whatever goes wrong: each has an exit, and nothing is lost on it."""

from __future__ import annotations

import functools
from datetime import timedelta

import pytest
from tests.unit.explore import Graph, explore
from tests.unit.explored import ALARM, Course, State

from hostmaker.domain.actions import Action, Activate, Advance, Bake, RollBack, Switch
from hostmaker.domain.alarm import AlarmState
from hostmaker.domain.deployment import (
    BlueGreenPolicy,
    Guardrails,
    OrderKind,
    Phase,
    RollingPolicy,
    Size,
    SizeKind,
    TrafficRouting,
)
from hostmaker.domain.endpoint import Endpoint, EndpointStatus, MemberPhase, RequestKind
from hostmaker.domain.fleet import InstanceState

HALF = Size(SizeKind.CAPACITY_PERCENT, 50)
WAIT = timedelta(seconds=60)
PLAIN = Guardrails()
ALL = Guardrails(BlueGreenPolicy(termination_wait=WAIT), alarms=(ALARM,))
CANARY = Guardrails(BlueGreenPolicy(TrafficRouting.CANARY, HALF, WAIT, WAIT), alarms=(ALARM,))
LINEAR = Guardrails(BlueGreenPolicy(TrafficRouting.LINEAR, HALF, WAIT), alarms=(ALARM,))
ROLLING = Guardrails(None, RollingPolicy(HALF, WAIT), alarms=(ALARM,))
BATCHES = Guardrails(None, RollingPolicy(HALF, WAIT, HALF))
TWO = {"v": 2}
FORWARD = (Activate, Bake, Advance, Switch)
COURSES = {
    "plain": Course(PLAIN, TWO, TWO),
    "all at once": Course(ALL, TWO, TWO),
    "canary": Course(CANARY, TWO, TWO),
    "canary that grows": Course(CANARY, {"v": 1}, {"v": 3}),
    "linear": Course(LINEAR, TWO, TWO),
    "two variants": Course(CANARY, {"a": 1, "b": 1}, {"a": 1, "b": 2}),
    "a variant goes and another comes": Course(PLAIN, {"a": 1, "b": 1}, {"b": 1, "c": 1}),
    "rolling": Course(ROLLING, TWO, TWO),
    "rolling with batches back": Course(BATCHES, TWO, TWO, trouble=2, remedy=PLAIN),
    "scaling": Course(PLAIN, {"v": 1}, TWO, trouble=2, kind=RequestKind.SCALE),
}


def is_at_rest(state: State) -> bool:
    """Tell whether nothing is under way any more."""
    if state.endpoint is None:
        return True
    recorded = state.endpoint.recorded
    return recorded.status is EndpointStatus.UPDATE_ROLLBACK_FAILED or (
        recorded.status is EndpointStatus.IN_SERVICE and recorded.deployment is None and recorded.scaling is None
    )


def leads_to(graph: Graph, goals: set[int]) -> set[int]:
    """Give the states from which a world that means well comes to one of these."""
    before: dict[int, list[int]] = {}
    for number, edges in enumerate(graph.edges):
        for _, is_benign, then in edges:
            if is_benign:
                before.setdefault(then, []).append(number)
    found, waiting = set(goals), list(goals)
    while waiting:
        for number in before.get(waiting.pop(), ()):
            if number not in found:
                found.add(number)
                waiting.append(number)
    return found


def turns_in_a_circle(graph: Graph) -> list[int]:
    """Give the states that a world that means well could come back to for ever, each step changing something."""
    ahead = [{then for _, is_benign, then in edges if is_benign and then != n} for n, edges in enumerate(graph.edges)]
    awaited = [len(then) for then in ahead]
    before: dict[int, list[int]] = {}
    for number, then in enumerate(ahead):
        for each in then:
            before.setdefault(each, []).append(number)
    waiting = [number for number, count in enumerate(awaited) if not count]
    done = set(waiting)
    while waiting:
        for number in before.get(waiting.pop(), ()):
            awaited[number] -= 1
            if not awaited[number]:
                done.add(number)
                waiting.append(number)
    return [number for number in range(len(ahead)) if number not in done]


@functools.cache
def explored(name: str) -> Graph:
    """Explore a course, once for all tests, while each action is looked at."""
    return explore(COURSES[name], Watch(COURSES[name]))


class Watch:
    """Looks at each action, with the records before and after it."""

    def __init__(self, course: Course) -> None:
        self._least = min(sum(course.blue.values()), sum(course.green.values()))
        self._most = sum(course.blue.values()) + sum(course.green.values())
        self._trouble = course.trouble

    def __call__(self, before: Endpoint, action: Action, after: Endpoint, state: State) -> None:
        old, new = before.recorded.deployment, after.recorded.deployment
        if isinstance(action, RollBack):
            assert old is not None
            assert old.cause is None, "rolled back twice"
            assert not old.is_through, "rolled back after the last bake"
        elif old is not None and new is not None and old.number == new.number:
            assert new.step in (old.step, old.step + 1), "a step is left out, or comes again"
        is_forward = old is not None and old.cause is None and not old.is_through and not old.is_promoted
        if isinstance(action, FORWARD) and is_forward and old is not None and old.alarms:
            assert state.alarm is AlarmState.OK, f"{type(action).__name__} while the alarm is {state.alarm}"
        if isinstance(action, Activate) and new is not None and new.cause is None:
            self._check_health(after, state)
        if state.trouble == self._trouble:
            self._check_capacity(after)

    def _check_health(self, after: Endpoint, state: State) -> None:
        deployment = after.recorded.deployment
        assert deployment is not None
        for name, target in deployment.current.targets.items():
            green = [m for m in after.recorded.members if (m.fleet, m.variant) == (deployment.number, name)]
            healthy = sum(state.facts.get(m.instance_id) is InstanceState.HEALTHY for m in green)
            assert healthy >= target.green, "traffic is shifted before all of green is healthy"

    def _check_capacity(self, after: Endpoint) -> None:
        serving = sum(member.phase is MemberPhase.IN_SERVICE for member in after.recorded.members)
        alive = sum(member.is_alive for member in after.recorded.members)
        assert self._least <= serving, f"{serving} instances serve, {self._least} is the least"
        assert alive <= self._most, f"{alive} instances run, {self._most} is the most"


@pytest.mark.parametrize("name", COURSES)
def test_every_state_has_an_exit_and_none_turns_in_a_circle(name: str) -> None:
    graph = explored(name)
    resting = {number for number, state in enumerate(graph.states) if is_at_rest(state)}
    stuck = set(range(len(graph.states))) - leads_to(graph, resting)
    assert not stuck, f"{len(stuck)} of {len(graph.states)} states: {graph.way_to(min(stuck))}"
    circle = turns_in_a_circle(graph)
    assert not circle, f"{len(circle)} of {len(graph.states)} states: {graph.way_to(circle[0])}"
    assert len(graph.states) > 20


def test_after_a_way_back_that_failed_another_update_goes_through() -> None:
    graph = explored("rolling with batches back")
    failed = {
        number
        for number, state in enumerate(graph.states)
        if state.endpoint is not None
        and state.endpoint.recorded.status is EndpointStatus.UPDATE_ROLLBACK_FAILED
        and state.remedies
    }
    assert failed
    in_service = {
        number
        for number, state in enumerate(graph.states)
        if is_at_rest(state)
        and state.endpoint is not None
        and state.endpoint.recorded.live_fleet.config_name == "v3"
        and state.endpoint.recorded.status is EndpointStatus.IN_SERVICE
    }
    assert failed <= leads_to(graph, in_service)


def test_every_order_is_taken_or_refused_in_every_phase() -> None:
    graph = explored("rolling with batches back")
    taken = {
        (state.endpoint.recorded.deployment.phase, what)
        for state, edges in zip(graph.states, graph.edges, strict=True)
        if state.endpoint is not None and state.endpoint.recorded.deployment is not None
        for what, _, _ in edges
    }
    for phase in Phase:
        for order in OrderKind:
            assert (phase, order.value) in taken or (phase.value, order.value) in graph.refused, (phase, order)
    for phase in (Phase.LAUNCHING, Phase.ACTIVATING, Phase.BAKING):
        assert {(phase, order.value) for order in OrderKind} <= taken
