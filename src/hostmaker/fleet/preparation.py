"""Runs the program that makes an instance ready: a child in a session of its own, ended with all it has started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.fleet.watch import Process, ended, process

BUILD_ALLOWANCE_S = 1800.0  # beyond the download's own limit, which counts the model data only
STOP_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Preparing:
    """How instances are made ready: `argv` is followed by the instance's directory; `turns` bounds how many at once."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    turns: asyncio.Semaphore


async def prepare(
    spec: InstanceSpec, directory: InstanceDirectory, log: Path, how: Preparing
) -> InstanceFailure | None:
    """Make an instance ready, in a new directory; gives what has failed. Cancelled, it leaves no process behind."""
    try:
        await asyncio.to_thread(directory.create, spec)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with how.turns:
            return await _run(spec, directory, log, how)
    except OSError as error:
        return InstanceFailure(FailureKind.IMAGE, f"Preparing it failed: {error.strerror} ({error.filename}).")


async def _run(spec: InstanceSpec, directory: InstanceDirectory, log: Path, how: Preparing) -> InstanceFailure | None:
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *how.argv,
            str(directory.path),
            env={**how.env, "HOSTMAKER_LOG": str(log)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    limit_s = spec.download_timeout.total_seconds() + BUILD_ALLOWANCE_S
    try:
        if (running := process(child.pid)) is not None:
            directory.keep_preparation(running)
        async with asyncio.timeout(limit_s):
            code = await child.wait()
    except TimeoutError:
        return InstanceFailure(FailureKind.IMAGE, f"Preparing it took more than {limit_s:g} s and was ended.")
    finally:
        if child.returncode is None:
            _kill_group(child.pid)
            await asyncio.shield(child.wait())
    return None if code == 0 and directory.prepared() is not None else _failure(code, directory)


def _failure(code: int, directory: InstanceDirectory) -> InstanceFailure:
    """Give the failure that the child has recorded, or how it ended."""
    recorded = directory.failure()
    if code != 0 and recorded is not None:
        return recorded
    if code == 0:
        return InstanceFailure(FailureKind.IMAGE, "Preparing it ended without saying how it is started.")
    name = signal.Signals(-code).name if code < 0 else None
    how = f"signal {name}" if name else f"exit code {code}"
    return InstanceFailure(FailureKind.IMAGE, f"Preparing it ended with {how}.", None if name else code, name)


async def end_preparation(left: Process) -> None:
    """End a preparation that an agent, killed since, has left behind; raises TimeoutError when it does not end."""
    _kill_group(left.pid)
    async with asyncio.timeout(STOP_WITHIN_S):
        await ended(left)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def default_prepare_argv() -> tuple[str, ...]:
    """Give the program that prepares an instance; its last argument is the directory."""
    return (sys.executable, "-m", "hostmaker.assembly.prepare")
