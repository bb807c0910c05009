"""How much instances write to disk: one that writes too much is ended, and the server keeps room for its own records.

Counted is what lies in the directories that an instance may write to, beyond what its preparation put there, and the
files that its processes hold open although they are deleted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostmaker.fleet.directory import OWNED, InstanceDirectory
from hostmaker.kit.files import measure

MIB, GIB = 1 << 20, 1 << 30
LOOK_S = 5.0
NEAR_LOOK_S = 0.5  # when less than NEAR times the reserve is free
NEAR = 8
SHARE_OF_TIME = 20  # a look takes at most one part in so many
LEAST_BLAMED_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class DiskBounds:
    """What an instance may write, and what stays free whoever writes; bytes."""

    most_bytes: int = 1 << 62
    reserve_bytes: int = 0

    def judge(self, written: Mapping[str, int], free: int) -> dict[str, str]:
        """Give who has to end and why, of the instances that run: all above their bound, else one for the reserve."""
        over = {
            ident: f"It was ended because it had written {_gib(size)}, more than the {_gib(self.most_bytes)} that "
            "node.instance_disk_gib allows."
            for ident, size in written.items()
            if size > self.most_bytes
        }
        if over or free >= self.reserve_bytes or not written:
            return over
        most = max(written, key=lambda ident: (written[ident], ident))
        if written[most] < LEAST_BLAMED_BYTES:
            return {}
        return {
            most: f"It was ended because the server's disk had only {_gib(free)} free (node.disk_reserve_mib keeps "
            f"{_gib(self.reserve_bytes)}), and of all instances it had written the most: {_gib(written[most])}."
        }


@dataclass(frozen=True, slots=True)
class Writer:
    """An instance whose process runs; `uid` is its own user id, when it has one."""

    directory: InstanceDirectory
    pid: int
    uid: int | None

    def written(self) -> int:
        """Give the bytes it has written. Blocking."""
        prepared = self.directory.prepared()
        lies = sum(measure(self.directory.path / name) for name in OWNED)
        held = sum(_deleted_bytes(pid, self.directory.path) for pid in self._processes())
        return max(0, lies - (prepared.size if prepared is not None else 0)) + held

    def _processes(self) -> Iterator[int]:
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError):
                    is_its_user = self.uid is not None and os.stat(f"/proc/{name}").st_uid == self.uid
                    if is_its_user or os.getsid(int(name)) == self.pid:
                        yield int(name)


class DiskWatch:
    """Looks again and again; more often when the disk is nearly full.

    Then it first asks for room (blocking): what is only kept for later goes before any instance does.
    """

    def __init__(self, data_dir: Path, bounds: DiskBounds, make_room: Callable[[], None]) -> None:
        self._data_dir = data_dir
        self._bounds = bounds
        self._make_room = make_room
        self._next_look = 0.0

    async def wait(self) -> None:
        """Return when it is time to look."""
        while True:
            await asyncio.sleep(NEAR_LOOK_S)
            if time.monotonic() >= self._next_look - (LOOK_S - NEAR_LOOK_S if self._is_near() else 0):
                return

    async def look(self, writers: Mapping[str, Writer]) -> dict[str, str]:
        """Give who has to end, and why."""
        if self._is_near():
            await asyncio.to_thread(self._make_room)
        began = time.monotonic()
        written = await asyncio.to_thread(_measured, writers)
        ended = time.monotonic()
        self._next_look = ended + max(LOOK_S, (ended - began) * SHARE_OF_TIME)
        return self._bounds.judge(written, self._free())

    def _is_near(self) -> bool:
        return self._free() < NEAR * self._bounds.reserve_bytes

    def _free(self) -> int:
        try:
            return shutil.disk_usage(self._data_dir).free
        except OSError:
            return 1 << 62  # not known, so nobody is judged by it


def _measured(writers: Mapping[str, Writer]) -> dict[str, int]:
    return {ident: writer.written() for ident, writer in writers.items()}


def _deleted_bytes(pid: int, beside: Path) -> int:
    """Give the bytes of files without a name that a process holds open, on the disk of `beside`."""
    device, total = os.stat(beside).st_dev, 0
    for name in _names(f"/proc/{pid}/fd"):
        with suppress(OSError):
            file = os.stat(f"/proc/{pid}/fd/{name}")
            if stat.S_ISREG(file.st_mode) and file.st_nlink == 0 and file.st_dev == device:
                total += file.st_blocks * 512
    return total


def _names(directory: str) -> Collection[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return ()


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
