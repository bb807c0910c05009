"""One suite for the port `Node`: the fake in memory, and a real agent behind control's end of the link."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from tests.integration.node_house import House, node_house, spec

from hostmaker.domain.fleet import InstanceFact, InstanceState, Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.ports import Node
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.machine import Course


class Rig(Protocol):
    """A node at its port, and what the world can do to it."""

    @property
    def node(self) -> Node: ...

    async def until(self, condition: Callable[[], bool]) -> None: ...

    async def kill(self, fact: InstanceFact) -> None: ...

    async def part(self) -> None: ...

    async def rejoin(self) -> None: ...


@dataclass
class VirtualClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def steady(self) -> float:
        return self.seconds


@dataclass
class FakeRig:
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.node = FakeFleet(self.clock, lambda wanted: Course(exits=exits(wanted.container.environment)))

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            at = self.node.next_at()
            self.clock.seconds = max(self.clock.seconds, at if at is not None else self.clock.seconds + 1)
            self.node.advance()
        raise AssertionError("it never happens")

    async def kill(self, fact: InstanceFact) -> None:
        self.node.kill(fact.instance_id)

    async def part(self) -> None:
        self.node.part()

    async def rejoin(self) -> None:
        self.node.rejoin()


@dataclass
class RealRig:
    house: House

    @property
    def node(self) -> Node:
        assert self.house.hub is not None
        return self.house.hub

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.house.until(condition)

    async def kill(self, fact: InstanceFact) -> None:
        assert fact.pid is not None
        os.kill(fact.pid, signal.SIGKILL)

    async def part(self) -> None:
        await self.house.stop_agent()
        await self.house.until(lambda: isinstance(self.node.seen(), Unknown))

    async def rejoin(self) -> None:
        self.house.start_agent()
        await self.house.until(lambda: isinstance(self.node.seen(), Known))


def exits(environment: dict[str, str]) -> tuple[float, ...]:
    return (0.5, 0.5) if environment.get("SERVE") == "exit" else ()


Story = Callable[[Rig], Awaitable[None]]


@pytest.fixture(params=["fake", "real"])
def tell(request: pytest.FixtureRequest) -> Iterator[Callable[[Story], None]]:
    root = Path(tempfile.mkdtemp(prefix="hm-"))

    async def run(story: Story) -> None:
        if request.param == "fake":
            await story(FakeRig())
            return
        async with node_house(root) as house:
            house.start_control()
            house.start_agent()
            await story(RealRig(house))

    yield lambda story: asyncio.run(run(story))
    shutil.rmtree(root)


def facts(rig: Rig) -> dict[str, InstanceFact]:
    seen = rig.node.seen()
    return seen.facts if isinstance(seen, Known) else {}


def state(rig: Rig, ident: str) -> InstanceState | None:
    return facts(rig)[ident].state if ident in facts(rig) else None


def generation(rig: Rig) -> int | None:
    seen = rig.node.seen()
    return seen.generation if isinstance(seen, Known) else None


def test_what_is_put_becomes_healthy_with_all_that_routing_needs(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(1, (spec("a"), spec("b"))))
        await rig.until(lambda: {state(rig, "a"), state(rig, "b")} == {InstanceState.HEALTHY})
        for fact in facts(rig).values():
            assert fact.socket
            assert fact.pid
            assert "@sha256:" in (fact.resolved_image or "")
            assert fact.resolved_at is not None
            assert fact.failure is None
        assert generation(rig) == 1
        assert len({fact.socket for fact in facts(rig).values()}) == 2

    tell(story)


def test_what_is_no_longer_in_the_set_ends_and_is_no_longer_told(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(1, (spec("a"), spec("b"))))
        await rig.until(lambda: state(rig, "a") is InstanceState.HEALTHY)
        rig.node.put(DesiredInstances(2, (spec("b"),)))
        await rig.until(lambda: generation(rig) == 2 and "a" not in facts(rig))
        await rig.until(lambda: state(rig, "b") is InstanceState.HEALTHY)

    tell(story)


def test_putting_the_same_again_is_harmless(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(1, (spec("a"),)))
        await rig.until(lambda: state(rig, "a") is InstanceState.HEALTHY)
        before = facts(rig)["a"]
        rig.node.put(DesiredInstances(1, (spec("a"),)))
        rig.node.put(DesiredInstances(2, (spec("a"),)))
        await rig.until(lambda: generation(rig) == 2)
        assert facts(rig)["a"] == before

    tell(story)


def test_an_older_generation_is_refused(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(7, (spec("a"),)))
        await rig.until(lambda: state(rig, "a") is InstanceState.HEALTHY)
        rig.node.put(DesiredInstances(6))
        rig.node.put(DesiredInstances(8, (spec("a"), spec("b"))))
        await rig.until(lambda: state(rig, "b") is InstanceState.HEALTHY)
        assert state(rig, "a") is InstanceState.HEALTHY

    tell(story)


def test_a_failure_is_told_with_its_cause_until_it_is_unwanted(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(1, (spec("a", SERVE="exit"), spec("b"))))
        await rig.until(lambda: state(rig, "a") is InstanceState.FAILED)
        failure = facts(rig)["a"].failure
        assert failure is not None
        assert "before its first healthy ping, twice" in failure.cause
        assert failure.exit_code
        await rig.until(lambda: state(rig, "b") is InstanceState.HEALTHY)
        await rig.kill(facts(rig)["b"])
        await rig.until(lambda: state(rig, "b") is InstanceState.FAILED)
        told = facts(rig)["b"]
        assert told.failure is not None
        assert told.failure.signal == "SIGKILL"
        assert (told.pid, told.socket) == (None, None)
        rig.node.put(DesiredInstances(2))
        await rig.until(lambda: generation(rig) == 2 and not facts(rig))

    tell(story)


def test_a_node_that_is_not_heard_is_unknown_and_its_instances_go_on(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.node.put(DesiredInstances(1, (spec("a"),)))
        await rig.until(lambda: state(rig, "a") is InstanceState.HEALTHY)
        pid = facts(rig)["a"].pid
        await rig.part()
        assert isinstance(rig.node.seen(), Unknown)
        await rig.rejoin()
        assert (state(rig, "a"), facts(rig)["a"].pid) == (InstanceState.HEALTHY, pid)

    tell(story)


def test_an_idle_fake_has_no_events_and_hanging_is_noticed() -> None:
    clock = VirtualClock()
    fleet = FakeFleet(clock)
    fleet.put(DesiredInstances(1, (spec("a"),)))
    while (at := fleet.next_at()) is not None:
        clock.seconds = max(clock.seconds, at)
        fleet.advance()
    healthy_at = clock.seconds
    assert healthy_at < 5
    clock.seconds = 1000.0
    fleet.hang("a")
    while fleet.next_at() is not None and _state(fleet) is not InstanceState.UNHEALTHY:
        clock.seconds = max(clock.seconds, fleet.next_at() or 0.0)
        fleet.advance()
    assert 1000 < clock.seconds <= 1015
    fleet.recover("a")
    clock.seconds += 5
    fleet.advance()
    assert _state(fleet) is InstanceState.HEALTHY
    assert fleet.next_at() is None
    assert any("unhealthy" in line for line in fleet.log("a"))


def _state(fleet: FakeFleet) -> InstanceState:
    seen = fleet.seen()
    assert isinstance(seen, Known)
    return seen.facts["a"].state
