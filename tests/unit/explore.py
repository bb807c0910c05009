"""Explores every way that a deployment can go: planner and orders, breadth first, over what the world may do.

Times, ids and versions are dropped from a state as far as no decision can tell them apart, so the graph is finite: a
timer is over or not, a table is acknowledged or not, an instance is one of its variant's, by age. What the world does
by itself when nothing goes wrong is *benign*: instances become healthy and end, gateways acknowledge, time passes,
whoever has paused goes on. Of everything else so many things happen as a course allows (`Course.trouble`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.unit.explored import (
    ALARM,
    LONG,
    MOST,
    NOW,
    REGION,
    TOO_LONG,
    Course,
    State,
    beginning,
    key,
    newest_version,
    normal,
    update,
    with_record,
    with_versions,
)

from hostmaker.control.orders import Orders
from hostmaker.control.services import Services
from hostmaker.domain.actions import Action, Remove
from hostmaker.domain.alarm import AlarmReading, AlarmState
from hostmaker.domain.deployment import OrderKind, Phase
from hostmaker.domain.endpoint import Desired, Endpoint, EndpointStatus, Member, MemberPhase, Recorded
from hostmaker.domain.errors import ValidationException
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState, Known
from hostmaker.domain.observed import Observed
from hostmaker.domain.records import Moment, apply, finished
from hostmaker.planner.endpoint import decide, timers
from hostmaker.planner.limits import Limits
from hostmaker.testing.alarms import FakeAlarms
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs
from hostmaker.testing.objects import MemoryObjects
from hostmaker.testing.store import MemoryStore

LIMITS = Limits(starts_a_minute=10**6)
MOST_PASSES = 30  # decisions that may follow one another without an outside event
BROKE = InstanceFailure(FailureKind.PING, "It ended.")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the world does, and the state before anything is decided about it."""

    what: str
    state: State
    is_benign: bool = True
    within_s: float | None = None  # it is time that passes: the reconciler has to look again after so long at most


@dataclass(slots=True)
class Graph:
    """States, and for each how one comes to others: what happens, whether it is benign, and where it leads."""

    states: list[State] = field(default_factory=list)
    edges: list[list[tuple[str, bool, int]]] = field(default_factory=list)
    came_by: list[tuple[int, str]] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def way_to(self, number: int) -> str:
        """Tell how a state is reached."""
        told: list[str] = []
        while number:
            number, what = self.came_by[number]
            told.append(what)
        return " > ".join(reversed(told)) or "from the beginning"


Watch = Callable[[Endpoint, Action, Endpoint, State], None]


def explore(course: Course, watch: Watch = lambda *_: None) -> Graph:
    """Give everything that can become of a deployment; `watch` is shown each action with the records around it."""
    graph, numbers = Graph(), dict[object, int]()

    def reach(before: int, what: str, raw: State) -> int:
        try:
            state = normal(settle(raw, watch))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{course}\n{graph.way_to(before)} > {what}") from error
        found = key(state)
        if found not in numbers:
            numbers[found] = len(graph.states)
            graph.states.append(state)
            graph.edges.append([])
            graph.came_by.append((before, what))
        return numbers[found]

    waiting = deque([reach(0, "", beginning(course))])
    while waiting:
        number = waiting.popleft()
        for change in changes(graph.states[number], course, graph.refused):
            _check_awake(graph, number, change)
            known = len(graph.states)
            led = reach(number, change.what, change.state)
            graph.edges[number].append((change.what, change.is_benign, led))
            if led == known:
                waiting.append(led)
    return graph


def _check_awake(graph: Graph, number: int, change: Change) -> None:
    """What time brings is noticed only by a reconciler that looks again in time."""
    look_again_s = graph.states[number].look_again_s
    if change.within_s is not None and (look_again_s is None or look_again_s > change.within_s):
        told = f"nobody looks within {change.within_s:g} s whether {change.what}, but after {look_again_s} s"
        raise AssertionError(f"{told}\n{graph.way_to(number)}")


# What the planner does


def settle(state: State, watch: Watch) -> State:
    """Decide until nothing follows, as the reconciler does in one turn."""
    for _ in range(MOST_PASSES):
        endpoint = state.endpoint
        if endpoint is None:
            return state
        decision = decide(endpoint, observed(state, endpoint), LIMITS)
        if not decision.actions:
            return replace(state, look_again_s=decision.look_again_s)
        state = _record(state, endpoint, decision.actions, watch)
    raise AssertionError("decisions go on for ever")


