"""Talks to the keeper, and starts one when none answers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from hostmaker.kit.json_value import Json

ANSWER_WITHIN_S = 10.0
START_WITHIN_S = 10.0


class KeeperError(Exception):
    """The keeper did not do what was asked; the message says why."""


class KeeperClient:
    """One connection for each request: the keeper outlives this process, and may be replaced by another."""

    def __init__(self, socket: Path, log: Path) -> None:
        self._socket = socket
        self._log = log

    async def ensure(self) -> None:
        """Start a keeper if none answers; it gets a session of its own and outlives this process."""
        if await self._answers():
            return
        with self._log.open("ab") as log:
            subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-I", "-S", str(_keeper_path()), "--socket", str(self._socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                close_fds=True,
            )
        async with asyncio.timeout(START_WITHIN_S):
            while not await self._answers():
                await asyncio.sleep(0.02)

    async def start(self, directory: Path, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, log: Path) -> int:
        """Start a process for an instance; gives its process id, raises KeeperError."""
        told = await self._ask(
            {"op": "start", "directory": str(directory), "argv": argv, "env": env, "cwd": cwd, "log": str(log)}
        )
        pid = told["pid"]
        assert isinstance(pid, int)
        return pid

    async def stop(self, directory: Path, grace_s: float) -> None:
        """End an instance's process: SIGTERM, and SIGKILL after the grace; raises KeeperError."""
        await self._ask({"op": "stop", "directory": str(directory), "grace_s": grace_s})

    async def shutdown(self, grace_s: float) -> None:
        """End all processes and the keeper; returns when they are gone. No keeper is as good."""
        if await self._answers():
            await self._ask({"op": "shutdown", "grace_s": grace_s}, grace_s + ANSWER_WITHIN_S)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        writer.close()
        return True

    async def _ask(self, request: Mapping[str, Json], within_s: float = ANSWER_WITHIN_S) -> Mapping[str, Json]:
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    answer = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise KeeperError(f"the keeper does not answer ({error or 'time is over'})") from error
        told = json.loads(answer or b'{"ok": false, "error": "the keeper ended"}')
        if not told["ok"]:
            raise KeeperError(str(told["error"]))
        assert isinstance(told, dict)
        return told


def _keeper_path() -> Path:
    """Find the keeper's file without importing its package: neither package knows the other."""
    spec = find_spec("hostmaker_runtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("keeper.py")
