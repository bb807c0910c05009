"""Talks to the keeper, and starts one when none answers."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from hostmaker.fleet.watch import Process, ended, process
from hostmaker.kit.json_value import Json

log = logging.getLogger("hostmaker.node")
ANSWER_WITHIN_S = 10.0
PING_WITHIN_S = 2.0
HUNG_AFTER_S = 10.0
START_WITHIN_S = 10.0
WARM_WITHIN_S = 60.0


class KeeperError(Exception):
    """The keeper did not do what was asked; the message says why."""


class KeeperClient:
    """One connection for each request: the keeper outlives this process, and may be replaced by another."""

    def __init__(self, path: Path, log: Path) -> None:
        self._path = path
        self._log = log
        self._starting = asyncio.Lock()  # two keepers that start at once would take the socket from one another
        self._child: subprocess.Popen[bytes] | None = None
        self._known: Process | None = None  # who listened last

    async def ensure(self) -> Process:
        """Give the keeper, starting one if none answers; it gets a session of its own and outlives this process.

        Raises KeeperError.
        """
        async with self._starting:
            if (keeper := self._listening()) is not None:
                return keeper
            try:
                self._spawn()
                async with asyncio.timeout(START_WITHIN_S):
                    while (keeper := self._listening()) is None:
                        await asyncio.sleep(0.01)
            except TimeoutError as error:
                raise KeeperError(f"a keeper was started and does not listen; see {self._log}") from error
            except asyncio.CancelledError:
                if self._child is not None:
                    self._child.terminate()  # not listening yet, so nobody else could find it to end it
                raise
            except OSError as error:
                raise KeeperError(f"no keeper can be started: {error.strerror or error}") from error
            return keeper

    async def start(
        self,
        directory: Path,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        cwd: str,
        log: Path,
        confine: Mapping[str, Json] | None = None,
        memory: Mapping[str, Json] | None = None,
        fork: str | None = None,
    ) -> Process:
        """Start the process of an instance, confined as `fleet.confine` and bounded as `fleet.memory` say.

        `fork` is the interpreter whose fork server (`warm`) starts it. Raises KeeperError.
        """
        request: dict[str, Json] = {"op": "start", "directory": str(directory), "cwd": cwd, "log": str(log)}
        request |= {"argv": argv, "env": env, "confine": confine, "memory": memory, "fork": fork}
        told = await self._ask(request)
        pid, started = told["pid"], told["start_time"]
        assert isinstance(pid, int)
        assert isinstance(started, int)
        return Process(pid, started)

    async def warm(self, python: str, preload: tuple[str, ...], env: Mapping[str, str]) -> None:
        """Wait until there is a fork server of an environment; raises KeeperError."""
        try:
            async with asyncio.timeout(WARM_WITHIN_S):
                while not await self.is_warm(python, preload, env):
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise KeeperError(f"the fork server was not ready within {WARM_WITHIN_S:g} s") from error

    async def is_warm(self, python: str, preload: tuple[str, ...], env: Mapping[str, str]) -> bool:
        """Tell whether there is a fork server of an environment, which has imported `preload` under `env`.

        Where there is none, one begins. It lives until others are wanted more; what it has forked does not need it.
        Raises KeeperError when it has failed.
        """
        request: dict[str, Json] = {"op": "warm", "python": python, "preload": preload}
        return (await self._ask({**request, "env": env, "log": str(self._log)}))["state"] == "ready"

    async def stop(self, directory: Path, grace_s: float) -> None:
        """End an instance's process: SIGTERM, and SIGKILL after the grace; raises KeeperError."""
        await self._ask({"op": "stop", "directory": str(directory), "grace_s": grace_s})

    async def unwritten_exit(self, directory: Path) -> Mapping[str, Json] | None:
        """Give how an instance's process has ended, where the disk has not taken the record; raises KeeperError."""
        told = (await self._ask({"op": "exit", "directory": str(directory)}))["exit"]
        return told if isinstance(told, dict) else None

    async def shutdown(self, grace_s: float) -> None:
        """End all processes and the keeper; returns when they are gone. No keeper is as good. Raises KeeperError."""
        if (keeper := self._listening()) is None:
            return
        keeper.signal(signal.SIGCONT)  # one that is stopped could not hear it
        trouble = "it was asked to"
        try:
            await self._ask({"op": "shutdown", "grace_s": grace_s}, grace_s + ANSWER_WITHIN_S)
        except KeeperError as error:
            trouble = str(error)  # it may be ending already, and have closed its door
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await ended(keeper)
        except TimeoutError:
            log.warning(
                "the keeper (process %d) does not end (%s) and is killed, with its instances", keeper.pid, trouble
            )
            await self._kill(keeper)

    async def answers(self) -> bool:
        """Whether the keeper answers in time; none at all is as good, for another will be started."""
        try:
            await self._ask({"op": "ping"}, PING_WITHIN_S)
        except KeeperError:
            return self._listening() is None
        return True

    async def rouse(self, silent_s: float) -> None:
        """Have a keeper that has been silent for so many seconds answer again.

        One that a signal has stopped is continued, which costs nothing. One that hangs is killed after `HUNG_AFTER_S`:
        its instances end with it and are replaced, because nobody could stop them or learn how they end.
        """
        keeper = self._listening()
        if keeper is None or keeper.is_traced():
            return
        if keeper.is_stopped():
            log.warning("the keeper (process %d) was stopped by a signal and is continued", keeper.pid)
            keeper.signal(signal.SIGCONT)
        elif silent_s >= HUNG_AFTER_S:
            told = "the keeper (process %d) has not answered for %.0f s and is killed; its instances are replaced"
            log.warning(told, keeper.pid, silent_s)
            await self._kill(keeper)

    async def _kill(self, keeper: Process) -> None:
        keeper.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await ended(keeper)
        except TimeoutError as error:
            raise KeeperError(f"the keeper (process {keeper.pid}) does not end even when it is killed") from error

    def _spawn(self) -> None:
        if self._child is not None:
            self._child.poll()  # reaps one that has ended
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_keeper_path()), "--socket", str(self._path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                close_fds=True,
            )

    def _listening(self) -> Process | None:
        """Ask the kernel which process listens; connecting to a unix socket does not wait. Raises KeeperError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            try:
                client.connect(str(self._path))
            except BlockingIOError as error:  # it is there: another one must not take its place
                if self._known is not None and self._known.lives():
                    return self._known
                raise KeeperError("the keeper does not take connections: too many wait for it") from error
            except OSError:
                return None
            peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._known = process(struct.unpack("3i", peer)[0])
        return self._known

    async def _ask(self, request: Mapping[str, Json], within_s: float = ANSWER_WITHIN_S) -> Mapping[str, Json]:
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    answer = await reader.readline()
                finally:
                    writer.close()
        except TimeoutError as error:
            raise KeeperError(f"the keeper did not answer within {within_s:g} s") from error
        except OSError as error:
            raise KeeperError(f"the keeper does not answer ({error.strerror or error})") from error
        told = json.loads(answer or b'{"ok": false, "error": "the keeper ended"}')
        assert isinstance(told, dict)
        if not told["ok"]:
            raise KeeperError(str(told["error"]))
        return told


def _keeper_path() -> Path:
    """Find the keeper's file without importing its package: neither package knows the other."""
    spec = find_spec("hostmaker_runtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("keeper.py")
