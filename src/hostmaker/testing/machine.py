"""What there is on a fake machine: how instances go, their processes and directories, and what an agent remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from hostmaker.domain.fleet import InstanceFact, InstanceFailure, InstanceSpec, InstanceState
from hostmaker.fleet.instance import Exited, Life
from hostmaker.kit.backoff import backoff_s

NO_ANSWER = "no answer"
DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Course:
    """How an instance goes, in seconds of steady time.

    `exits[k]` ends the process of start k that many seconds after it began (fewer entries: it lives on). Its model
    answers 500 to a part `error_rate` of the invocations, and takes `takes_s` for each (None: as the traffic says).
    """

    prepare_s: float = 1.0
    prepare_failure: InstanceFailure | None = None
    healthy_after_s: float | None = 1.0  # after the start of the process; None: never
    exits: tuple[float, ...] = ()
    stop_s: float = 0.1
    error_rate: float = 0.0
    takes_s: float | None = None


class Doing(Enum):
    """What an agent has under way for an instance."""

    PREPARE = "prepare"
    START = "start"
    TELL_START = "tell start"
    REMOVE = "remove"


@dataclass(slots=True)
class Process:
    """A process below the keeper: it goes on without an agent."""

    pid: int
    began_at: float
    exits_at: float | None = None
    how: Exited = field(default_factory=lambda: Exited(code=1))  # it ends, when it does
    ended: Exited | None = None
    was_stopped: bool = False  # we asked it to end
    hangs: bool = False


@dataclass(slots=True)
class Directory:
    """What is on disk of an instance."""

    spec: InstanceSpec
    is_prepared: bool = False
    process: Process | None = None
    starts: int = 0
    failure: InstanceFailure | None = None
    health: tuple[int, bool] | None = None  # of which process
    lines: list[str] = field(default_factory=list)

    def running(self) -> Process | None:
        """Give its process, if that runs."""
        return self.process if self.process is not None and self.process.ended is None else None


@dataclass(slots=True)
class Runner:
    """What an agent has in memory of an instance. `doing` gives the due second of what is under way."""

    life: Life
    since: datetime
    doing: dict[Doing, float] = field(default_factory=dict)
    exit_to_tell: Exited | None = None
    is_cancelled: bool = False
    _told: tuple[Life, datetime, bool, InstanceFact] | None = None

    def fact(self, directory: Directory) -> InstanceFact:
        """Give what the agent tells of it; made anew only when something of it has changed."""
        life, since, told = self.life, self.since, self._told
        if told is None or told[0] is not life or told[1] is not since or told[2] != directory.is_prepared:
            fact = _fact(life, since, directory)
            self._told = told = (life, since, directory.is_prepared, fact)
        return told[3]


def _fact(life: Life, since: datetime, directory: Directory) -> InstanceFact:
    spec, is_prepared = directory.spec, directory.is_prepared
    serving = life.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
    image = spec.resolved_image or f"{spec.container.image.partition(':')[0]}@{DIGEST}"
    return InstanceFact(
        instance_id=spec.instance_id,
        state=life.state,
        since=since,
        socket=f"/fake/{spec.instance_id}.sock" if serving else None,
        pid=life.pid,
        resolved_image=image if is_prepared else None,
        resolved_at=since if is_prepared else None,
        failure=life.failure,
    )


def first_probe(life: Life, at: float) -> float:
    """Give when an instance that starts is asked first at or after `at`, or, where its window ends before, next."""
    assert life.probe_at is not None
    asked_at, probes = life.probe_at, life.probes
    while asked_at < at:
        asked_at += backoff_s(probes, life.periods.first_s, life.periods.startup_s)
        probes += 1
    return asked_at if asked_at < life.started_at + life.startup_timeout_s else life.probe_at
