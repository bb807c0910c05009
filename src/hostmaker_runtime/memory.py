"""How much memory an instance may use: judged by the kernel in a cgroup, or each second by the keeper.

The keeper counts what is private to the instance's processes (anonymous pages and swap), never what they map: libraries
are shared, and an address space says nothing. Files in a `/dev/shm` of the instance's own are memory, too.
"""

import os
from typing import Any, Dict, Optional

PAGES = ("RssAnon:", "VmSwap:")


class Memory:
    """A limit in bytes; `events` is the cgroup's file that counts kills, None: the keeper watches.

    `counts_shared` says that the instance has a `/dev/shm` of its own.
    """

    def __init__(self, told: Dict[str, Any]) -> None:
        self.limit_bytes = int(told["limit_bytes"])
        self.counts_shared = told.get("counts_shared") is True
        self.events: Optional[str] = told.get("events")
        self.used_bytes = 0  # when it was found to be too much

    def is_watched(self) -> bool:
        """Tell whether the keeper has to look."""
        return self.events is None

    def look(self, leader: int) -> bool:
        """Tell whether the processes of a session use more than they may."""
        used = private_bytes(leader) + (shared_bytes(leader) if self.counts_shared else 0)
        if used > self.limit_bytes:
            self.used_bytes = used
        return used > self.limit_bytes

    def has_killed(self) -> bool:
        """Tell whether it was the memory that ended the instance."""
        return self.used_bytes > 0 if self.events is None else _kills(self.events) > 0


def private_bytes(leader: int) -> int:
    """Give the private memory of all processes of a session."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    total += _private_bytes(name)
            except OSError:
                pass  # gone meanwhile
    return total


def shared_bytes(leader: int) -> int:
    """Return what is in the `/dev/shm` that a process sees; 0 when the process is gone."""
    try:
        seen = os.statvfs("/proc/%d/root/dev/shm" % leader)
    except OSError:
        return 0
    return (seen.f_blocks - seen.f_bfree) * seen.f_frsize


def _private_bytes(pid: str) -> int:
    with open("/proc/%s/status" % pid) as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(PAGES))


def _kills(events: str) -> int:
    """Read memory.events (version 2) or memory.oom_control (version 1); both have a line `oom_kill N`."""
    try:
        with open(events) as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except OSError:
        return 0
