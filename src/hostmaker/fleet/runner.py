"""Runs one instance: performs what its life asks for, and tells the life what happened."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, assert_never

from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceSpec, InstanceState
from hostmaker.domain.preparation import SOCKET_PLACEHOLDER
from hostmaker.fleet.confine import Confiner, Places
from hostmaker.fleet.directory import ExitFile, InstanceDirectory
from hostmaker.fleet.forking import Forking
from hostmaker.fleet.instance import (
    Effect,
    EndPreparation,
    Event,
    Exited,
    Found,
    FoundFailed,
    Life,
    NotStarted,
    Overfilled,
    Periods,
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
from hostmaker.fleet.keeper_client import KeeperClient, KeeperError
from hostmaker.fleet.memory import MemoryLimits
from hostmaker.fleet.ping import probe
from hostmaker.fleet.preparation import Preparing, end_preparation, prepare
from hostmaker.fleet.scratch import Writer
from hostmaker.fleet.watch import Process, ended, parent
from hostmaker.kit.codec import decode
from hostmaker.kit.trees import remove_tree

log = logging.getLogger("hostmaker.node")
EXIT_RECORD_WITHIN_S = 5.0
FOUND_RECORD_WITHIN_S = 1.0
EXIT_RECORD_POLL_S = 0.005
ASK_KEEPER_AFTER_S = 0.1  # the disk may be full: it knows, all the same
ASK_KEEPER_EVERY_S = 0.05
START_TURN_S = 10.0  # how long a start that is not healthy yet keeps others waiting
KILLED_WITHIN_S = 10.0
REMOVE_TRIES = 3
TAIL_LINES = 10


@dataclass(frozen=True, slots=True)
class Tools:
    """What every instance of a node is run with. `starting` bounds the processes that start at once.

    `variables` returns what the platform adds to the environment of an instance's process, at each start.
    """

    keeper: KeeperClient
    confiner: Confiner
    memory: MemoryLimits
    append_line: Callable[[Path, str], None]
    tail: Callable[[Path, int], tuple[str, ...]]
    now: Callable[[], datetime]
    preparing: Preparing
    starting: asyncio.Semaphore
    periods: Periods
    forking: Forking
    stop_grace_s: float
    changed: Callable[[], None]
    variables: Callable[[InstanceSpec], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance lies."""

    directory: InstanceDirectory
    socket: Path
    log: Path


