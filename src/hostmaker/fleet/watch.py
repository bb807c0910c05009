"""Waits for the end of processes that are not our children, at once where the kernel tells it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostmaker.kit.processes import is_same_process, is_stopped, is_traced, start_time

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is not mistaken for a later one of the same id. `start_time` is in clock ticks since boot."""

    pid: int
    start_time: int

    def lives(self) -> bool:
        """Tell whether it still runs (a zombie does not)."""
        return is_same_process(self.pid, self.start_time)

    def is_stopped(self) -> bool:
        """Whether a signal has stopped it, SIGSTOP for one."""
        return self.lives() and is_stopped(self.pid)

    def is_traced(self) -> bool:
        """Whether a debugger holds it."""
        return self.lives() and is_traced(self.pid)

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended is as good."""
        if self.lives():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to its process group, if it still runs."""
        if self.lives():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def age_s(self) -> float:
        """Seconds since its start."""
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_time / os.sysconf("SC_CLK_TCK"))


def process(pid: int) -> Process | None:
    """Give the process that has this id now, or None."""
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def parent(child: Process) -> Process | None:
    """Give the parent of a living process, or None when either has ended."""
    try:
        after_name = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return process(int(after_name[1])) if child.lives() else None


async def ended(watched: Process) -> None:
    """Return when the process has ended."""
    try:
        descriptor = os.pidfd_open(watched.pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel without it
        while watched.lives():
            await asyncio.sleep(POLL_S)
        return
    loop = asyncio.get_running_loop()
    signal = asyncio.Event()
    loop.add_reader(descriptor, signal.set)
    try:
        if watched.lives():  # asked after the descriptor is open: it is of this process, not of a later one
            await signal.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
