"""One suite for the port `Routes`: the simulated gateways, and real gateway processes behind control's link."""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from tests.integration.node_house import spec

from hostmaker.assembly.settings import Joined, Settings, write_joined
from hostmaker.domain.fleet import InstanceState
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, TableChange, VariantRoute
from hostmaker.kit.counts import Counts
from hostmaker.ports import Routes
from hostmaker.reconciler.hub import Hub
from hostmaker.testing.clock import VirtualClock
from hostmaker.testing.crash import CrashPoints
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.gateways import FakeGateways, Invocation, Outcome
from hostmaker.testing.hub import FakeHub, Link
from hostmaker.testing.machine import Course
from hostmaker.testing.telemetry import MemoryRing

ACCOUNT = "123456789012"
KEY = EndpointKey("us-east-1", "house")
WITHIN_S = 20.0


class Rig(Protocol):
    """Control's end, some gateways, an instance of endpoint `house` in slot 3, and requests that stay inside it."""

    @property
    def routes(self) -> Routes: ...

    @property
    def instance_socket(self) -> str: ...

    async def until(self, condition: Callable[[], bool]) -> None: ...

    async def start(self, index: int) -> None: ...

    def kill(self, index: int) -> None: ...

    def hang(self, index: int) -> None: ...

    async def invoke(self, index: int) -> None: ...

    def answer_all(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        points, chance = CrashPoints(), random.Random(1)
        self.fleet = FakeFleet(self.clock, lambda wanted: Course())
        self.gateways = FakeGateways(0, ACCOUNT, self.fleet, chance, self.clock, 60.0, MemoryRing())
        self.routes = FakeHub(self.fleet, self.gateways, self.clock, self._link, points)
        self.instance_socket = "/fake/i.sock"
        self._inside: list[Invocation] = []

    def _link(self) -> Link:
        def schedule(at: float, do: Callable[[], None]) -> None:
            heapq.heappush(self._due, (at, next(self._order), do))

        return Link(schedule, lambda: 0.01, self.clock)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self._due, "it never happens"
            at, _, do = heapq.heappop(self._due)
            self.clock.go_to(max(at, self.clock.seconds))
            do()

    async def start(self, index: int) -> None:
        self.routes.meet_gateway(self.gateways.start(index))

    def kill(self, index: int) -> None:
        gateway = self.gateways.living[index]
        self.gateways.kill(index)
        self.routes.lose_gateway(gateway)

    def hang(self, index: int) -> None:
        self.gateways.living[index].hangs = True

    async def invoke(self, index: int) -> None:
        if not self.fleet.directories:
            self.fleet.put(DesiredInstances(1, (spec("i"),)))
            while self.fleet.facts().facts["i"].state is not InstanceState.HEALTHY:
                self.clock.go_to(max(self.clock.seconds, self.fleet.next_at() or 0.0))
                self.fleet.advance()
        begun = self.gateways.living[index].begin(KEY, 60.0)
        assert isinstance(begun, Invocation)
        self._inside.append(begun)

    def answer_all(self) -> None:
        for each in self._inside:
            if each in each.gateway.inside:
                each.gateway.end(each, Outcome.ANSWERED)

    async def leave(self) -> None:
        pass


class RealRig:
    """Gateways in processes of their own, which can be stopped and killed."""

    def __init__(self, root: Path) -> None:
        self.run = root / "run"
        (self.run / "gateways").mkdir(parents=True)
        settings = replace(Settings(str(root)), auth=False)
        write_joined(Joined(settings, 1, "http://127.0.0.1:1", "key", "secret"), self.run / "settings.json")
        self.instance_socket = str(self.run / "instance.sock")
        self.routes = Hub(self.run, Counts(self.run / "counts"), lambda: datetime.now(UTC))
        self._tasks = [asyncio.create_task(self.routes.serve())]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._callers: list[asyncio.StreamWriter] = []
        self._release = asyncio.Event()
        self._instance: asyncio.Server | None = None

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.005)

    async def start(self, index: int) -> None:
        argv = [sys.executable, "-m", "hostmaker.assembly.gateway", str(self.run), "--index", str(index)]
        number = self._listener.fileno()
        environment = {**os.environ, "HOSTMAKER_LISTENER": str(number)}
        self._processes[index] = subprocess.Popen(argv, env=environment, pass_fds=[number])
        await self.until(lambda: (self.run / f"gateway-{index}.sock").exists())

    def kill(self, index: int) -> None:
        process = self._processes.pop(index)
        process.kill()
        process.wait()

    def hang(self, index: int) -> None:
        self._processes[index].send_signal(signal.SIGSTOP)

    async def invoke(self, index: int) -> None:
        if self._instance is None:
            self._instance = await asyncio.start_unix_server(self._serve, self.instance_socket)
        before = self.routes.outstanding((3,)).get(3, 0)
        _, writer = await asyncio.open_unix_connection(self.run / f"gateway-{index}.sock")
        writer.write(b"POST /endpoints/house/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
        self._callers.append(writer)
        await self.until(lambda: self.routes.outstanding((3,)).get(3, 0) > before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await self._release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    def answer_all(self) -> None:
        self._release.set()

    async def leave(self) -> None:
        self._release.set()
        for index in list(self._processes):
            self.kill(index)
        for task in self._tasks:
            task.cancel()
        for writer in self._callers:
            writer.close()
        self._listener.close()


Story = Callable[[Rig], Awaitable[None]]


@pytest.fixture(params=["fake", "real"])
def tell(request: pytest.FixtureRequest) -> Iterator[Callable[[Story], None]]:
    root = Path(tempfile.mkdtemp(prefix="hm-"))

    async def run(story: Story) -> None:
        rig: FakeRig | RealRig = FakeRig() if request.param == "fake" else RealRig(root)
        try:
            await story(rig)
        finally:
            await rig.leave()

    yield lambda story: asyncio.run(run(story))
    shutil.rmtree(root)


def table(version: int, rig: Rig) -> tuple[RoutingTable, TableChange]:
    """Give the table of a version, with the endpoint and its instance, and the change that leads there."""
    instance = InstanceRoute("i", 3, rig.instance_socket)
    route = EndpointRoute(KEY, (VariantRoute(f"v{version}", 1.0, instances=(instance,)),))
    return RoutingTable(version, ACCOUNT, "boot", (route,)), TableChange(version - 1, version, (route,))


def test_without_gateways_nobody_has_acknowledged(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        assert rig.routes.acknowledged() is None
        assert rig.routes.outstanding((1, 2, 3)) == {}

    tell(story)


def test_all_that_live_have_to_serve_a_version(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        await rig.start(0)
        await rig.until(lambda: rig.routes.acknowledged() == 1)  # from the file
        await rig.start(1)
        await rig.until(lambda: rig.routes.acknowledged() == 1)
        rig.routes.publish(*table(2, rig))
        await rig.until(lambda: rig.routes.acknowledged() == 2)

    tell(story)


def test_one_that_hangs_holds_everybody_up_until_it_is_gone(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        await rig.start(0)
        await rig.start(1)
        await rig.until(lambda: rig.routes.acknowledged() == 1)
        rig.hang(1)
        rig.routes.publish(*table(2, rig))
        with suppress(AssertionError, TimeoutError):  # in virtual time, nothing is left to happen
            async with asyncio.timeout(0.3):
                await rig.until(lambda: rig.routes.acknowledged() == 2)
        assert rig.routes.acknowledged() == 1
        rig.kill(1)
        await rig.until(lambda: rig.routes.acknowledged() == 2)

    tell(story)


def test_one_that_comes_back_serves_the_newest(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        await rig.start(0)
        await rig.until(lambda: rig.routes.acknowledged() == 1)
        rig.kill(0)
        assert rig.routes.acknowledged() is None
        for version in (2, 3):
            rig.routes.publish(*table(version, rig))
        await rig.start(0)
        await rig.until(lambda: rig.routes.acknowledged() == 3)

    tell(story)


def test_a_change_for_another_version_brings_the_whole_table(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        await rig.start(0)
        await rig.until(lambda: rig.routes.acknowledged() == 1)
        newest, change = table(7, rig)
        rig.routes.publish(newest, replace(change, base=6))
        await rig.until(lambda: rig.routes.acknowledged() == 7)

    tell(story)


def test_requests_inside_are_counted_over_all_that_live(tell: Callable[[Story], None]) -> None:
    async def story(rig: Rig) -> None:
        rig.routes.publish(*table(1, rig))
        await rig.start(0)
        await rig.start(1)
        await rig.until(lambda: rig.routes.acknowledged() == 1)
        await rig.invoke(0)
        await rig.invoke(0)
        await rig.invoke(1)
        assert rig.routes.outstanding((2, 3)) == {3: 3}
        rig.kill(0)
        await rig.until(lambda: rig.routes.outstanding((2, 3)) == {3: 1})
        rig.answer_all()
        await rig.until(lambda: rig.routes.outstanding((2, 3)) == {})

    tell(story)
