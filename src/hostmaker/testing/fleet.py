"""A node without processes: the true life of instances (`fleet.instance`) on a clock that the test moves.

It stands at the port `Node`. An instance goes the `Course` that the test gives it; `kill`, `hang`, `recover` and
`part` are the world's accidents. Nothing happens by itself: `advance` performs what is due, `next_at` says when
something will be, and an instance that is simply healthy costs no events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from hostmaker.domain.fleet import (
    FailureKind,
    InstanceFact,
    InstanceFailure,
    InstanceSpec,
    InstanceState,
    Known,
    Unknown,
)
from hostmaker.domain.messages import DesiredInstances
from hostmaker.fleet.instance import (
    Effect,
    EndPreparation,
    Event,
    Exited,
    Life,
    Pinged,
    PreparedOk,
    PrepareFailed,
    RememberHealth,
    Removed,
    RemoveDirectory,
    Started,
    StartProcess,
    StopProcess,
    Tell,
    Unwanted,
    step,
)
from hostmaker.kit.clock import Clock

DIGEST = "sha256:" + "0" * 64
PREPARATION_ENDED = InstanceFailure(FailureKind.IMAGE, "Its preparation was ended.")


@dataclass(frozen=True, slots=True)
class Course:
    """How an instance goes, in seconds of steady time.

    `exits[k]` ends the process of start k that many seconds after it began (fewer entries: it lives on).
    """

    prepare_s: float = 1.0
    prepare_failure: InstanceFailure | None = None
    healthy_after_s: float | None = 1.0  # after the start of the process; None: never
    exits: tuple[float, ...] = ()
    stop_s: float = 0.1


@dataclass(slots=True)
class _Instance:
    """One instance: its life, what is under way (by due second), and whether it answers pings."""

    spec: InstanceSpec
    course: Course
    life: Life
    since: datetime
    pending: list[tuple[float, Event]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    hangs: bool = False
    is_prepared: bool = False

    def answers(self, now: float) -> bool:
        after = self.course.healthy_after_s
        return not self.hangs and after is not None and now - self.life.started_at >= after

    def next_at(self) -> float | None:
        """Steady second of the next event; the pings of a healthy instance that go on answering are none."""
        probe_at = self.life.probe_at
        is_quiet = self.life.state is InstanceState.HEALTHY and not self.hangs and self.life.failed_pings == 0
        times = [due for due, _ in self.pending]
        if probe_at is not None and not is_quiet:
            times.append(probe_at)
        return min(times, default=None)


class FakeFleet:
    """A node in memory. `changed` is called when a fact has changed."""

    def __init__(
        self,
        clock: Clock,
        course: Callable[[InstanceSpec], Course] = lambda _: Course(),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._course = course
        self._changed = changed
        self._generation = 0
        self._instances: dict[str, _Instance] = {}
        self._parted_since: datetime | None = None

    # Port `Node`

    def put(self, desired: DesiredInstances) -> None:
        """Take the whole set that should run; an older generation is refused."""
        if desired.generation < self._generation:
            return
        self._generation = desired.generation
        wanted = {spec.instance_id: spec for spec in desired.instances}
        for ident in self._instances.keys() - wanted.keys():
            self._take(self._instances[ident], Unwanted())
        for ident in wanted.keys() - self._instances.keys():
            self._begin(wanted[ident])
        self._changed()

    def seen(self) -> Known | Unknown:
        """Give the facts."""
        if self._parted_since is not None:
            return Unknown(self._parted_since)
        facts = {ident: self._fact(instance) for ident, instance in self._instances.items()}
        return Known(self._generation, facts)

    # The world's accidents

    def kill(self, instance_id: str, signal: str = "SIGKILL") -> None:
        """End the process of an instance."""
        instance = self._instances[instance_id]
        assert instance.life.pid is not None, f"{instance_id} has no process"
        self._exit(instance, Exited(signal=signal))

    def hang(self, instance_id: str) -> None:
        """Let an instance answer no ping from now on."""
        instance = self._instances[instance_id]
        instance.hangs = True
        if instance.life.probe_at is not None:
            instance.life = replace(instance.life, probe_at=max(instance.life.probe_at, self._clock.steady()))

    def recover(self, instance_id: str) -> None:
        """Let it answer again."""
        self._instances[instance_id].hangs = False

    def part(self) -> None:
        """Lose the link: facts are unknown, instances go on."""
        self._parted_since = self._clock.now()
        self._changed()

    def rejoin(self) -> None:
        """Have the link again."""
        self._parted_since = None
        self._changed()

    def log(self, instance_id: str) -> tuple[str, ...]:
        """Give the platform's lines in the log of an instance."""
        return tuple(self._instances[instance_id].lines)

    # Time

    def next_at(self) -> float | None:
        """Steady second at which something happens next."""
        return min((at for i in self._instances.values() if (at := i.next_at()) is not None), default=None)

    def advance(self) -> None:
        """Perform everything that is due now, in the order of time."""
        while (at := self.next_at()) is not None and at <= self._clock.steady():
            instance = next(i for i in self._instances.values() if i.next_at() == at)
            self._take(instance, self._next_event(instance, at))

    def _next_event(self, instance: _Instance, at: float) -> Event:
        for index, (due, event) in enumerate(instance.pending):
            if due == at:
                del instance.pending[index]
                return event
        is_good = instance.answers(at)
        instance.life = replace(instance.life, probe_at=None)
        return Pinged(200 if is_good else None, "200" if is_good else "no answer", instance.life.starts)

    # One instance

    def _begin(self, spec: InstanceSpec) -> None:
        life = Life(startup_timeout_s=spec.startup_timeout.total_seconds())
        instance = self._instances[spec.instance_id] = _Instance(spec, self._course(spec), life, self._clock.now())
        failure = instance.course.prepare_failure
        ready = PreparedOk() if failure is None else PrepareFailed(failure)
        instance.pending.append((self._clock.steady() + instance.course.prepare_s, ready))

    def _take(self, instance: _Instance, event: Event) -> None:
        before = instance.life
        instance.is_prepared = instance.is_prepared or isinstance(event, PreparedOk)
        instance.life, effects = step(before, event, self._clock.steady())
        for effect in effects:
            self._perform(instance, effect)
        if instance.life.state is InstanceState.GONE:
            del self._instances[instance.spec.instance_id]
        if instance.life.state is not before.state or instance.life.pid != before.pid:
            instance.since = self._clock.now()
            self._changed()

    def _perform(self, instance: _Instance, effect: Effect) -> None:
        now = self._clock.steady()
        match effect:
            case Tell(text):
                instance.lines.append(text)
            case EndPreparation():
                if any(isinstance(event, PreparedOk | PrepareFailed) for _, event in instance.pending):
                    instance.pending = [(now, PrepareFailed(PREPARATION_ENDED))]
            case StartProcess():
                number = instance.life.starts
                instance.pending.append((now, Started(pid=1000 * (number + 1))))
                if number < len(instance.course.exits):
                    instance.pending.append((now + instance.course.exits[number], Exited(code=1)))
            case StopProcess():
                instance.pending = [(now + instance.course.stop_s, Exited(signal="SIGTERM"))]
            case RemoveDirectory():
                instance.pending.append((now, Removed()))
            case RememberHealth():
                pass  # a fake node has no restarts of its own: its memory is what it knows
            case _:
                assert_never(effect)

    def _exit(self, instance: _Instance, how: Exited) -> None:
        instance.pending = [(due, event) for due, event in instance.pending if not isinstance(event, Exited)]
        self._take(instance, how)

    def _fact(self, instance: _Instance) -> InstanceFact:
        life, ident = instance.life, instance.spec.instance_id
        serving = life.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
        image = instance.spec.resolved_image or f"{instance.spec.container.image.partition(':')[0]}@{DIGEST}"
        return InstanceFact(
            instance_id=ident,
            state=life.state,
            since=instance.since,
            socket=f"/fake/{ident}.sock" if serving else None,
            pid=life.pid,
            resolved_image=image if instance.is_prepared else None,
            resolved_at=instance.since if instance.is_prepared else None,
            failure=life.failure,
        )
