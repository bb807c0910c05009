"""The lives of a server's roles: their processes are started, watched, started again when they end or hang, and ended
in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from hostmaker.assembly.pulse import Pulse
from hostmaker.assembly.role import Role
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.processes import is_stopped, is_traced
from hostmaker.kit.roles import CANNOT_SERVE, PULSE_EVERY_S, die_with_parent

log = logging.getLogger("hostmaker")
STEADY_AFTER_S = 10.0  # a role that lived this long starts again at once
MAX_QUICK_ENDS = 5  # of one role, in a row, before the server is ready
LONGEST_WAIT_S = 5.0
LAST_LINE_BYTES = 2000
CANNOT_SERVE_WAIT_S = 30.0  # until someone has mended the file that it names


class RoleFailedError(Exception):
    """A role cannot serve, so the server cannot become ready; the message says why."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a role may be silent: once it has begun, and at its start. 0: for ever."""

    silence_s: float = 10.0
    start_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RoleReport:
    """What people are shown of a role. `last_end` says when and why it ended last; empty when it never has."""

    role: str
    pid: int
    restarts: int = 0
    last_end: str = ""


class Lives:
    """The processes of roles, by their labels. `lifeline` is passed to each of ours.

    `listeners` has the sockets of each role's name, by the variables that tell the role their descriptors.
    """

    def __init__(
        self,
        lifeline: int,
        listeners: Mapping[str, Mapping[str, socket.socket]],
        patience: Patience | None = None,
    ) -> None:
        self._lifeline = lifeline
        self._listeners = listeners
        self._patience = patience or Patience()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._reports: dict[str, RoleReport] = {}
        self.is_stopping = False
        self.is_ready = False  # the server has been: from then on, a role is started again for ever

    async def keep(self, role: Role, needed: asyncio.Event | None = None) -> None:
        """Run one role for as long as the server lives, from when it is first `needed`; raises RoleFailedError."""
        if needed is not None:
            await needed.wait()
            log.info("%s is needed and starts", role.label)
        quick_ends = 0
        while not self.is_stopping:
            started = time.monotonic()
            code, why = await self._live(role)
            if self.is_stopping:
                return
            quick_ends = quick_ends + 1 if time.monotonic() - started < STEADY_AFTER_S else 0
            self._note_end(role.label, why)
            if not self.is_ready and code == CANNOT_SERVE:
                raise RoleFailedError(why)
            if not self.is_ready and quick_ends >= MAX_QUICK_ENDS:
                raise RoleFailedError(f"{role.label} ends at once again and again: it {why}")
            wait_s = backoff_s(quick_ends - 2, 0.1, LONGEST_WAIT_S) if quick_ends > 1 else 0.0
            wait_s = CANNOT_SERVE_WAIT_S if code == CANNOT_SERVE else wait_s
            log.warning("%s: it %s; it starts again in %.1f s", role.label, why, wait_s)
            await asyncio.sleep(wait_s)

    async def end(self, label: str, grace_s: float) -> None:
        """Ask a role to end, and kill it when it does not."""
        process = self._processes.get(label)
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
            process.send_signal(signal.SIGCONT)  # one that is stopped could not hear it
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

    def reports(self) -> tuple[RoleReport, ...]:
        """Return what people are shown of every role that has run yet, by its label."""
        return tuple(report for _, report in sorted(self._reports.items()))

    # One life

    async def _live(self, role: Role) -> tuple[int, str]:
        """Run a role once; returns its exit code, and how it ended in words."""
        pulse = Pulse()
        try:
            try:
                process = self._processes[role.label] = await self._spawn(role, pulse.writer)
            finally:
                pulse.give_away()
            before = self._reports.get(role.label) or RoleReport(role.label, process.pid)
            self._reports[role.label] = replace(before, pid=process.pid)
            with _probed(role, pulse):
                silence = await self._watch(role, process, pulse)
            code = await process.wait()
        finally:
            words = pulse.close() or _last_line(role.output)
        return code, silence or _how(code, words)

    async def _watch(self, role: Role, process: asyncio.subprocess.Process, pulse: Pulse) -> str:
        """Wait until a process ends, or has been silent for too long and is killed; returns the latter in words."""
        is_told = False
        while role.is_ours or role.probe is not None:
            try:
                async with asyncio.timeout(PULSE_EVERY_S):
                    await process.wait()
                    return ""
            except TimeoutError:
                pass
            silent_s = pulse.look()
            limit_s = self._patience.silence_s if pulse.has_begun else self._patience.start_s
            if self.is_stopping or not limit_s or silent_s < limit_s:
                is_told = False
            elif is_traced(process.pid):
                if not is_told:
                    log.warning("%s (process %d) is silent: a debugger holds it", role.label, process.pid)
                is_told = True
            else:
                why = f"had given no sign of life for {silent_s:.0f} s{_stopped(process.pid)} and was killed"
                process.kill()
                return why
        return ""  # of a foreign program that cannot be asked, only its end is known

    def _note_end(self, label: str, why: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        before = self._reports[label]
        self._reports[label] = replace(before, restarts=before.restarts + 1, last_end=f"{at} it {why}")

    async def _spawn(self, role: Role, pulse: int) -> asyncio.subprocess.Process:
        environment = {**os.environ, **dict(role.environment)}
        passed = []
        if role.is_ours:
            environment |= {"HOSTMAKER_LIFELINE": str(self._lifeline), "HOSTMAKER_PULSE": str(pulse)}
            passed += [self._lifeline, pulse]
            for variable, listener in self._listeners.get(role.name, {}).items():
                environment[variable] = str(listener.fileno())
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
            pass_fds=passed,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=None if role.is_ours else die_with_parent,
            start_new_session=True,  # Ctrl-C in the terminal asks the supervisor, which ends the roles in order
        )


@contextmanager
def _probed(role: Role, pulse: Pulse) -> Iterator[None]:
    """Ask a program that has no pulse of its own, again and again, while the block runs."""
    if role.probe is None:
        yield
        return
    task = asyncio.create_task(_probe_for_ever(role, pulse))
    try:
        yield
    finally:
        task.cancel()


async def _probe_for_ever(role: Role, pulse: Pulse) -> None:
    assert role.probe is not None
    while True:
        if await role.probe():
            pulse.hear()
        await asyncio.sleep(PULSE_EVERY_S)


def _last_line(output: Path | None) -> str:
    """Return the last line that a program wrote into its log; empty where there is none."""
    if output is None:
        return ""
    with suppress(OSError), output.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_LINE_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def _stopped(pid: int) -> str:
    return ", stopped by a signal," if is_stopped(pid) else ""


def _how(code: int, words: str) -> str:
    how = f"ended with signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {words}" if words else how
