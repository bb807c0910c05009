"""The lives of a server's roles: their processes are started, started again when they end, and ended in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from hostmaker.assembly.role import Role
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.roles import die_with_parent

log = logging.getLogger("hostmaker")
STEADY_AFTER_S = 10.0  # a role that lived this long starts again at once


class Lives:
    """The processes of roles, by their labels. `lifeline` is passed to each of ours, `listeners` by the role's name."""

    def __init__(self, lifeline: int, listeners: Mapping[str, socket.socket]) -> None:
        self._lifeline = lifeline
        self._listeners = listeners
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self.is_stopping = False

    async def keep(self, role: Role, needed: asyncio.Event | None = None) -> None:
        """Run one role for as long as the server lives, from when it is first `needed`."""
        if needed is not None:
            await needed.wait()
            log.info("%s is needed and starts", role.label)
        quick_ends = 0
        while not self.is_stopping:
            started = time.monotonic()
            process = self._processes[role.label] = await self._spawn(role)
            code = await process.wait()
            if self.is_stopping:
                return
            quick_ends = quick_ends + 1 if time.monotonic() - started < STEADY_AFTER_S else 0
            wait_s = backoff_s(quick_ends - 2, 0.1, 5.0) if quick_ends > 1 else 0.0
            log.warning("%s ended with %s; it starts again in %.1f s", role.label, _how(code), wait_s)
            await asyncio.sleep(wait_s)

    async def end(self, label: str, grace_s: float) -> None:
        """Ask a role to end, and kill it when it does not."""
        process = self._processes.get(label)
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            log.warning("%s did not end in %.0f s and is killed", label, grace_s)
            process.kill()
            await process.wait()

    def pids(self) -> dict[str, list[int]]:
        """Give the processes of every role that has run yet, by its name."""
        pids: dict[str, list[int]] = {}
        for label, process in sorted(self._processes.items()):
            pids.setdefault(label.partition("-")[0], []).append(process.pid)
        return pids

    async def _spawn(self, role: Role) -> asyncio.subprocess.Process:
        environment = {**os.environ, **dict(role.environment), "HOSTMAKER_LIFELINE": str(self._lifeline)}
        passed = [self._lifeline]
        if (listener := self._listeners.get(role.name)) is not None:
            environment["HOSTMAKER_LISTENER"] = str(listener.fileno())
            passed.append(listener.fileno())
        output = role.output.open("ab") if role.output is not None else None
        try:
            return await self._execute(role, environment, passed, output)
        finally:
            if output is not None:
                output.close()

    async def _execute(
        self, role: Role, environment: dict[str, str], passed: list[int], output: IO[bytes] | None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *role.argv,
            env=environment,
            pass_fds=passed if role.is_ours else (),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=None if role.is_ours else die_with_parent,
            start_new_session=True,  # Ctrl-C in the terminal asks the supervisor, which ends the roles in order
        )


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