class InstanceRunner:
    """One instance, from its wish to its end."""

    def __init__(self, spec: InstanceSpec, place: Place, tools: Tools) -> None:
        self.spec = spec
        self._directory = place.directory
        self._socket = place.socket
        self._log = place.log
        self._tools = tools
        self._life = Life(spec.startup_timeout.total_seconds(), tools.periods)
        self._since = tools.now()
        self._resolved_image: str | None = None
        self._resolved_at: datetime | None = None
        self._process: Process | None = None
        self._events: asyncio.Queue[Event] = asyncio.Queue()  # bounded by what is under way: a few
        self._settled = asyncio.Event()
        self._preparation: asyncio.Task[None] | None = None
        self._clearing: asyncio.Task[None] | None = None
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    # What others ask

    def fact(self) -> InstanceFact:
        """Give what is known of the instance."""
        serving = self._life.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
        return InstanceFact(
            instance_id=self.spec.instance_id,
            state=self._life.state,
            since=self._since,
            socket="/".join(self._socket.parts[-3:]) if serving else None,  # below the run directory, which may move
            pid=self._life.pid,
            resolved_image=self._resolved_image,
            resolved_at=self._resolved_at,
            failure=self._life.failure,
        )

    def writer(self) -> Writer | None:
        """Give whose writing is watched; None while no process runs."""
        if self._life.pid is None:
            return None
        uid = self._tools.confiner.uid(self.spec.instance_id)
        return Writer(self._directory, self._life.pid, uid, self._socket.parent)

    def overfill(self, cause: str) -> None:
        """End it at once: it has written too much."""
        self._events.put_nowait(Overfilled(cause))

    def unwant(self) -> None:
        """Begin to end it; safe to say twice."""
        self._events.put_nowait(Unwanted())

    async def run(self) -> None:
        """Run until nothing of it is left, or until cancelled: its process then lives on."""
        async with self._group:
            await self._begin()
            while self._life.state is not InstanceState.GONE:
                self._take(await self._next_event())
            for task in self._tasks:
                task.cancel()

    # The loop

    async def _next_event(self) -> Event:
        while True:
            probe_at = self._life.probe_at
            try:
                async with asyncio.timeout(None if probe_at is None else max(0.0, probe_at - time.monotonic())):
                    return await self._events.get()
            except TimeoutError:
                self._life = replace(self._life, probe_at=None)
                self._spawn(self._probe(self._life.starts))

    def _take(self, event: Event) -> None:
        before = self._life
        after, effects = step(before, event, time.monotonic())
        if after.failure is not None and before.failure is None:
            after = replace(after, failure=self._with_evidence(after.failure))
        self._life = after
        for effect in effects:
            self._perform(effect)
        if after.state is not InstanceState.STARTING or after.pid is None:
            self._settled.set()
        if after.state is not before.state or after.pid != before.pid:
            self._since = self._tools.now()
            self._tools.changed()

    def _with_evidence(self, failure: InstanceFailure) -> InstanceFailure:
        """Add the end of the log, and keep the whole for the next agent."""
        if not failure.log_tail:
            failure = replace(failure, log_tail=self._tools.tail(self._log, TAIL_LINES))
        with _reported("its failure could not be kept"):
            self._directory.keep_failure(failure)
        return failure

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Tell(text):
                self._tell(text)
            case EndPreparation():
                if self._preparation is not None:
                    self._preparation.cancel()
            case StartProcess():
                self._spawn(self._start())
            case StopProcess(at_once):
                self._spawn(self._stop(at_once))
            case RemoveFiles():
                self._clearing = self._spawn(self._remove_files())
            case RemoveDirectory():
                self._spawn(self._remove())
            case RememberHealth(is_healthy):
                with _reported("its health could not be kept"):
                    if self._process is not None:
                        self._directory.keep_health(self._process, is_healthy)
            case _:
                assert_never(effect)

    def _tell(self, text: str) -> None:
        with _reported("its log cannot be written"):
            self._tools.append_line(self._log, text)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # How it begins: with what an earlier agent has left

    async def _begin(self) -> None:
        if (left := self._directory.preparation()) is not None:
            await end_preparation(left)
        running, failure, prepared = self._directory.process(), self._directory.failure(), self._directory.prepared()
        if failure is None and (running is None or prepared is None):
            await self._begin_anew()
            return
        if prepared is not None:
            self._resolved_image, self._resolved_at = prepared.resolved_image, self._since
        if running is not None:
            self._process = running
            self._spawn(self._watch(running, parent(running)))
        if failure is not None:
            self._take(FoundFailed(failure, running.pid if running else None))
        elif running is not None:
            self._take(Found(running.pid, running.age_s(), self._directory.was_healthy(running)))

    async def _begin_anew(self) -> None:
        await self._end_process()
        if self._directory.had_process():
            # A keeper writes the record in a moment: awaited, so that it does not come into the new directory.
            how = describe_exit(await self._exit_record(None, FOUND_RECORD_WITHIN_S))
            self._tell(f"had ended with {how} when the node agent started; it is prepared and started again")
        self._preparation = self._spawn(self._prepare())
        self._preparation.add_done_callback(self._tell_cancelled)

    # What is done

    async def _prepare(self) -> None:
        failure = await prepare(self.spec, self._directory, self._log, self._tools.preparing)
        if failure is None:
            prepared = self._directory.prepared()
            assert prepared is not None
            self._resolved_image, self._resolved_at = prepared.resolved_image, self._tools.now()
        self._events.put_nowait(PreparedOk() if failure is None else PrepareFailed(failure))

    def _tell_cancelled(self, preparation: asyncio.Task[None]) -> None:
        # Also one that was cancelled before it could begin has to be told: the life waits for its end.
        if preparation.cancelled():
            self._events.put_nowait(PrepareFailed(InstanceFailure(FailureKind.IMAGE, "Its preparation was ended.")))

    async def _start(self) -> None:
        async with self._tools.starting:
            if not self._life.is_wanted:
                self._events.put_nowait(NotStarted("it is no longer wanted"))
                return
            try:
                self._process = await self._ask_keeper_to_start()
            except (KeeperError, OSError) as error:
                self._events.put_nowait(NotStarted(str(error)))
                return
            self._settled.clear()
            self._events.put_nowait(Started(self._process.pid))
            self._spawn(self._watch(self._process, parent(self._process)))
            with suppress(TimeoutError):
                async with asyncio.timeout(START_TURN_S):
                    await self._settled.wait()

    async def _ask_keeper_to_start(self) -> Process:
        prepared = self._directory.prepared()
        if prepared is None:
            raise KeeperError("its directory was changed by someone else")
        place, sockets = self._directory.path, self._socket.parent
        await asyncio.to_thread(remove_tree, self._socket)
        self._directory.forget_process()
        await asyncio.to_thread(self._tools.confiner.hand_over, self.spec.instance_id, place, sockets)
        memory, groups = self._tools.memory.request(self.spec)
        shared_bytes = self._tools.memory.shared_bytes(self.spec)
        places = Places(place, sockets, Path(prepared.python), prepared.environments)
        confine = self._tools.confiner.request(self.spec, places, shared_bytes)
        confine = {**(confine or {}), "groups": groups} if groups else confine
        argv = tuple(str(self._socket) if word == SOCKET_PLACEHOLDER else word for word in prepared.argv)
        await (keeper := self._tools.keeper).ensure()
        env = {**self._tools.variables(self.spec), **prepared.env}
        given = (place, argv, env, prepared.cwd, self._log, confine, memory)
        try:
            if (fork := await self._tools.forking.interpreter(prepared)) is not None:
                return await keeper.start(*given, fork)
        except KeeperError as error:
            self._tell(f"is started without a fork server: {error}")
        return await keeper.start(*given)

    async def _stop(self, at_once: bool) -> None:
        assert self._process is not None
        await self._end(self._process, 0.0 if at_once else self._tools.stop_grace_s)

    async def _end(self, running: Process, grace_s: float) -> None:
        """End a process in order; the watch tells when it has ended."""
        try:
            await self._tools.keeper.stop(self._directory.path, grace_s)
        except KeeperError as error:
            if running.lives():  # a keeper that is gone has taken its instances along, so this one hangs
                self._tell(f"is stopped without the keeper: {error}")
                running.signal_group(signal.SIGTERM)
                await asyncio.sleep(grace_s)
                running.signal_group(signal.SIGKILL)

    async def _end_process(self) -> None:
        """End what may run without our knowing (a start whose answer was lost); raises TimeoutError."""
        left = self._directory.process()
        if left is not None:
            await self._end(left, self._tools.stop_grace_s)
            async with asyncio.timeout(self._tools.stop_grace_s + KILLED_WITHIN_S):
                await ended(left)

    async def _probe(self, start: int) -> None:
        began = time.monotonic()
        answer = await probe(str(self._socket), self.spec.container.environment)
        self._events.put_nowait(Pinged(answer.status, answer.detail, start, time.monotonic() - began))

    async def _watch(self, running: Process, keeper: Process | None) -> None:
        """Wait for the end of the process and read how it ended; a keeper that died has not recorded it."""
        await ended(running)
        self._events.put_nowait(await self._exit_record(keeper, EXIT_RECORD_WITHIN_S))

    async def _exit_record(self, keeper: Process | None, within_s: float) -> Exited:
        """Give how the process ended, as its keeper has recorded it or soon will."""
        began = time.monotonic()
        while True:
            keeper_lives = keeper is None or keeper.lives()  # asked before the last look at the record
            waited_s = time.monotonic() - began
            record = self._directory.exit()
            if record is None and keeper_lives and waited_s >= ASK_KEEPER_AFTER_S:
                record = await self._unwritten_exit()
            if record is not None:
                limit = self._tools.memory.words(self.spec)
                return Exited(record.code, record.signal, record.memory_kill, memory_limit=limit)
            if not keeper_lives:
                return Exited(signal="SIGKILL", keeper_ended=True)
            if waited_s >= within_s:
                return Exited()
            await asyncio.sleep(EXIT_RECORD_POLL_S if waited_s < ASK_KEEPER_AFTER_S else ASK_KEEPER_EVERY_S)

    async def _unwritten_exit(self) -> ExitFile | None:
        """Give the record that a full disk has not taken; None when there is none, or nobody to ask."""
        try:
            told = await self._tools.keeper.unwritten_exit(self._directory.path)
        except KeeperError:
            return None
        return decode(ExitFile, told) if told is not None else None

    async def _remove_files(self) -> None:
        with _reported("the files of a failed instance could not be removed"):
            await asyncio.to_thread(self._directory.remove_owned)
        if self._life.failure is not None and self._directory.failure() is None:  # a full disk has not taken it
            with _reported("its failure could not be kept"):
                self._directory.keep_failure(self._life.failure)

    async def _remove(self) -> None:
        if self._clearing is not None:
            await asyncio.wait((self._clearing,))
        await self._end_process()
        for attempt in range(REMOVE_TRIES):
            try:
                await asyncio.to_thread(self._directory.remove)
                break
            except OSError as error:
                log.warning("instance %s: directory not removed: %s", self.spec.instance_id, error)
                await asyncio.sleep(attempt)
        with _reported("the directory of its socket could not be removed"):
            await asyncio.to_thread(remove_tree, self._socket.parent)
        self._tools.memory.forget(self.spec)
        self._events.put_nowait(Removed())


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Go on after an OSError (a full disk), which the server's log tells: an instance is not judged by it."""
    try:
        yield
    except OSError as error:
        log.warning("%s: %s", what, error)
