"""The life of one instance as a machine: what happened in, what to do out. Pure; time comes in as steady seconds.

preparing -> starting -> healthy <-> unhealthy -> stopping -> gone, and failed from anywhere before stopping.

**Invariant:** healthy only after a good ping of the process that runs. Failed always with a cause. What is unwanted is
removed as soon as its process and its preparation have ended, and never before. What failed is never started again: its
files go as soon as nothing of it runs, because what comes next (the record of the failure, a replacement) needs room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceState
from hostmaker.kit.backoff import backoff_s

FAILED_PINGS = 3  # in a row, before a healthy instance is unhealthy
MOST_STARTS = 2  # a process that ends before its first healthy ping is started once more


@dataclass(frozen=True, slots=True)
class Periods:
    """Seconds between probes: after a start quick ones first, doubling up to `startup_s`; `healthy_s` later."""

    first_s: float = 0.05
    startup_s: float = 1.0
    healthy_s: float = 5.0


# What happens


@dataclass(frozen=True, slots=True)
class PreparedOk:
    """The instance can be started."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """It cannot, or its preparation was ended."""

    failure: InstanceFailure


@dataclass(frozen=True, slots=True)
class Found:
    """A process that an earlier agent has started runs, since `age_s` seconds.

    `was_healthy` is what that agent knew last; None: it has not been healthy yet.
    """

    pid: int
    age_s: float
    was_healthy: bool | None


@dataclass(frozen=True, slots=True)
class FoundFailed:
    """It has failed already, under an earlier agent; `pid` is what still runs of it."""

    failure: InstanceFailure
    pid: int | None


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
    """A probe of the process of the `start`-th start came back: an HTTP status, or None; `detail` is for people."""

    status: int | None
    detail: str
    start: int
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended."""

    code: int | None = None
    signal: str | None = None
    memory_kill: bool = False
    keeper_ended: bool = False
    memory_limit: str = "its instance type has"  # what it may use, in words


@dataclass(frozen=True, slots=True)
class Overfilled:
    """It has written too much to disk and has to end at once; `cause` says how much."""

    cause: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """It is no longer in the desired set."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Nothing of it is left."""


Event: TypeAlias = (
    PreparedOk
    | PrepareFailed
    | Found
    | FoundFailed
    | Started
    | NotStarted
    | Pinged
    | Exited
    | Overfilled
    | Unwanted
    | Removed
)


# What to do


@dataclass(frozen=True, slots=True)
class EndPreparation:
    """End the preparation, if it runs; it then fails."""


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Ask the keeper to start the process."""


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Ask the keeper to stop it, `at_once` without giving it time to end by itself."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Remove its model and what it has written; its records and its log stay."""


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove what is left of it."""


@dataclass(frozen=True, slots=True)
class RememberHealth:
    """Keep for the next agent whether this process is healthy."""

    is_healthy: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a line into the instance's log."""

    text: str


Effect: TypeAlias = EndPreparation | StartProcess | StopProcess | RemoveFiles | RemoveDirectory | RememberHealth | Tell


@dataclass(frozen=True, slots=True)
class Life:
    """How far an instance has come. `window_from`, `started_at` and `probe_at` are steady seconds.

    The start-up window runs from the first start: a second start does not prolong it.
    """

    startup_timeout_s: float
    periods: Periods = Periods()
    state: InstanceState = InstanceState.PREPARING
    starts: int = 0
    pid: int | None = None
    window_from: float | None = None
    started_at: float = 0.0
    probe_at: float | None = None
    probes: int = 0  # of this start, until healthy
    answers: int = 0  # those of them that had a status
    last_status: int | None = None
    last_answer: str = ""
    failed_pings: int = 0
    failure: InstanceFailure | None = None
    is_wanted: bool = True


Step: TypeAlias = tuple[Life, tuple[Effect, ...]]


