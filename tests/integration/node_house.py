"""A real node agent and a real keeper, with control's true end of the link and instances that do as they are told.

What an instance does stands in its container's environment: `PREPARE` (ok, fail, die, hang, silent) for its
preparation, `SERVE` (well, exit, exit-once, late, refuse, mute, crash, stubborn) for its process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hostmaker.domain.fleet import InstanceFact, InstanceSpec, InstanceState, Known
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.model import Container
from hostmaker.fleet.agent import NodeAgent, NodeSettings, keeper_client
from hostmaker.fleet.instance import Periods
from hostmaker.kit.counts import Counts
from hostmaker.logs.write import append_line, tail
from hostmaker.reconciler.hub import Hub

WITHIN_S = 20.0
STOP_GRACE_S = 1.0
PERIODS = Periods(healthy_s=0.2)

PREPARE = """
import json, os, sys, time
directory = sys.argv[1]
spec = json.load(open(directory + "/spec.json"))
environment = spec["container"].get("environment", {})
what = environment.get("PREPARE", "ok")
print("preparing", flush=True)
if what == "fail":
    failure = {"kind": "data", "cause": "There is no such object."}
    json.dump(failure, open(directory + "/failure.json", "w"))
    sys.exit(3)
if what == "die":
    sys.exit("no space")
if what == "hang":
    time.sleep(600)
if what != "silent":
    os.makedirs(directory + "/model/read-only")
    open(directory + "/model/read-only/weights", "w").close()
    os.chmod(directory + "/model/read-only", 0o500)
    prepared = {
        "python": sys.executable, "cwd": directory, "resolved_image": "image@sha256:1",
        "argv": [sys.executable, "-I", "-S", INSTANCE, "@SOCKET@"], "env": environment,
    }
    json.dump(prepared, open(directory + "/prepared.json", "w"))
"""

INSTANCE = """
import os, signal, socket, sys, time
what = os.environ.get("SERVE", "well")
print("serving", what, flush=True)
if what == "exit" or (what == "exit-once" and not os.path.exists("started")):
    open("started", "w").close()
    print("no model", flush=True)
    sys.exit(7)
if what == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
began = time.monotonic()
while True:
    connection, _ = listener.accept()
    if what == "mute" or os.path.exists("mute"):
        continue
    connection.recv(4096)
    bad = what == "refuse" or os.path.exists("refuse") or (what == "late" and time.monotonic() - began < 0.4)
    status = b"500 Internal Server Error" if bad else b"200 OK"
    body = b"weights are missing" if bad else b""
    connection.sendall(b"HTTP/1.1 " + status + b"\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    connection.close()
"""


@dataclass
class House:
    """One machine, below `root`."""

    root: Path
    hub: Hub | None = None
    agent: asyncio.Task[None] | None = None
    generation: int = 0
    history: list[tuple[str, InstanceState]] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "d"

    @property
    def run(self) -> Path:
        return self.root / "r"

    def build(self) -> None:
        for directory in (self.data, self.run):
            directory.mkdir(exist_ok=True)
        (self.root / "instance.py").write_text(INSTANCE)
        (self.root / "prepare.py").write_text(PREPARE.replace("INSTANCE", repr(str(self.root / "instance.py"))))

    # Roles

    def start_control(self) -> None:
        self.hub = Hub(self.run, Counts(self.run / "counts"), lambda: datetime.now(UTC))
        self.hub.wake = self._record
        self._tasks.append(asyncio.create_task(self.hub.serve()))

    async def stop_control(self) -> None:
        assert self.hub is not None
        await end(self._tasks.pop())
        if self.hub._node is not None:
            self.hub._node.close()  # as the end of its process would
        self.hub = None

    def start_agent(self) -> None:
        argv = (sys.executable, "-I", "-S", str(self.root / "prepare.py"))
        how = NodeSettings("node-0", self.data, self.run, {}, argv, stop_grace_s=STOP_GRACE_S, periods=PERIODS)
        self.agent = asyncio.create_task(NodeAgent(how, lambda: datetime.now(UTC), append_line, tail).run())

    async def stop_agent(self) -> None:
        assert self.agent is not None
        await end(self.agent)
        self.agent = None

    async def leave(self) -> None:
        """End everything, as `hostmaker down` does."""
        if self.agent is not None:
            await self.stop_agent()
        await keeper_client(self.run, self.data).shutdown(STOP_GRACE_S)
        for task in self._tasks:
            await end(task)

    # What control does and sees

    def want(self, *specs: InstanceSpec, generation: int | None = None) -> None:
        assert self.hub is not None
        self.generation = self.generation + 1 if generation is None else generation
        self.hub.put(DesiredInstances(self.generation, specs))

    def fact(self, ident: str) -> InstanceFact | None:
        assert self.hub is not None
        seen = self.hub.seen()
        return seen.facts.get(ident) if isinstance(seen, Known) else None

    def state(self, ident: str) -> InstanceState | None:
        fact = self.fact(ident)
        return fact.state if fact is not None else None

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not condition():
            assert self.agent is None or not self.agent.done(), f"the agent ended: {self.agent}"
            assert time.monotonic() < deadline, f"not in time; history: {self.history}"
            await asyncio.sleep(0.01)

    async def until_state(self, ident: str, state: InstanceState) -> InstanceFact:
        await self.until(lambda: self.state(ident) is state)
        fact = self.fact(ident)
        assert fact is not None
        return fact

    async def until_gone(self, ident: str) -> None:
        assert self.hub is not None
        await self.until(lambda: self.knows() and self.fact(ident) is None)

    def knows(self) -> bool:
        """Tell whether the facts are about the set that was put last."""
        assert self.hub is not None
        seen = self.hub.seen()
        return isinstance(seen, Known) and seen.generation == self.generation

    def log(self, ident: str) -> str:
        path = self.data / "logs" / "us-east-1" / "house" / "one" / f"{ident}.log"
        return path.read_text() if path.exists() else ""

    def directory(self, ident: str) -> Path:
        return self.data / "instances" / ident

    def _record(self) -> None:
        assert self.hub is not None
        seen = self.hub.seen()
        for ident, fact in seen.facts.items() if isinstance(seen, Known) else ():
            if (ident, fact.state) not in self.history[-len(seen.facts) :]:  # type: ignore[union-attr]
                self.history.append((ident, fact.state))


def spec(ident: str, window_s: float = 480.0, **environment: str) -> InstanceSpec:
    return InstanceSpec(
        instance_id=ident,
        region="us-east-1",
        endpoint="house",
        variant="one",
        container=Container("image", environment=environment),
        instance_type="ml.m5.large",
        download_timeout=timedelta(seconds=1200),
        startup_timeout=timedelta(seconds=window_s),
    )


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def node_house(root: Path) -> AsyncIterator[House]:
    house = House(root)
    house.build()
    try:
        yield house
    finally:
        await house.leave()