def observed(state: State, endpoint: Endpoint) -> Observed:
    """Give what is seen: nothing is acknowledged but table version 0."""
    facts = {
        ident: InstanceFact(ident, each, NOW, socket="s", failure=BROKE if each is InstanceState.FAILED else None)
        for ident, each in state.facts.items()
    }
    ages = {name: LONG.total_seconds() if name in state.aged else 0.0 for name in timers(endpoint)}
    alarms = {(REGION, ALARM): AlarmReading(state.alarm, NOW, "")} if state.alarm is not None else {}
    taken = {member.slot for member in endpoint.recorded.members}
    return Observed(NOW, Known(1, facts), 1, acknowledged=0, age_s=ages, taken_slots=taken, alarms=alarms)


def _record(state: State, endpoint: Endpoint, actions: tuple[Action, ...], watch: Watch) -> State:
    recorded, facts = endpoint.recorded, dict(state.facts)
    moment = Moment(NOW, 0.0, newest_version(recorded) + 1)
    for action in actions:
        before = replace(endpoint, recorded=recorded)
        _check_verdict(recorded, action, endpoint.desired, moment)
        recorded = apply(recorded, action, endpoint.desired, moment)
        watch(before, action, replace(endpoint, recorded=recorded), state)
        if isinstance(action, Remove):
            return replace(state, endpoint=None, facts={}, aged=frozenset())
    known = {member.instance_id for member in recorded.members}
    facts = {ident: each for ident, each in facts.items() if ident in known}
    facts |= {ident: InstanceState.PREPARING for ident in known if ident not in facts}
    after = replace(endpoint, recorded=recorded)
    return replace(state, endpoint=after, facts=facts, aged=state.aged & frozenset(timers(after)))


def _check_verdict(recorded: Recorded, action: Action, desired: Desired, moment: Moment) -> None:
    """A deployment has one verdict; only one whose way back failed has a second, when it is superseded or deleted."""
    ended, before = finished(recorded, action, moment), recorded.deployment
    if ended is None or before is None:
        return
    after = apply(recorded, action, desired, moment).deployment if not isinstance(action, Remove) else None
    goes_on = after is not None and after.number == before.number
    assert not goes_on or (after is not None and after.phase is Phase.STUCK), "a deployment has ended, and goes on"


# What the world does


def changes(state: State, course: Course, refused: set[tuple[str, str]]) -> Iterator[Change]:
    """Give everything that may happen next."""
    endpoint = state.endpoint
    if endpoint is None:
        return
    for member in endpoint.recorded.members:
        yield from _of_instance(state, member)
    yield from _of_gateways(state, endpoint)
    yield from _of_time(state, endpoint)
    yield from _of_people(state, endpoint, course, refused)
    if state.trouble:
        yield from _of_alarms(state, endpoint)


def _of_instance(state: State, member: Member) -> Iterator[Change]:
    ident = member.instance_id
    fact = state.facts[ident]
    if member.phase is MemberPhase.STOPPED:
        yield _fact(state, ident, InstanceState.GONE)
        return
    if fact is InstanceState.PREPARING:
        yield _fact(state, ident, InstanceState.HEALTHY)
        if state.trouble:
            yield _fact(state, ident, InstanceState.FAILED, is_benign=False)
    elif fact is InstanceState.HEALTHY and member.phase is not MemberPhase.WITHDRAWN and state.trouble:
        for bad in (InstanceState.FAILED, InstanceState.PREPARING):
            yield _fact(state, ident, bad, is_benign=False)


def _fact(state: State, ident: str, fact: InstanceState, is_benign: bool = True) -> Change:
    after = replace(state, facts={**state.facts, ident: fact}, trouble=state.trouble - (not is_benign))
    return Change(f"{ident} is {fact.value}", after, is_benign)


def _of_gateways(state: State, endpoint: Endpoint) -> Iterator[Change]:
    newest = newest_version(endpoint.recorded)
    if newest:
        yield Change("gateways acknowledge", _acknowledged(state, endpoint, newest))
    if newest > 1:
        yield Change("gateways acknowledge the oldest", _acknowledged(state, endpoint, 1))


