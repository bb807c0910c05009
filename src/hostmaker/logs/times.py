"""When a line was written: processes write bare lines, the node's log clock notes how long the file was at which time.

Beside `x.log` lies `x.times`: pairs of unsigned 64-bit little-endian numbers, an offset in bytes and Unix milliseconds
of platform time, both rising; what ends at or before the offset, and behind the one before, was written by then.
"""

from __future__ import annotations

import bisect
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PAIR = struct.Struct("<QQ")
SHARE_OF_TIME = 20  # a look at all logs takes at most one part in so many


class LogClock:
    """Notes the growth of all logs below a directory."""

    def __init__(
        self,
        root: Path,
        now_ms: Callable[[], int],
        steady: Callable[[], float] = time.monotonic,
        shorten: Callable[[Path], None] | None = None,
        most_bytes: int = 1 << 62,
    ) -> None:
        """`shorten` is asked to, when a log has more than `most_bytes`."""
        self._root = root
        self._shorten = shorten
        self._most_bytes = most_bytes
        self._now_ms = now_ms
        self._steady = steady
        self._sizes: dict[str, int] = {}
        self._next_look = 0.0

    def tick(self) -> None:
        """Note every log that has grown since the last look; with very many logs not every tick is a look."""
        began = self._steady()
        if began < self._next_look:
            return
        sizes: dict[str, int] = {}
        for path, size in _logs(str(self._root), 3):
            with suppress(OSError):  # deleted meanwhile, or a full disk: the next look tries again
                sizes[path] = self._note(path, size)
                if size > self._most_bytes and self._shorten is not None:
                    self._shorten(Path(path))
                    sizes[path] = _mend(_beside(path))
        self._sizes = sizes
        ended = self._steady()
        self._next_look = ended + (ended - began) * SHARE_OF_TIME

    def _note(self, path: str, size: int) -> int:
        known = self._sizes.get(path)
        if known is None:
            known = _mend(_beside(path))
        if size < known:  # deleted and begun anew
            with suppress(FileNotFoundError):
                os.truncate(_beside(path), 0)
            known = 0
        if size > known:
            _append(_beside(path), size, self._now_ms())
        return size


def _logs(directory: str, depth: int) -> Iterator[tuple[str, int]]:
    """Give path and size of each log `depth` directories below."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if depth and entry.is_dir(follow_symlinks=False):
                yield from _logs(entry.path, depth - 1)
            elif not depth and entry.name.endswith(".log"):
                with suppress(OSError):
                    yield entry.path, entry.stat(follow_symlinks=False).st_size


def _beside(log: str) -> str:
    return log.removesuffix(".log") + ".times"


def _mend(times: str) -> int:
    """Cut off half a pair that a crash has left; give the last offset noted."""
    with suppress(FileNotFoundError):
        size = os.stat(times).st_size
        if size % PAIR.size:
            os.truncate(times, size - size % PAIR.size)
    ends = _ends(times)
    return ends[1][0] if ends else 0


def _append(times: str, offset: int, at_ms: int) -> None:
    descriptor = os.open(times, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, PAIR.pack(offset, at_ms)) != PAIR.size:
            os.ftruncate(descriptor, before)
            raise OSError("half a pair")
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Marks:
    """The notes about one log, in rising order; `pairs` is the file's content."""

    pairs: bytes

    @property
    def count(self) -> int:
        """How many notes there are."""
        return len(self.pairs) // PAIR.size

    def offset(self, index: int) -> int:
        """Give how long the log was at note `index`."""
        return int(PAIR.unpack_from(self.pairs, index * PAIR.size)[0])

    def at_ms(self, index: int) -> int:
        """Give the time of note `index`."""
        return int(PAIR.unpack_from(self.pairs, index * PAIR.size)[1])

    def ended_at(self, end: int) -> tuple[int, int] | None:
        """Give the note that a line's end falls under, as offset and time; None when it is newer than every note."""
        index = bisect.bisect_left(range(self.count), end, key=self.offset)
        return (self.offset(index), self.at_ms(index)) if index < self.count else None

    def length_before(self, at_ms: int) -> int:
        """Give how long the log was just before a time: lines that end behind it are of that time or later."""
        index = bisect.bisect_left(range(self.count), at_ms, key=self.at_ms)
        return self.offset(index - 1) if index else 0


def read_marks(log: Path) -> Marks:
    """Read the notes about a log."""
    try:
        return Marks(log.with_suffix(".times").read_bytes())
    except FileNotFoundError:
        return Marks(b"")


def read_ends_ms(log: Path) -> tuple[int, int] | None:
    """Give the times of the first and the last note about a log, None when there is none."""
    ends = _ends(_beside(str(log)))
    return (ends[0][1], ends[1][1]) if ends else None


def _ends(times: str) -> tuple[tuple[int, int], tuple[int, int]] | None:
    try:
        with open(times, "rb") as file:
            count = file.seek(0, os.SEEK_END) // PAIR.size
            if not count:
                return None
            pairs = []
            for index in (0, count - 1):
                file.seek(index * PAIR.size)
                offset, at_ms = PAIR.unpack(file.read(PAIR.size))
                pairs.append((int(offset), int(at_ms)))
    except FileNotFoundError:
        return None
    return pairs[0], pairs[1]
