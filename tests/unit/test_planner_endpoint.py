"""The planner, driven by a world in a few lines: instances that become healthy, fail, drain and go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.actions import Remove, SetStatus
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    ExplainerPlan,
    MemberPhase,
    Recorded,
    Snapshot,
)
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState, Known, Unknown
from hostmaker.domain.model import Container, Model
from hostmaker.domain.observed import Observed
from hostmaker.domain.records import Moment, apply
from hostmaker.planner.endpoint import Limits, decide

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits()


def an_endpoint(*counts: int) -> Endpoint:
    model = Model("us-east-1", "m", "arn:m", Container("image:1"), NOW, {})
    variants = tuple(
        DesiredVariant(Variant(f"v{index}", "m", "ml.m5.large", count), model) for index, count in enumerate(counts)
    )
    target = Snapshot("c", variants)
    desired = Desired("u1", "us-east-1", "e", "arn:e", target, NOW)
    return Endpoint(desired, Recorded("u1", EndpointStatus.CREATING, NOW, fleets={"0": target}))


@dataclass
class TinyWorld:
    endpoint: Endpoint
    states: dict[str, InstanceState] = field(default_factory=dict)
    acknowledged: int | None = 0
    outstanding: dict[int, int] = field(default_factory=dict)
    age_s: dict[str, float] = field(default_factory=dict)
    node_is_known: bool = True
    run_dir: str = "/run"
    removed: bool = False

    def observed(self) -> Observed:
        facts = {}
        for ident, state in self.states.items():
            failure = InstanceFailure(FailureKind.PING, "It ended.", 3, None, ("boom",))
            told = failure if state is InstanceState.FAILED else None
            facts[ident] = InstanceFact(ident, state, NOW, socket=f"{self.run_dir}/{ident}", failure=told)
        node = Known(1, facts) if self.node_is_known else Unknown(NOW)
        taken = {member.slot for member in self.endpoint.recorded.members}
        return Observed(NOW, node, 1, self.acknowledged, self.outstanding, self.age_s, taken_slots=taken)

    def step(self) -> int:
        actions = decide(self.endpoint, self.observed(), LIMITS).actions
        recorded = self.endpoint.recorded
        for action in actions:
            recorded = apply(recorded, action, self.endpoint.desired, Moment(NOW, 0.0, 7))
            self.removed = self.removed or isinstance(action, Remove)
        self.endpoint = replace(self.endpoint, recorded=recorded)
        return 0 if self.removed else len(actions)

    def settle(self) -> None:
        for _ in range(50):
            if not self.step():
                return
        raise AssertionError("decisions go on for ever")

    def all_become(self, state: InstanceState) -> None:
        for member in self.endpoint.recorded.members:
            self.states[member.instance_id] = state

    def delete(self) -> None:
        desired = replace(self.endpoint.desired, deleting=True, generation=2)
        self.endpoint = Endpoint(desired, replace(self.endpoint.recorded, status=EndpointStatus.DELETING))

    @property
    def status(self) -> EndpointStatus:
        return self.endpoint.recorded.status

    def phases(self) -> list[MemberPhase]:
        return [member.phase for member in self.endpoint.recorded.members]


def serving(*counts: int) -> TinyWorld:
    world = TinyWorld(an_endpoint(*counts))
    world.settle()
    world.all_become(InstanceState.HEALTHY)
    world.settle()
    assert world.status is EndpointStatus.IN_SERVICE
    return world


def test_in_service_only_when_all_are_healthy() -> None:
    world = TinyWorld(an_endpoint(2, 1))
    world.settle()
    assert world.phases() == [MemberPhase.LAUNCHED] * 3
    world.all_become(InstanceState.HEALTHY)
    late = world.endpoint.recorded.members[0].instance_id
    world.states[late] = InstanceState.STARTING
    world.settle()
    assert world.status is EndpointStatus.CREATING
    assert MemberPhase.IN_SERVICE not in world.phases()
    world.states[late] = InstanceState.HEALTHY
    world.settle()
    assert world.status is EndpointStatus.IN_SERVICE
    assert world.phases() == [MemberPhase.IN_SERVICE] * 3


def test_an_instance_that_listens_elsewhere_is_routed_there() -> None:
    world = serving(2)
    world.run_dir = "/elsewhere"
    world.settle()
    assert world.phases() == [MemberPhase.IN_SERVICE] * 2
    assert [m.socket for m in world.endpoint.recorded.members] == [
        f"/elsewhere/{m.instance_id}" for m in world.endpoint.recorded.members
    ]


def test_one_failed_instance_fails_the_creation_with_its_cause() -> None:
    world = TinyWorld(an_endpoint(2))
    world.settle()
    world.all_become(InstanceState.HEALTHY)
    world.states[world.endpoint.recorded.members[0].instance_id] = InstanceState.FAILED
    world.settle()
    assert world.status is EndpointStatus.FAILED
    reason = world.endpoint.recorded.failure_reason or ""
    assert reason.startswith("The primary container for production variant v0 did not pass the ping health check.")
    assert "It ended." in reason
    assert "boom" in reason
    assert set(world.phases()) == {MemberPhase.STOPPED}
    world.all_become(InstanceState.GONE)
    world.settle()
    assert world.endpoint.recorded.members == ()


def test_an_explainer_that_cannot_be_fails_the_creation_at_once() -> None:
    world = TinyWorld(an_endpoint(2), node_is_known=False)
    flawed = replace(world.endpoint.desired.target, explainer=ExplainerPlan(flaw="Invalid expression."))
    world.endpoint = replace(world.endpoint, recorded=replace(world.endpoint.recorded, fleets={"0": flawed}))
    world.settle()
    assert (world.status, world.endpoint.recorded.failure_reason) == (EndpointStatus.FAILED, "Invalid expression.")
    assert world.phases() == []
    world.node_is_known = True
    world.settle()
    assert world.phases() == []
    world.delete()
    world.settle()
    assert world.removed


def test_a_failed_instance_is_withdrawn_drained_and_replaced() -> None:
    world = serving(2)
    sick = world.endpoint.recorded.members[0]
    world.states[sick.instance_id] = InstanceState.UNHEALTHY
    world.outstanding[sick.slot] = 1
    world.settle()
    assert world.phases() == [MemberPhase.WITHDRAWN, MemberPhase.IN_SERVICE, MemberPhase.LAUNCHED]
    world.acknowledged = 7
    world.settle()
    assert world.phases()[0] is MemberPhase.WITHDRAWN  # a request is inside it
    world.outstanding.clear()
    world.settle()
    assert world.phases()[0] is MemberPhase.STOPPED
    assert world.status is EndpointStatus.IN_SERVICE


def test_the_drain_limit_ends_the_wait() -> None:
    world = serving(1)
    sick = world.endpoint.recorded.members[0]
    world.states[sick.instance_id] = InstanceState.UNHEALTHY
    world.settle()
    assert world.phases()[0] is MemberPhase.WITHDRAWN
    world.age_s[f"{sick.instance_id}:withdrawn"] = LIMITS.drain_s
    world.settle()
    assert world.phases()[0] is MemberPhase.STOPPED


def test_replacements_back_off() -> None:
    world = serving(1)
    world.acknowledged = 7
    for failed_before in range(4):
        newest = world.endpoint.recorded.members[-1]
        world.states[newest.instance_id] = InstanceState.FAILED
        world.settle()
        launched = world.endpoint.recorded.members[-1].instance_id != newest.instance_id
        assert launched == (failed_before == 0)
        if not launched:
            failures = world.endpoint.recorded.failures["0/v0"]
            assert (decide(world.endpoint, world.observed(), LIMITS).look_again_s or 0) > 0
            world.age_s[f"u1:0/v0:failures:{failures}"] = 61.0
            world.settle()
            assert world.endpoint.recorded.members[-1].instance_id != newest.instance_id


def test_nothing_is_judged_while_the_node_is_unknown() -> None:
    world = serving(2)
    world.node_is_known = False
    world.states.clear()
    assert decide(world.endpoint, world.observed(), LIMITS).actions == ()


def test_out_of_service_after_a_while_without_instances_and_back() -> None:
    world = serving(1)
    world.states[world.endpoint.recorded.members[0].instance_id] = InstanceState.FAILED
    world.settle()
    world.age_s["u1:v0:unserved"] = LIMITS.out_of_service_s
    world.settle()
    assert world.status is EndpointStatus.OUT_OF_SERVICE
    world.states[world.endpoint.recorded.members[-1].instance_id] = InstanceState.HEALTHY
    world.settle()
    assert world.status is EndpointStatus.IN_SERVICE
    assert world.endpoint.recorded.failure_reason is None


def test_deletion_ends_with_nothing_left() -> None:
    world = serving(2, 1)
    world.delete()
    world.acknowledged = 7
    world.settle()
    assert not world.removed
    world.all_become(InstanceState.GONE)
    world.settle()
    assert world.removed
    assert world.endpoint.recorded.members == ()


def test_an_instance_that_is_started_again_leaves_the_table_and_comes_back() -> None:
    world = serving(1)
    world.all_become(InstanceState.STARTING)
    world.settle()
    assert world.phases() == [MemberPhase.LAUNCHED]
    world.all_become(InstanceState.HEALTHY)
    world.settle()
    assert world.phases() == [MemberPhase.IN_SERVICE]


@given(st.data())
def test_whatever_instances_do_the_rules_hold(data: st.DataObject) -> None:
    """Safety: a failed endpoint launches nothing; no two instances share a slot; Unknown decides nothing."""
    world = TinyWorld(an_endpoint(2, 1))
    for _ in range(data.draw(st.integers(1, 25))):
        if (
            data.draw(st.booleans())
            and world.status is not EndpointStatus.DELETING
            and data.draw(st.integers(0, 9)) == 0
        ):
            world.delete()
        for member in world.endpoint.recorded.members:
            world.states[member.instance_id] = data.draw(st.sampled_from(InstanceState))
        world.acknowledged = data.draw(st.sampled_from([None, 0, 7]))
        world.node_is_known = data.draw(st.booleans())
        before = world.endpoint.recorded
        world.step()
        after = world.endpoint.recorded
        slots = [member.slot for member in after.members]
        assert len(slots) == len(set(slots))
        if before.status in (EndpointStatus.FAILED, EndpointStatus.DELETING):
            assert after.next_ordinal == before.next_ordinal
        if not world.node_is_known and before.status is not EndpointStatus.DELETING:
            assert after == before
        if world.removed:
            return


def test_a_status_is_set_once() -> None:
    world = serving(1)
    assert not any(isinstance(a, SetStatus) for a in decide(world.endpoint, world.observed(), LIMITS).actions)