def _acknowledged(state: State, endpoint: Endpoint, number: int) -> State:
    return with_record(state, with_versions(endpoint.recorded, lambda version: max(version - number, 0)))


def _of_time(state: State, endpoint: Endpoint) -> Iterator[Change]:
    """Each timer is over at some time, in any order: a drain or a backoff, what a phase waits for."""
    deployment = endpoint.recorded.deployment
    for name in timers(endpoint):
        is_waited_for = name.endswith((":withdrawn", ":failures:2", ":unserved"))
        if is_waited_for and name not in state.aged:
            limit_s = LIMITS.drain_s if name.endswith("withdrawn") else None
            yield Change(f"{name} is over", replace(state, aged=state.aged | {name}), within_s=limit_s)
    if deployment is None or deployment.paused is not None or deployment.since != NOW:
        return
    over = with_record(state, replace(endpoint.recorded, deployment=replace(deployment, since=NOW - LONG)))
    if deployment.phase is Phase.ACTIVATING:
        yield Change("the gateways are waited for no more", over, within_s=LIMITS.drain_s)
    elif deployment.phase is Phase.BAKING and deployment.current.bake:
        bake_s = min(
            deployment.current.bake.total_seconds(), LIMITS.alarm_poll_s if deployment.alarms else LONG.days * 1e5
        )
        yield Change("the bake is over", over, within_s=None if deployment.is_through else bake_s)
    if state.trouble and deployment.cause is None and deployment.spent < MOST:
        late = replace(endpoint.recorded, deployment=replace(deployment, spent=TOO_LONG))
        yield Change("it takes too long", replace(with_record(state, late), trouble=state.trouble - 1), is_benign=False)


def _of_people(state: State, endpoint: Endpoint, course: Course, refused: set[tuple[str, str]]) -> Iterator[Change]:
    deployment, status = endpoint.recorded.deployment, endpoint.recorded.status
    is_paused = deployment is not None and deployment.paused is not None
    for order in OrderKind:
        ordered = give(order, endpoint, refused)
        if ordered is not None and (is_paused or state.trouble):
            trouble = state.trouble - (not is_paused)
            yield Change(order.value, replace(state, endpoint=ordered, trouble=trouble), is_benign=is_paused)
    if status is EndpointStatus.UPDATE_ROLLBACK_FAILED:
        if state.remedies and course.remedy is not None:
            asked = update(endpoint, course.remedy, course.green, "v3")
            yield Change("UpdateEndpoint", replace(state, endpoint=asked, remedies=state.remedies - 1))
        desired = replace(endpoint.desired, deleting=True)
        recorded = replace(endpoint.recorded, status=EndpointStatus.DELETING)
        yield Change("DeleteEndpoint", replace(state, endpoint=Endpoint(desired, recorded)), is_benign=False)


def give(order: OrderKind, endpoint: Endpoint, refused: set[tuple[str, str]]) -> Endpoint | None:
    """Give the endpoint with an order, through control itself; None when control refuses it, and says why."""
    store = MemoryStore()
    store.add_endpoint(endpoint.desired, endpoint.recorded, ())
    alarms = FakeAlarms(lambda: NOW)
    services = Services(
        store=store,
        objects=MemoryObjects(),
        specs=MemoryExplainerSpecs(),
        now=lambda: NOW,
        new_id=lambda: "",
        wake=lambda: None,
        facts=lambda: Known(1),
        warn=lambda *_: None,
        alarms=alarms,
        account="1",
    )
    try:
        Orders(services).give(REGION, "e", order)
    except ValidationException:
        deployment = endpoint.recorded.deployment
        refused.add((deployment.phase.value if deployment is not None else "none", order.value))
        return None
    return store.endpoint(REGION, "e")


def _of_alarms(state: State, endpoint: Endpoint) -> Iterator[Change]:
    deployment = endpoint.recorded.deployment
    if deployment is None or not deployment.alarms:
        return
    for alarm in (AlarmState.ALARM, None):
        if alarm is not state.alarm:
            told = "the alarm is deleted" if alarm is None else "the alarm is in ALARM"
            yield Change(told, replace(state, alarm=alarm, trouble=state.trouble - 1), is_benign=False)
    if state.alarm is not AlarmState.OK:
        yield Change("the alarm is OK", replace(state, alarm=AlarmState.OK), is_benign=False)
