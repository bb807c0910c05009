"""Runs one instance: performs what its life asks for, and tells the life what happened."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import assert_never

from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceSpec, InstanceState
from hostmaker.domain.preparation import SOCKET_PLACEHOLDER, Prepared
from hostmaker.fleet.instance import (
    Effect,
    Event,
    Exited,
    Life,
    NotStarted,
    PreparedOk,
    PrepareFailed,
    Removed,
    RemoveDirectory,
    Started,
    StartProcess,
    StopProcess,
    Tell,
    Unwanted,
    step,
)
from hostmaker.fleet.keeper_client import KeeperClient, KeeperError
from hostmaker.fleet.ping import ping
from hostmaker.kit.codec import CodecError, decode, encode
from hostmaker.kit.files import write_atomically
from hostmaker.kit.processes import boot_id, is_same_process

EXIT_POLL_S = 0.2
EXIT_RECORD_WITHIN_S = 2.0
BUILD_ALLOWANCE_S = 1800.0  # beyond the download's own limit, which counts the model data only
TAIL_LINES = 10


@dataclass(frozen=True, slots=True)
class Tools:
    """What every instance of a node is run with."""

    keeper: KeeperClient
    append_line: Callable[[Path, str], None]
    tail: Callable[[Path, int], tuple[str, ...]]
    now: Callable[[], datetime]
    prepare_argv: tuple[str, ...]
    prepare_env: Mapping[str, str]
    preparing: asyncio.Semaphore
    stop_grace_s: float
    changed: Callable[[], None]


class InstanceRunner:
    """One instance, from its wish to its end."""

    def __init__(self, spec: InstanceSpec, directory: Path, socket: Path, log: Path, tools: Tools) -> None:
        self.spec = spec
        self._directory = directory
        self._socket = socket
        self._log = log
        self._tools = tools
        self._life = Life(startup_timeout_s=spec.startup_timeout.total_seconds())
        self._since = tools.now()
        self._resolved_at: datetime | None = None
        self._prepared: Prepared | None = None
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._preparation: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # What others ask

    def fact(self) -> InstanceFact:
        """Give what is known of the instance."""
        serving = self._life.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
        return InstanceFact(
            instance_id=self.spec.instance_id,
            state=self._life.state,
            since=self._since,
            socket=str(self._socket) if serving else None,
            pid=self._life.pid,
            resolved_image=self._prepared.resolved_image if self._prepared else None,
            resolved_at=self._resolved_at,
            failure=self._life.failure,
        )

    def unwant(self) -> None:
        """Begin to end it; safe to say twice."""
        if self._preparation is not None:
            self._preparation.cancel()
        self._events.put_nowait(Unwanted())

    async def run(self, adopt: bool) -> None:
        """Run until nothing of it is left, or until cancelled: the process itself then lives on."""
        try:
            if not (adopt and self._adopt()):
                self._clean()
                self._preparation = self._spawn(self._prepare())
            while self._life.state is not InstanceState.GONE:
                self._take(await self._next_event())
        finally:
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
                self._spawn(self._probe())

    def _take(self, event: Event) -> None:
        before = self._life
        self._life, effects = step(before, event, time.monotonic())
        if self._life.failure is not None and before.failure is None and not self._life.failure.log_tail:
            tail = self._tools.tail(self._log, TAIL_LINES)
            self._life = replace(self._life, failure=replace(self._life.failure, log_tail=tail))
        for effect in effects:
            self._perform(effect)
        if self._life.state is not before.state or self._life.pid != before.pid:
            self._since = self._tools.now()
            self._tools.changed()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Tell(text):
                self._tools.append_line(self._log, text)
            case StartProcess():
                self._spawn(self._start())
            case StopProcess():
                self._spawn(self._stop())
            case RemoveDirectory():
                self._spawn(self._remove())
            case _:
                assert_never(effect)

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is done

    async def _prepare(self) -> None:
        try:
            async with self._tools.preparing:
                self._events.put_nowait(await self._run_preparation())
        except asyncio.CancelledError:
            self._events.put_nowait(PrepareFailed(InstanceFailure(FailureKind.IMAGE, "Its preparation was ended.")))
            raise

    async def _run_preparation(self) -> Event:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._directory / "spec.json", json.dumps(encode(self.spec)).encode())
        with self._log.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *self._tools.prepare_argv,
                str(self._directory),
                env={**self._tools.prepare_env, "HOSTMAKER_LOG": str(self._log)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        limit_s = self.spec.download_timeout.total_seconds() + BUILD_ALLOWANCE_S
        try:
            async with asyncio.timeout(limit_s):
                code = await child.wait()
        except TimeoutError:
            return PrepareFailed(InstanceFailure(FailureKind.IMAGE, f"Preparing it took more than {limit_s:g} s."))
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await asyncio.shield(child.wait())
        return self._read_preparation(code)

    def _read_preparation(self, code: int) -> Event:
        try:
            if code == 0:
                self._prepared = decode(Prepared, json.loads((self._directory / "prepared.json").read_text()))
                self._resolved_at = self._tools.now()
                return PreparedOk()
            failure = decode(InstanceFailure, json.loads((self._directory / "failure.json").read_text()))
            return PrepareFailed(failure)
        except (FileNotFoundError, ValueError, CodecError):
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            return PrepareFailed(InstanceFailure(FailureKind.IMAGE, f"Preparing it ended with {how}."))

    async def _start(self) -> None:
        assert self._prepared is not None
        self._socket.unlink(missing_ok=True)
        (self._directory / "exit.json").unlink(missing_ok=True)
        argv = tuple(str(self._socket) if word == SOCKET_PLACEHOLDER else word for word in self._prepared.argv)
        try:
            await self._tools.keeper.ensure()
            pid = await self._tools.keeper.start(
                self._directory, argv, self._prepared.env, self._prepared.cwd, self._log
            )
        except (KeeperError, TimeoutError, OSError) as error:
            self._events.put_nowait(NotStarted(str(error)))
            return
        self._events.put_nowait(Started(pid))
        self._spawn(self._watch(pid))

    async def _stop(self) -> None:
        try:
            await self._tools.keeper.stop(self._directory, self._tools.stop_grace_s)
        except KeeperError as error:
            # A keeper that is gone has taken its instances along; the watch tells.
            self._tools.append_line(self._log, f"could not be stopped through the keeper: {error}")

    async def _probe(self) -> None:
        self._events.put_nowait(await ping(str(self._socket)))

    async def _watch(self, pid: int) -> None:
        """Wait for the end of the process, at once where the kernel tells it, and read how it ended."""
        await _wait_for_end(pid)
        deadline = time.monotonic() + EXIT_RECORD_WITHIN_S
        while not (self._directory / "exit.json").exists() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._events.put_nowait(self._read_exit())

    def _read_exit(self) -> Exited:
        try:
            told = json.loads((self._directory / "exit.json").read_text())
            return Exited(told["code"], told["signal"], told["memory_kill"])
        except (FileNotFoundError, ValueError, KeyError):
            return Exited(None, "SIGKILL (its keeper ended)")

    async def _remove(self) -> None:
        await asyncio.to_thread(self._clean)
        self._events.put_nowait(Removed())

    def _clean(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._socket.unlink(missing_ok=True)

    def _adopt(self) -> bool:
        """Take over a process that an earlier agent has started; False when there is none to take over."""
        try:
            pid_file = json.loads((self._directory / "pid.json").read_text())
            self._prepared = decode(Prepared, json.loads((self._directory / "prepared.json").read_text()))
        except (FileNotFoundError, ValueError, CodecError):
            return False
        pid, started = pid_file["pid"], pid_file["start_time"]
        if pid_file["boot_id"] != boot_id() or not is_same_process(pid, started):
            return False
        self._resolved_at = self._since
        # It was started, and answered or will: the first good ping says healthy. Not twice started, so it may end once.
        self._life = replace(
            self._life,
            state=InstanceState.STARTING,
            starts=1,
            pid=pid,
            started_at=time.monotonic(),
            probe_at=time.monotonic(),
        )
        self._tools.append_line(self._log, f"process {pid} is watched again")
        self._spawn(self._watch(pid))
        return True


async def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel without it
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(EXIT_POLL_S)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def default_prepare_argv() -> tuple[str, ...]:
    """Give the program that prepares an instance; its last argument is the directory."""
    return (sys.executable, "-m", "hostmaker.assembly.prepare")
