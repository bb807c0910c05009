"""The life of one instance as a machine: what happened in, what to do out. Pure; time comes in as steady seconds.

preparing -> starting -> healthy <-> unhealthy -> stopping -> gone, and failed from anywhere before stopping.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceState

FAILED_PINGS = 3  # in a row, before a healthy instance is unhealthy
FIRST_PROBE_S = 0.05
STARTUP_PROBE_S = 1.0
HEALTHY_PROBE_S = 5.0


# What happens


@dataclass(frozen=True, slots=True)
class PreparedOk:
    """The instance can be started."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """It cannot."""

    failure: InstanceFailure


@dataclass(frozen=True, slots=True)
class Started:
    """Its process runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Its process could not be started."""

    error: str


@dataclass(frozen=True, slots=True)
class Pinged:
    """A probe came back: an HTTP status, or None and what went wrong."""

    status: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended."""

    code: int | None
    signal: str | None
    memory_kill: bool = False


@dataclass(frozen=True, slots=True)
class Unwanted:
    """It is no longer in the desired set."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Nothing of it is left."""


Event: TypeAlias = PreparedOk | PrepareFailed | Started | NotStarted | Pinged | Exited | Unwanted | Removed


# What to do


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Ask the keeper to start the process."""


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Ask the keeper to stop it."""


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove what is left of it."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a line into the instance's log."""

    text: str


Effect: TypeAlias = StartProcess | StopProcess | RemoveDirectory | Tell


@dataclass(frozen=True, slots=True)
class Life:
    """How far an instance has come. `started_at` and `probe_at` are steady seconds."""

    state: InstanceState = InstanceState.PREPARING
    startup_timeout_s: float = 480.0
    starts: int = 0
    pid: int | None = None
    started_at: float = 0.0
    probe_at: float | None = None
    probes: int = 0
    failed_pings: int = 0
    last_ping: str = ""
    failure: InstanceFailure | None = None
    is_wanted: bool = True
    answers: dict[str, int] = field(default_factory=dict)


Step: TypeAlias = tuple[Life, tuple[Effect, ...]]


def step(life: Life, event: Event, now: float) -> Step:
    """Give the life after `event` at steady second `now`, and what to do."""
    match event:
        case PreparedOk():
            return life, (StartProcess(),) if life.is_wanted else (RemoveDirectory(),)
        case PrepareFailed(failure):
            if not life.is_wanted:
                return life, (RemoveDirectory(),)
            return _fail(life, failure)
        case Started(pid):
            return _started(life, pid, now)
        case NotStarted(error):
            if not life.is_wanted:
                return life, (RemoveDirectory(),)
            return _fail(life, InstanceFailure(FailureKind.PING, f"Its process could not be started: {error}."))
        case Pinged():
            return _pinged(life, event, now)
        case Exited():
            return _exited(life, event)
        case Unwanted():
            return _unwanted(life)
        case Removed():
            return replace(life, state=InstanceState.GONE, pid=None, probe_at=None), ()
        case _:
            assert_never(event)


def _started(life: Life, pid: int, now: float) -> Step:
    started = replace(
        life,
        state=InstanceState.STARTING,
        starts=life.starts + 1,
        pid=pid,
        started_at=now,
        probe_at=now + FIRST_PROBE_S,
        probes=0,
        failed_pings=0,
        answers={},
    )
    if not life.is_wanted:
        return replace(started, state=InstanceState.STOPPING, probe_at=None), (StopProcess(),)
    return started, (Tell(f"started as process {pid}"),)


def _pinged(life: Life, ping: Pinged, now: float) -> Step:
    match life.state:
        case InstanceState.STARTING:
            return _pinged_starting(life, ping, now)
        case InstanceState.HEALTHY | InstanceState.UNHEALTHY:
            return _pinged_running(life, ping, now)
        case _:
            return replace(life, probe_at=None), ()


