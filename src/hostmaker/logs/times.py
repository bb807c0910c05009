"""When a line was written: processes write bare lines, the node's log clock notes how long the file was at which time.

Beside `x.log` lies `x.times`: pairs of unsigned 64-bit little-endian numbers, an offset in bytes and Unix milliseconds
of platform time; everything before the offset, and behind the one before, was written by then.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAIR = struct.Struct("<QQ")


class LogClock:
    """Notes the growth of all logs below a directory."""

    def __init__(self, root: Path, now_ms: Callable[[], int]) -> None:
        self._root = root
        self._now_ms = now_ms
        self._sizes: dict[Path, int] = {}

    def tick(self) -> None:
        """Note every log that has grown since the last tick."""
        for path in self._root.glob("*/*/*/*.log"):
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            if size > self._known(path):
                with path.with_suffix(".times").open("ab") as file:
                    file.write(PAIR.pack(size, self._now_ms()))
                self._sizes[path] = size

    def _known(self, path: Path) -> int:
        if path not in self._sizes:
            marks = read_marks(path)
            self._sizes[path] = marks.offsets[-1] if marks.offsets else 0
        return self._sizes[path]


@dataclass(frozen=True, slots=True)
class Marks:
    """The notes about one log, in rising order."""

    offsets: tuple[int, ...]
    times_ms: tuple[int, ...]

    def at(self, offset: int) -> int | None:
        """Give the time by which the byte at `offset` was written; None when it is newer than every note."""
        index = bisect.bisect_right(self.offsets, offset)
        return self.times_ms[index] if index < len(self.times_ms) else None


def read_marks(log: Path) -> Marks:
    """Read the notes about a log; a note that was cut short by a crash is left out."""
    try:
        content = log.with_suffix(".times").read_bytes()
    except FileNotFoundError:
        return Marks((), ())
    whole = content[: len(content) - len(content) % PAIR.size]
    pairs = list(PAIR.iter_unpack(whole))
    return Marks(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