def step(life: Life, event: Event, now: float) -> Step:
    """Give the life after `event` at steady second `now`, and what to do."""
    match event:
        case PreparedOk():
            return life, (StartProcess(),) if life.is_wanted else (RemoveDirectory(),)
        case PrepareFailed(failure):
            return _not_begun(life, failure)
        case NotStarted(error):
            return _not_begun(life, InstanceFailure(FailureKind.PING, f"Its process could not be started: {error}."))
        case Found():
            return _found(life, event, now)
        case FoundFailed(failure, pid):
            found = replace(life, state=InstanceState.FAILED, failure=failure, pid=pid)
            return found, (StopProcess(),) if pid is not None else (RemoveFiles(),)
        case Started(pid):
            return _started(life, pid, now)
        case Pinged():
            return _pinged(life, event, now)
        case Exited():
            return _exited(life, event, now)
        case Overfilled(cause):
            return _overfilled(life, cause)
        case Unwanted():
            return _unwanted(life)
        case Removed():
            return replace(life, state=InstanceState.GONE, pid=None, probe_at=None), ()
        case _:
            assert_never(event)


def _not_begun(life: Life, failure: InstanceFailure) -> Step:
    return _fail(life, failure) if life.is_wanted else (life, (RemoveDirectory(),))


def _found(life: Life, found: Found, now: float) -> Step:
    states = {None: InstanceState.STARTING, True: InstanceState.HEALTHY, False: InstanceState.UNHEALTHY}
    running = replace(
        life,
        state=states[found.was_healthy],
        starts=1,
        pid=found.pid,
        window_from=now - found.age_s,
        started_at=now - found.age_s,
        probe_at=now,
    )
    return running, (Tell(f"process {found.pid} is watched again after a restart of the node agent"),)


def _started(life: Life, pid: int, now: float) -> Step:
    started = replace(
        life,
        state=InstanceState.STARTING,
        starts=life.starts + 1,
        pid=pid,
        window_from=now if life.window_from is None else life.window_from,
        started_at=now,
        probe_at=now + life.periods.first_s,
        probes=0,
        answers=0,
        last_status=None,
        last_answer="",
    )
    if not life.is_wanted:
        return replace(started, state=InstanceState.STOPPING, probe_at=None), (StopProcess(),)
    return started, (Tell(f"started as process {pid}"),)


def _pinged(life: Life, ping: Pinged, now: float) -> Step:
    if life.pid is None or ping.start != life.starts:
        return life, ()  # it asked a process that has ended meanwhile
    match life.state:
        case InstanceState.STARTING:
            return _pinged_starting(life, ping, now)
        case InstanceState.HEALTHY | InstanceState.UNHEALTHY:
            return _pinged_running(life, ping, now)
        case _:
            return life, ()


def _pinged_starting(life: Life, ping: Pinged, now: float) -> Step:
    after = f"{now - life.started_at:.2f} s after its start"
    if ping.status == 200:
        healthy = replace(life, state=InstanceState.HEALTHY, probe_at=now + life.periods.healthy_s, failed_pings=0)
        told = f"healthy: /ping answered 200 in {_ms(ping)}, {after}, at probe {life.probes + 1}"
        return healthy, (Tell(told), RememberHealth(True))
    asked = replace(
        life,
        probes=life.probes + 1,
        answers=life.answers + (ping.status is not None),
        last_status=ping.status,
        last_answer=ping.detail,
    )
    if _window_is_over(asked, now):
        failed, effects = _fail(asked, InstanceFailure(FailureKind.PING, _never_healthy(asked, now)))
        return failed, (*effects, StopProcess())
    wait = backoff_s(life.probes, life.periods.first_s, life.periods.startup_s)
    is_news = ping.detail != life.last_answer
    news = Tell(f"probe {asked.probes} of /ping: {ping.detail} in {_ms(ping)}, {after}; it goes on")
    return replace(asked, probe_at=now + wait), (news,) if is_news else ()


def _never_healthy(life: Life, now: float) -> str:
    window = f"GET /ping did not answer 200 within {life.startup_timeout_s:g} s"
    tried = f"tried {life.probes} times in the {now - life.started_at:.0f} s since its process started"
    return f"{window}: {tried}, answered {life.answers} times; last: {life.last_answer}."