def _pinged_starting(life: Life, ping: Pinged, now: float) -> Step:
    took = now - life.started_at
    if ping.status == 200:
        healthy = replace(life, state=InstanceState.HEALTHY, probe_at=now + HEALTHY_PROBE_S, failed_pings=0)
        return healthy, (Tell(f"healthy: /ping answered 200 after {took:.2f} s"),)
    answer = f"status {ping.status}" if ping.status is not None else ping.detail
    answers = {**life.answers, answer: life.answers.get(answer, 0) + 1}
    if took >= life.startup_timeout_s:
        told = ", ".join(f"{count} x {what}" for what, count in answers.items())
        cause = f"GET /ping did not answer 200 within {life.startup_timeout_s:g} s of the start ({told})."
        failed, effects = _fail(life, InstanceFailure(FailureKind.PING, cause))
        return failed, (*effects, StopProcess())
    wait = min(STARTUP_PROBE_S, FIRST_PROBE_S * 2 ** min(life.probes, 10))
    probing = replace(life, probe_at=now + wait, probes=life.probes + 1, answers=answers)
    is_news = ping.status is not None and answer not in life.answers
    return probing, (Tell(f"/ping answered {answer} after {took:.2f} s"),) if is_news else ()


def _pinged_running(life: Life, ping: Pinged, now: float) -> Step:
    if ping.status == 200:
        healthy = replace(life, state=InstanceState.HEALTHY, probe_at=now + HEALTHY_PROBE_S, failed_pings=0)
        came_back = life.state is InstanceState.UNHEALTHY
        return healthy, (Tell("healthy again: /ping answered 200"),) if came_back else ()
    answer = f"status {ping.status}" if ping.status is not None else ping.detail
    failed = life.failed_pings + 1
    after = replace(life, probe_at=now + HEALTHY_PROBE_S, failed_pings=failed, last_ping=answer)
    told = Tell(f"ping {failed} in a row failed: {answer}")
    if failed < FAILED_PINGS:
        return replace(after, probe_at=now + STARTUP_PROBE_S), (told,)
    return replace(after, state=InstanceState.UNHEALTHY), (told,) if life.state is InstanceState.HEALTHY else ()


def _exited(life: Life, how: Exited) -> Step:
    words = describe_exit(how)
    ended = replace(life, pid=None, probe_at=None)
    match life.state:
        case InstanceState.STOPPING:
            return ended, (Tell(f"ended with {words}"), RemoveDirectory())
        case InstanceState.FAILED:
            return ended, ()
        case InstanceState.STARTING if life.starts < 2 and life.is_wanted:
            again = Tell(f"ended with {words} before its first healthy ping; it is started once more")
            return ended, (again, StartProcess())
        case InstanceState.STARTING:
            cause = f"Its process ended with {words} before its first healthy ping, twice."
        case _:
            cause = f"Its process ended with {words}."
    return _fail(ended, InstanceFailure(FailureKind.PING, cause, how.code, how.signal))


def _unwanted(life: Life) -> Step:
    if not life.is_wanted:
        return life, ()
    unwanted = replace(life, is_wanted=False, probe_at=None)
    if life.pid is not None:
        return replace(unwanted, state=InstanceState.STOPPING), (Tell("is being stopped"), StopProcess())
    if life.state in (InstanceState.PREPARING, InstanceState.STARTING):
        # Its preparation is being ended, or its process about to start: how that ended will be told.
        return replace(unwanted, state=InstanceState.STOPPING), ()
    return replace(unwanted, state=InstanceState.STOPPING), (RemoveDirectory(),)


def _fail(life: Life, failure: InstanceFailure) -> Step:
    failed = replace(life, state=InstanceState.FAILED, failure=failure, probe_at=None)
    return failed, (Tell(f"failed: {failure.cause}"),)


def describe_exit(how: Exited) -> str:
    """Say how a process ended."""
    if how.memory_kill:
        return f"signal {how.signal} because it used more memory than its instance type has"
    return f"signal {how.signal}" if how.signal else f"exit code {how.code}"
