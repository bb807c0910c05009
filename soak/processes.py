"""Real processes under load, killed one after the other: whatever fails had reached what was killed."""

from __future__ import annotations

import io
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import typer

from hostmaker.cli.server import ask_control
from hostmaker.fleet.watch import process
from hostmaker.planner.limits import Limits
from soak.load import Invocation, Load

VICTIMS = ("control", "node", "gateway", "instance", "keeper", "store")
WHOLE_WITHIN_S = 60.0
MINUTE_S = 61.0
SETTLED_S = Limits().settled_s + 1.0
NEAR_S = 0.25  # between the signal, what it does to connections, and what we see of it


@dataclass(slots=True)
class Kill:
    """One accident, in steady seconds. `back_s` is how long it took until everything was whole again."""

    victim: str
    at: float
    back_s: float = 0.0
    management_s: float = 0.0
    failed: int = 0
    unavailable: int = 0


@dataclass(slots=True)
class Report:
    """What the kills did. `unexplained` are failures that no kill accounts for."""

    kills: list[Kill]
    invocations: int
    start_s: float
    unexplained: list[Invocation] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class House:
    """The server under attack. `ready` reads its ready file anew; `status` is what `hostmaker status` asks for."""

    data_dir: Path
    ready: Callable[[], dict[str, object]]
    stop: Callable[[], None]

    def status(self) -> dict[str, object]:
        """Give what control says of its endpoints, nothing while it is away."""
        try:
            with redirect_stderr(io.StringIO()):
                return dict(ask_control(self.data_dir, "/_hostmaker/status"))
        except (typer.Exit, ValueError):
            return {}

    def pids(self, victim: str) -> list[int]:
        """Give the processes of a kind."""
        if victim != "instance":
            return list(self.ready()["pids"][victim])  # type: ignore[index]
        return [int(each["pid"]) for each in self._instances() if each["pid"]]

    def is_whole(self, before: dict[str, list[int]], killed: int) -> bool:
        """Tell whether every role and instance runs, and none of them is the one that was killed."""
        instances = self._instances()
        now = {victim: self.pids(victim) for victim in VICTIMS if victim != "instance"}
        now["instance"] = [int(each["pid"]) for each in instances if each["pid"]]
        healthy = [each for each in instances if each["state"] == "healthy" and each["phase"] == "in service"]
        return (
            all(len(now[victim]) >= len(before[victim]) for victim in VICTIMS)
            and not any(killed in pids for pids in now.values())
            and len(healthy) == len(before["instance"])
        )

    def _instances(self) -> list[dict[str, str]]:
        endpoints = self.status().get("endpoints", [])
        assert isinstance(endpoints, list)
        return [instance for endpoint in endpoints for instance in endpoint["instances"]]


def attack(house: House, endpoint: str, kills: int, per_second: float, seed: int, start_s: float) -> Report:
    """Kill at random moments under load, each time when everything is whole again; then stop the server."""
    chance = random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
    ready = {key: str(value) for key, value in house.ready().items()}
    load = Load(ready, endpoint, per_second).start()
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    chance.shuffle(victims)
    done = list[Kill]()
    try:
        for victim in victims:
            time.sleep(chance.uniform(0.3, 1.5))
            _make_room(house, victim, done)
            done.append(_kill(house, victim, chance))
        time.sleep(1.0)
    finally:
        invocations = load.stop()
    report = Report(done, len(invocations), start_s)
    for invocation in invocations:
        if invocation.outcome != 200:
            _explain(invocation, report)
    house.stop()
    report.left = leftovers(house.data_dir)
    return report


def _make_room(house: House, victim: str, done: list[Kill]) -> None:
    """Wait until the minute has room for the replacements: more than ten a minute of a variant would have to wait.

    That bound has tests of its own; here it would only hide how long a replacement takes.
    """
    if victim not in ("instance", "keeper"):
        return
    size = len(house.pids("instance"))
    while True:
        now = time.monotonic()
        recent = [kill for kill in done if kill.victim in ("instance", "keeper") and now - kill.at < MINUTE_S]
        starts = sum(1 if kill.victim == "instance" else size for kill in recent)
        if starts + (1 if victim == "instance" else size) <= Limits().starts_a_minute:
            return
        time.sleep(0.5)


def _kill(house: House, victim: str, chance: random.Random) -> Kill:
    before = {each: house.pids(each) for each in VICTIMS}
    pid = chance.choice(before[victim])
    # What has long been in service: where replacements fail again and again, the next one has to wait.
    if victim == "instance":
        pid = max(before[victim], key=_age_s)
        time.sleep(max(0.0, SETTLED_S - _age_s(pid)))
    elif victim == "keeper":
        time.sleep(max(0.0, SETTLED_S - min(map(_age_s, before["instance"]))))
    kill = Kill(victim, time.monotonic())
    os.kill(pid, signal.SIGKILL)
    if victim == "control":
        _until(lambda: bool(house.status()), lambda: "control does not answer")
        kill.management_s = time.monotonic() - kill.at
    _until(lambda: house.is_whole(before, pid), lambda: f"{victim} {pid} {before} {house.status()}")
    kill.back_s = time.monotonic() - kill.at
    return kill


def _explain(invocation: Invocation, report: Report) -> None:
    """Count a failure with the kill that accounts for it.

    1. A broken connection: a gateway was killed while it was open.
    2. A broken answer (424): an instance was killed, or the keeper with all of them, while it was inside.
    3. Nothing to take it (503): after the keeper's death, until its instances were back.
    """
    for kill in report.kills:
        during = invocation.began_at - NEAR_S <= kill.at <= invocation.ended_at + NEAR_S
        until_back = kill.at - NEAR_S <= invocation.began_at <= kill.at + kill.back_s
        if (invocation.outcome == 0 and kill.victim == "gateway" and during) or (
            invocation.outcome == 424 and kill.victim in ("instance", "keeper") and during
        ):
            kill.failed += 1
            return
        if invocation.outcome == 503 and kill.victim == "keeper" and until_back:
            kill.unavailable += 1
            return
    report.unexplained.append(invocation)


def leftovers(data_dir: Path) -> list[str]:
    """Name what a stopped server has left: processes, instance directories' sockets, held locks."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(data_dir) in words:
                found.append(f"process {path.name}: {words}")
    found += [str(path) for path in data_dir.rglob("*.sock")]
    return found + [str(path) for path in data_dir.glob("run/i/*")]


def _age_s(pid: int) -> float:
    found = process(pid)
    return found.age_s() if found is not None else 0.0


def _until(is_true: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + WHOLE_WITHIN_S
    while not is_true():
        assert time.monotonic() < deadline, f"it is not whole again: {told()}"
        time.sleep(0.02)
