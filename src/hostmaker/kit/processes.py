"""What the machine knows of processes: identity that survives the reuse of process ids."""

from __future__ import annotations

import functools
from contextlib import suppress
from pathlib import Path


@functools.cache
def boot_id() -> str:
    """Name this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of process `pid`, or None when there is none (or only its zombie)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


def is_same_process(pid: int, started: int) -> bool:
    """Tell whether `pid` still is the process that started at tick `started`."""
    return start_time(pid) == started


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal, SIGSTOP for one."""
    return _status(pid, "State:").startswith("T")


def is_traced(pid: int) -> bool:
    """Whether a debugger, or a program like it, holds a process."""
    return _status(pid, "TracerPid:") not in ("", "0")


def _status(pid: int, name: str) -> str:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(name):
                return line.removeprefix(name).strip()
    return ""