def _ms(ping: Pinged) -> str:
    return f"{ping.took_s * 1000:.0f} ms"


def _pinged_running(life: Life, ping: Pinged, now: float) -> Step:
    if ping.status == 200:
        healthy = replace(life, state=InstanceState.HEALTHY, probe_at=now + life.periods.healthy_s, failed_pings=0)
        came_back = life.state is InstanceState.UNHEALTHY
        if came_back:
            return healthy, (Tell(f"healthy again: /ping answered 200 in {_ms(ping)}"), RememberHealth(True))
        return healthy, (Tell(f"/ping answered 200 again, in {_ms(ping)}"),) if life.failed_pings else ()
    failed = life.failed_pings + 1
    after = replace(life, probe_at=now + life.periods.healthy_s, failed_pings=failed)
    if life.state is InstanceState.UNHEALTHY:
        return after, ()
    told = Tell(f"ping failed ({failed} in a row): {ping.detail} in {_ms(ping)}")
    if failed < FAILED_PINGS:
        return after, (told,)
    unhealthy = Tell(f"unhealthy: {FAILED_PINGS} pings in a row failed")
    return replace(after, state=InstanceState.UNHEALTHY), (told, unhealthy, RememberHealth(False))


def _exited(life: Life, how: Exited, now: float) -> Step:
    words = describe_exit(how)
    ended = replace(life, pid=None, probe_at=None)
    if not life.is_wanted:
        return ended, (Tell(f"ended with {words}"), RemoveDirectory())
    match life.state:
        case InstanceState.FAILED:
            return ended, (Tell(f"ended with {words}"), RemoveFiles())
        case InstanceState.STARTING if life.starts < MOST_STARTS and not _window_is_over(life, now):
            again = Tell(f"ended with {words} before its first healthy ping; it is started once more")
            return ended, (again, StartProcess())
        case InstanceState.STARTING:
            often = ", twice" if life.starts > 1 else ""
            cause = f"Its process ended with {words} before its first healthy ping{often}."
        case _:
            cause = f"Its process ended with {words}."
    return _fail(ended, InstanceFailure(FailureKind.PING, cause, how.code, how.signal))


def _overfilled(life: Life, cause: str) -> Step:
    if life.pid is None:
        return life, ()  # it has ended meanwhile
    if not life.is_wanted or life.state is InstanceState.FAILED:
        return life, (StopProcess(at_once=True),)
    failed, effects = _fail(life, InstanceFailure(FailureKind.PING, cause))
    return failed, (*effects, StopProcess(at_once=True))


def _unwanted(life: Life) -> Step:
    if not life.is_wanted or life.state is InstanceState.GONE:
        return life, ()
    unwanted = replace(life, is_wanted=False, state=InstanceState.STOPPING, probe_at=None)
    # 1. A process runs: its end will be told. 2. It is being prepared or about to start: how that ended will be told.
    # 3. It has failed, and nothing of it runs.
    if life.pid is not None:
        return unwanted, (Tell("is being stopped: it is no longer wanted"), StopProcess())
    if life.state in (InstanceState.PREPARING, InstanceState.STARTING):
        return unwanted, (EndPreparation(),)
    return unwanted, (RemoveDirectory(),)


def _fail(life: Life, failure: InstanceFailure) -> Step:
    failed = replace(life, state=InstanceState.FAILED, failure=failure, probe_at=None)
    told = Tell(f"failed: {failure.cause}")
    return failed, (told,) if life.pid is not None else (told, RemoveFiles())


def _window_is_over(life: Life, now: float) -> bool:
    return life.window_from is not None and now - life.window_from >= life.startup_timeout_s


def describe_exit(how: Exited) -> str:
    """Say how a process ended."""
    if how.memory_kill:
        return f"signal {how.signal} because it used more memory than {how.memory_limit}"
    if how.keeper_ended:
        return f"signal {how.signal} because the keeper, its parent, died"
    if how.signal is None and how.code is None:
        return "an exit that was not recorded"
    return f"signal {how.signal}" if how.signal else f"exit code {how.code}"
