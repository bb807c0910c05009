"""A node without processes: agent, keeper and instance directories on a clock that the test moves.

It stands at the port `Node`. The life of instances is the true one (`fleet.instance`); an instance goes the `Course`
that the test gives it; `kill`, `hang`, `kill_keeper`, `crash`, `part` are the world's accidents. Nothing happens by
itself: `advance` performs what is due, `next_at` says when something will be, and an instance that is simply healthy
costs no events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from hostmaker.domain.fleet import (
    FailureKind,
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
    Found,
    FoundFailed,
    Life,
    Pinged,
    PreparedOk,
    PrepareFailed,
    RememberHealth,
    Removed,
    RemoveDirectory,
    RemoveFiles,
    Started,
    StartProcess,
    StopProcess,
    Tell,
    Unwanted,
    describe_exit,
    step,
)
from hostmaker.kit.clock import Clock
from hostmaker.testing.crash import CrashPoints
from hostmaker.testing.machine import NO_ANSWER, Course, Directory, Doing, Process, Runner, first_probe

PREPARATION_ENDED = InstanceFailure(FailureKind.IMAGE, "Its preparation was ended.")


class FakeFleet:
    """A node in memory. `changed` is called when a fact has changed, `told` for each line of an instance's log."""

    def __init__(
        self,
        clock: Clock,
        course: Callable[[InstanceSpec], Course] = lambda _: Course(),
        changed: Callable[[], None] = lambda: None,
        told: Callable[[InstanceSpec, str], None] = lambda _spec, _line: None,
        points: CrashPoints | None = None,
    ) -> None:
        self._clock = clock
        self.course = course
        self._changed = changed
        self._told = told
        self._points = points or CrashPoints()
        self._pids = 1000
        self._parted_since: datetime | None = None
        self._next: tuple[float, str] | None = None  # what happens next, unless `_is_changed` since
        self._is_changed = True
        # On disk
        self._kept: DesiredInstances | None = None
        self.directories: dict[str, Directory] = {}
        # In the agent's memory
        self.is_up = True
        self._runners: dict[str, Runner] = {}

    # Port `Node`

    def put(self, desired: DesiredInstances) -> None:
        """Take the whole set that should run; an older generation is refused."""
        if self._kept is not None and desired.generation < self._kept.generation:
            return
        self._is_changed = True

        def keep() -> None:
            self._kept = desired

        self._points.around("node", "keeping the desired set", keep)
        self._converge()
        self._changed()

    def seen(self) -> Known | Unknown:
        """Give the facts."""
        if self._parted_since is not None:
            return Unknown(self._parted_since)
        return self.facts()

    def facts(self) -> Known:
        """Give what the agent would tell now."""
        generation = self._kept.generation if self._kept is not None else 0
        return Known(
            generation, {ident: runner.fact(self.directories[ident]) for ident, runner in self._runners.items()}
        )

    # The world's accidents

    def kill(self, instance_id: str, signal: str = "SIGKILL") -> None:
        """End the process of an instance."""
        self._end(instance_id, self._process(instance_id), Exited(signal=signal))

    def kill_keeper(self) -> None:
        """End the keeper, and with it every instance; nobody records how they ended."""
        self._is_changed = True
        for ident, directory in list(self.directories.items()):
            if (process := directory.running()) is not None:
                self._end(ident, process, Exited(signal="SIGKILL", keeper_ended=True))

    def hang(self, instance_id: str) -> None:
        """Let an instance answer nothing from now on."""
        self._process(instance_id).hangs = True
        runner = self._runners.get(instance_id)
        if runner is not None and runner.life.probe_at is not None:
            runner.life = replace(runner.life, probe_at=max(runner.life.probe_at, self._clock.steady()))

    def recover(self, instance_id: str) -> None:
        """Let it answer again."""
        self._process(instance_id).hangs = False

    def _process(self, instance_id: str) -> Process:
        """Give the process of an instance, to which something happens now."""
        self._is_changed = True
        process = self.directories[instance_id].running()
        assert process is not None, f"{instance_id} has no process"
        return process

    def part(self) -> None:
        """Lose the link: facts are unknown, instances go on."""
        self._parted_since = self._clock.now()
        self._changed()

    def rejoin(self) -> None:
        """Have the link again."""
        self._parted_since = None
        self._changed()

    def crash(self) -> None:
        """Kill the agent: what it had in memory is gone, processes and directories are not."""
        self.is_up = False
        self._is_changed = True
        self._runners = {}

    def restart(self) -> None:
        """Start an agent, which finds what the one before has left."""
        self.is_up = self._is_changed = True
        for ident, directory in self.directories.items():
            self._take_up(ident, directory)
        self._converge()
        self._changed()

    def log(self, instance_id: str) -> tuple[str, ...]:
        """Give the platform's lines in the log of an instance."""
        return tuple(self.directories[instance_id].lines)

    # Time

    def next_at(self) -> float | None:
        """Steady second at which something happens next."""
        due = self._earliest()
        return due[0] if due is not None else None

    def advance(self) -> None:
        """Perform everything that is due now, in the order of time."""
        while (due := self._earliest()) is not None and due[0] <= self._clock.steady():
            self._is_changed = True
            self._perform_due(due[1], due[0])

    def _earliest(self) -> tuple[float, str] | None:
        if self._is_changed:
            self._next, self._is_changed = min(self._due(), default=None), False
        return self._next

    def _due(self) -> Iterator[tuple[float, str]]:
        for ident, directory in self.directories.items():
            process = directory.running()
            if process is not None and process.exits_at is not None:
                yield process.exits_at, ident
        for ident, runner in self._runners.items():
            if (at := self._runner_due(ident, runner)) is not None:
                yield at, ident

    def _runner_due(self, ident: str, runner: Runner) -> float | None:
        """Give when its agent does something next; pings that are answered as the one before are nothing."""
        if runner.exit_to_tell is not None:
            return self._clock.steady()
        life = runner.life
        at = min(runner.doing.values()) if runner.doing else None
        if life.probe_at is None or (at is not None and at <= life.probe_at):
            return at
        directory = self.directories.get(ident)
        process = directory.running() if directory is not None else None
        if directory is None or process is None or process.hangs:
            return life.probe_at
        if life.state is InstanceState.HEALTHY and life.failed_pings == 0:
            return at
        healthy_s = self.course(directory.spec).healthy_after_s
        if life.state is InstanceState.STARTING and life.last_answer == NO_ANSWER and healthy_s is not None:
            return first_probe(life, process.began_at + healthy_s)
        return life.probe_at

    def _perform_due(self, ident: str, at: float) -> None:
        directory, runner = self.directories.get(ident), self._runners.get(ident)
        process = directory.running() if directory is not None else None
        if process is not None and process.exits_at == at:
            self._end(ident, process, process.how)
        elif runner is not None and runner.exit_to_tell is not None:
            how, runner.exit_to_tell = runner.exit_to_tell, None
            self._take(ident, runner, how)
        elif runner is not None:
            doing = next((doing for doing, due in runner.doing.items() if due == at), None)
            if doing is not None:
                del runner.doing[doing]
                self._do(doing, ident, runner)
            else:
                while (probe_at := runner.life.probe_at) is not None and probe_at <= at:
                    self._probe(ident, runner, probe_at)

    # The agent

    def _converge(self) -> None:
        if self._kept is None:
            return
        wanted = {spec.instance_id: spec for spec in self._kept.instances}
        for ident in [ident for ident in self._runners if ident not in wanted]:
            self._take(ident, self._runners[ident], Unwanted())
        for ident in [ident for ident in wanted if ident not in self._runners]:
            self._begin(wanted[ident])

    def _begin(self, spec: InstanceSpec) -> Runner:
        """Take up an instance; preparing makes its directory anew."""
        life = Life(startup_timeout_s=spec.startup_timeout.total_seconds())
        runner = self._runners[spec.instance_id] = Runner(life, self._clock.now())
        left = self.directories.get(spec.instance_id)

        def create() -> None:
            self.directories[spec.instance_id] = Directory(spec, lines=left.lines if left is not None else [])

        self._points.around("node", "making a directory", create)
        runner.doing[Doing.PREPARE] = self._clock.steady() + self.course(spec).prepare_s
        return runner

    def _take_up(self, ident: str, directory: Directory) -> None:
        """Go on with what an earlier agent has left of an instance, as the true runner does."""
        running, failure = directory.running(), directory.failure
        if failure is None and (running is None or not directory.is_prepared):
            if directory.process is not None and directory.process.ended is not None:
                how = describe_exit(directory.process.ended)
                self._tell(ident, f"had ended with {how} when the node agent started; it is prepared and started again")
            self._begin(directory.spec)
            return
        life = Life(startup_timeout_s=directory.spec.startup_timeout.total_seconds())
        runner = self._runners[ident] = Runner(life, self._clock.now())
        if failure is not None:
            self._take(ident, runner, FoundFailed(failure, running.pid if running else None))
        elif running is not None:
            healthy = directory.health
            was_healthy = healthy[1] if healthy is not None and healthy[0] == running.pid else None
            self._take(ident, runner, Found(running.pid, self._clock.steady() - running.began_at, was_healthy))

    def _do(self, doing: Doing, ident: str, runner: Runner) -> None:
        directory = self.directories[ident]
        match doing:
            case Doing.PREPARE:
                self._take(ident, runner, self._prepared(directory, runner))
            case Doing.START:
                self._points.around("node", "starting a process", lambda: self._start(directory))
                runner.doing[Doing.TELL_START] = self._clock.steady()
            case Doing.TELL_START:
                assert directory.process is not None
                self._take(ident, runner, Started(directory.process.pid))
                if directory.process.ended is not None:  # before the agent has heard of its start
                    runner.exit_to_tell = directory.process.ended
            case Doing.REMOVE:
                self._points.around("node", "removing a directory", lambda: self.directories.pop(ident))
                self._take(ident, runner, Removed())
            case _:
                assert_never(doing)

    def _prepared(self, directory: Directory, runner: Runner) -> Event:
        failure = PREPARATION_ENDED if runner.is_cancelled else self.course(directory.spec).prepare_failure
        if failure is not None:
            return PrepareFailed(failure)

        def keep() -> None:
            directory.is_prepared = True

        self._points.around("node", "keeping that it is prepared", keep)
        return PreparedOk()

    def _start(self, directory: Directory) -> None:
        self._pids += 1
        now, exits = self._clock.steady(), self.course(directory.spec).exits
        exits_at = now + exits[directory.starts] if directory.starts < len(exits) else None
        directory.process = Process(self._pids, now, exits_at)
        directory.starts += 1

    def _probe(self, ident: str, runner: Runner, at: float) -> None:
        process, after_s = self.directories[ident].process, self.course(self.directories[ident].spec).healthy_after_s
        is_good = (
            process is not None
            and process.ended is None
            and not process.hangs
            and after_s is not None
            and at - process.began_at >= after_s
        )
        runner.life = replace(runner.life, probe_at=None)
        self._take(
            ident, runner, Pinged(200 if is_good else None, "200" if is_good else NO_ANSWER, runner.life.starts), at
        )

    def _take(self, ident: str, runner: Runner, event: Event, at: float | None = None) -> None:
        before = runner.life
        after, effects = step(before, event, self._clock.steady() if at is None else at)
        if after.failure is not None and before.failure is None and ident in self.directories:
            self._keep_failure(self.directories[ident], after.failure)
        runner.life = after
        for effect in effects:
            self._perform(ident, runner, effect)
        if runner.life.state is InstanceState.GONE:
            del self._runners[ident]
            self._converge()
        if runner.life.state is not before.state or runner.life.pid != before.pid:
            runner.since = self._clock.now()
            self._changed()

    def _keep_failure(self, directory: Directory, failure: InstanceFailure) -> None:
        def keep() -> None:
            directory.failure = failure

        self._points.around("node", "keeping a failure", keep)

    def _perform(self, ident: str, runner: Runner, effect: Effect) -> None:
        now, directory = self._clock.steady(), self.directories[ident]
        match effect:
            case Tell(text):
                self._tell(ident, text)
            case EndPreparation():
                if Doing.PREPARE in runner.doing:
                    runner.doing[Doing.PREPARE], runner.is_cancelled = now, True
            case StartProcess():
                runner.doing[Doing.START] = now
            case StopProcess():
                self._points.around("node", "stopping a process", lambda: self._stop(directory))
            case RemoveFiles():
                pass  # a directory here holds records only
            case RemoveDirectory():
                runner.doing[Doing.REMOVE] = now
            case RememberHealth(is_healthy):
                if directory.process is not None:
                    health = (directory.process.pid, is_healthy)
                    self._points.around("node", "keeping its health", lambda: _keep_health(directory, health))
            case _:
                assert_never(effect)

    def _stop(self, directory: Directory) -> None:
        """Ask the keeper to end the process; it does so also when the agent dies meanwhile."""
        process = directory.running()
        if process is not None:
            process.was_stopped = True
            process.how = Exited(signal="SIGKILL" if process.hangs else "SIGTERM")
            process.exits_at = self._clock.steady() + self.course(directory.spec).stop_s

    def _end(self, ident: str, process: Process, how: Exited) -> None:
        process.ended, process.exits_at = how, None
        runner = self._runners.get(ident)
        if runner is not None and runner.life.pid == process.pid:
            runner.exit_to_tell = how

    def _tell(self, ident: str, text: str) -> None:
        directory = self.directories[ident]
        directory.lines.append(text)
        self._told(directory.spec, text)


def _keep_health(directory: Directory, health: tuple[int, bool]) -> None:
    directory.health = health
