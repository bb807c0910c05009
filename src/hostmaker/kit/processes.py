"""What the machine knows of processes: identity that survives the reuse of process ids."""

from __future__ import annotations

import functools
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
