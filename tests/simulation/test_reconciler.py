"""The true reconciler and planner against a simulated node and gateways: seeds, and restarts at every tick."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from hostmaker.domain.actions import Action
from hostmaker.domain.endpoint import Desired, DesiredVariant, Endpoint, EndpointStatus, MemberPhase, Recorded
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState, Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.model import Container, Model
from hostmaker.domain.routing import RoutingTable, TableChange, apply_change
from hostmaker.planner.endpoint import Limits
from hostmaker.reconciler.loop import Hands, Reconciler
from hostmaker.testing.store import MemoryStore

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class VirtualClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def steady(self) -> float:
        return self.seconds


@dataclass
class SimulatedNode:
    """Runs instances in a few steps; a seeded part of them fails, now or later."""

    chance: random.Random
    clock: VirtualClock
    failing: float = 0.0
    desired: DesiredInstances = field(default_factory=lambda: DesiredInstances(0))
    facts: dict[str, InstanceFact] = field(default_factory=dict)
    is_known: bool = True

    def put(self, desired: DesiredInstances) -> None:
        assert desired.generation >= self.desired.generation, "an older generation was put"
        self.desired = desired

    def seen(self) -> Known | Unknown:
        return Known(self.desired.generation, dict(self.facts)) if self.is_known else Unknown(self.clock.now())

    def step(self) -> None:
        wanted = {spec.instance_id for spec in self.desired.instances}
        for ident in wanted - self.facts.keys():
            self.facts[ident] = self._fact(ident, InstanceState.PREPARING)
        for ident, fact in list(self.facts.items()):
            if ident not in wanted:
                del self.facts[ident]
            elif self.chance.random() < self.failing and fact.state is not InstanceState.FAILED:
                self.facts[ident] = self._fact(ident, InstanceState.FAILED)
            elif fact.state is InstanceState.PREPARING:
                self.facts[ident] = self._fact(ident, InstanceState.STARTING)
            elif fact.state is InstanceState.STARTING:
                self.facts[ident] = self._fact(ident, InstanceState.HEALTHY)

    def _fact(self, ident: str, state: InstanceState) -> InstanceFact:
        failure = InstanceFailure(FailureKind.PING, "It ended.", 1) if state is InstanceState.FAILED else None
        socket = f"/run/{ident}" if state is InstanceState.HEALTHY else None
        return InstanceFact(ident, state, self.clock.now(), socket=socket, failure=failure)


@dataclass
class SimulatedGateways:
    """Two gateways that take up a published table one step later, each at its own pace."""

    chance: random.Random
    file: RoutingTable | None = None
    tables: list[RoutingTable] = field(default_factory=lambda: [RoutingTable(0, "1", "b")] * 2)
    inside: dict[int, int] = field(default_factory=dict)

    def publish(self, table: RoutingTable, change: TableChange) -> None:
        assert self.file is None or table.version > self.file.version, "a table version was used twice"
        if self.file is not None and change.base == self.file.version:
            assert apply_change(self.file, change).endpoints == table.endpoints
        self.file = table

    def acknowledged(self) -> int | None:
        return min(table.version for table in self.tables)

    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        return {slot: self.inside[slot] for slot in slots if self.inside.get(slot)}

    def step(self) -> None:
        for index in range(2):
            if self.file is not None and self.chance.random() < 0.7:
                self.tables[index] = self.file

    def routed(self) -> set[str]:
        return {
            instance.instance_id
            for table in self.tables
            for route in table.endpoints
            for variant in route.variants
            for instance in variant.instances
        }


class SmallWorld:
    def __init__(self, seed: int, failing: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.clock = VirtualClock()
        self.store = MemoryStore()
        self.node = SimulatedNode(self.chance, self.clock, failing)
        self.gateways = SimulatedGateways(self.chance)
        self.told: list[Action] = []
        self.restart()

    def restart(self) -> None:
        """Control dies and comes back: everything it knew is what it has recorded."""
        hands = Hands(self.store, self.node, self.gateways, self.clock, lambda _, action: self.told.append(action))
        self.reconciler = Reconciler(hands, Limits(), "123456789012", "boot")
        self.reconciler.start()

    def create(self, count: int = 2) -> None:
        now = self.clock.now()
        model = Model("us-east-1", "m", "arn:m", Container("image:1"), now, {})
        variants = (DesiredVariant(Variant("AllTraffic", "m", "ml.m5.large", count), model),)
        desired = Desired("uid", "us-east-1", "e", "arn:e", "c", variants, now)
        self.store.add_endpoint(desired, Recorded("uid", EndpointStatus.CREATING, now), ())

    def delete(self) -> None:
        endpoint = self.endpoint
        assert endpoint is not None
        desired = replace(endpoint.desired, deleting=True, generation=endpoint.desired.generation + 1)
        self.store.put_desired(desired, replace(endpoint.recorded, status=EndpointStatus.DELETING))

    @property
    def endpoint(self) -> Endpoint | None:
        return self.store.endpoint("us-east-1", "e")

    @property
    def status(self) -> EndpointStatus | None:
        return self.endpoint.recorded.status if self.endpoint else None

    def step(self) -> None:
        self.clock.seconds += 1
        self.reconciler.turn()
        running = {ident for ident, fact in self.node.facts.items()}
        stopped = running - {spec.instance_id for spec in self.node.desired.instances}
        assert not stopped & self.gateways.routed(), "an instance is stopped that a gateway still routes to"
        self.node.step()
        self.gateways.step()

    def run(self, steps: int = 60) -> None:
        for _ in range(steps):
            self.step()


@pytest.mark.parametrize("seed", range(20))
def test_create_serve_delete_with_restarts_of_control(seed: int) -> None:
    world = SmallWorld(seed)
    world.create()
    for _ in range(40):
        world.step()
        if world.chance.random() < 0.3:
            world.restart()
    assert world.status is EndpointStatus.IN_SERVICE
    assert len(world.gateways.routed()) == 2
    world.delete()
    for _ in range(40):
        world.step()
        if world.chance.random() < 0.3:
            world.restart()
    assert world.endpoint is None
    assert world.node.facts == {}
    assert world.gateways.routed() == set()


@pytest.mark.parametrize("seed", range(20))
def test_instances_that_fail_are_replaced_without_end_and_without_loss(seed: int) -> None:
    world = SmallWorld(seed)
    world.create(3)
    world.run(20)
    world.node.failing = 0.05
    world.run(200)
    world.node.failing = 0.0
    world.run(200)
    assert world.status is EndpointStatus.IN_SERVICE
    endpoint = world.endpoint
    assert endpoint is not None
    assert [member.phase for member in endpoint.recorded.members] == [MemberPhase.IN_SERVICE] * 3


def test_a_node_that_is_not_heard_changes_nothing() -> None:
    world = SmallWorld(1)
    world.create()
    world.run(20)
    before = world.endpoint
    world.node.is_known = False
    world.run(1000)
    assert world.endpoint == before


def test_a_creation_that_fails_leaves_nothing_running() -> None:
    world = SmallWorld(1, failing=1.0)
    world.create()
    world.run()
    assert world.status is EndpointStatus.FAILED
    assert world.node.facts == {}
    endpoint = world.endpoint
    assert endpoint is not None
    assert endpoint.recorded.members == ()
    assert "It ended." in (endpoint.recorded.failure_reason or "")


def test_an_instance_with_requests_inside_is_not_stopped_before_the_drain_limit() -> None:
    world = SmallWorld(1)
    world.create(1)
    world.run(10)
    endpoint = world.endpoint
    assert endpoint is not None
    slot = endpoint.recorded.members[0].slot
    world.gateways.inside[slot] = 1
    world.delete()
    world.run(50)
    assert len(world.node.facts) == 1
    world.run(20)
    assert world.endpoint is None
