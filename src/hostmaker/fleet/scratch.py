"""How much instances write to disk: one that writes too much is ended, and the server keeps room for its own records.

Counted is what is in the directories that an instance may write to, beyond what its preparation put there, and the
files that its processes hold open although they are deleted. Files count, too, not only their bytes: a disk has room
for so many.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostmaker.fleet.directory import OWNED, InstanceDirectory
from hostmaker.kit.files import Weight, weigh

MIB, GIB = 1 << 20, 1 << 30
LOOK_S = 5.0
NEAR_LOOK_S = 0.5  # when less than NEAR times the reserve is free
NEAR = 8
SHARE_OF_TIME = 20  # a look takes at most one part in so many
LEAST_BLAMED_BYTES = 64 * MIB
LEAST_BLAMED_FILES = 4096
BYTES_PER_FILE = 16 * 1024  # as ext4 has by default: one inode for so many bytes
RESERVE_FILES = 20_000
UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class DiskBounds:
    """What an instance may write, and what stays free whoever writes; bytes.

    An instance may have as many files as a disk of `most_bytes`; `reserve_files` stay free on one that is bounded.
    """

    most_bytes: int = 1 << 62
    reserve_bytes: int = 0
    reserve_files: int = 0

    @property
    def max_files(self) -> int:
        """How many files an instance may have, beyond those of its preparation."""
        return self.most_bytes // BYTES_PER_FILE

    def judge(self, written: Mapping[str, Weight], free: Weight) -> dict[str, str]:
        """Give who has to end and why, of the instances that run: all above their bound, else one for the reserve."""
        causes = {ident: self._over(each) for ident, each in written.items()}
        over = {ident: cause for ident, cause in causes.items() if cause}
        if over or not written:
            return over
        if free.size < self.reserve_bytes:
            most = max(written, key=lambda ident: (written[ident].size, ident))
            if written[most].size >= LEAST_BLAMED_BYTES:
                return {most: self._for_bytes(written[most].size, free.size)}
        if free.files < self.reserve_files:
            most = max(written, key=lambda ident: (written[ident].files, ident))
            if written[most].files >= LEAST_BLAMED_FILES:
                return {most: self._for_files(written[most].files, free.files)}
        return {}

    def _over(self, written: Weight) -> str:
        if written.size > self.most_bytes:
            allowed = f"the {_gib(self.most_bytes)} that node.instance_disk_gib allows"
            return f"It was ended because it had written {_gib(written.size)}, more than {allowed}."
        if written.files > self.max_files:
            allowed = f"the {self.max_files:,} that node.instance_disk_gib allows, one for {BYTES_PER_FILE} bytes"
            return f"It was ended because it had made {written.files:,} files and directories, more than {allowed}."
        if not written.is_whole:
            return "It was ended because it had nested directories deeper than a path can name."
        return ""

    def _for_bytes(self, written: int, free: int) -> str:
        return (
            f"It was ended because the server's disk had only {_gib(free)} free (node.disk_reserve_mib keeps "
            f"{_gib(self.reserve_bytes)}), and of all instances it had written the most: {_gib(written)}."
        )

    def _for_files(self, written: int, free: int) -> str:
        return (
            f"It was ended because the server's disk had room for only {free:,} more files ({self.reserve_files:,} are "
            f"kept free), and of all instances it had made the most: {written:,}."
        )


@dataclass(frozen=True, slots=True)
class Writer:
    """An instance whose process runs; `uid` is its own user id, when it has one; `sockets` it can write to, too."""

    directory: InstanceDirectory
    pid: int
    uid: int | None
    sockets: Path | None = None

    def written(self) -> Weight:
        """Return what it has written. Blocking."""
        prepared = self.directory.prepared()
        size, files = (prepared.size, prepared.files) if prepared is not None else (0, 0)
        places = [self.directory.path / name for name in OWNED]
        found = sum(map(weigh, [*places, self.sockets] if self.sockets is not None else places), Weight())
        held = sum(_deleted_bytes(pid, self.directory.path) for pid in self._processes())
        return Weight(max(0, found.size - size) + held, max(0, found.files - files), found.is_whole)

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
        free = self._free()
        return free.size < NEAR * self._bounds.reserve_bytes or free.files < NEAR * self._bounds.reserve_files

    def _free(self) -> Weight:
        try:
            disk = os.statvfs(self._data_dir)
        except OSError:
            return Weight(UNBOUNDED, UNBOUNDED)  # not known, so nobody is judged by it
        # A file system without a bound on files says that it has 0.
        return Weight(disk.f_bavail * disk.f_frsize, disk.f_favail if disk.f_files else UNBOUNDED)


def _measured(writers: Mapping[str, Writer]) -> dict[str, Weight]:
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
