"""What is known of one series in memory: what is not committed yet, and what was read and may be asked for again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from hostmaker.domain.metric import Bucket, Series, Summary
from hostmaker.telemetry.cell import Cell

LAST_TO_S = 60.0  # how exactly the time of the latest value is kept
FOR_EVER = 0  # the period of the cell that holds all values


class Place(NamedTuple):
    """Which cell of a series."""

    period: int
    start: int
    unit: str


class Entry:
    """What is known of a series; `ident` is None until the first commit. `fresh`: what is not committed yet.

    `read`: buckets as they were read, by period and start; `windows`: sums of them, by start, length, unit. Each is
    forgotten when something comes into it. No cell begins later than `newest`, and none on disk later than
    `newest_kept`.
    """

    __slots__ = ("fresh", "ident", "kept_last", "last", "newest", "newest_kept", "read", "series", "touched", "windows")

    def __init__(self, series: Series, ident: int | None, last: float) -> None:
        self.series = series
        self.ident = ident
        self.last = self.kept_last = last
        self.newest = self.newest_kept = last + LAST_TO_S
        self.fresh: dict[Place, Cell] = {}
        self.read: dict[int, dict[int, tuple[Bucket, ...]]] = {}
        self.windows: dict[tuple[int, int, str | None], Summary | None] = {}
        self.touched: set[int] = set()  # where something has come since windows were forgotten

    def forget_read(self, at: int) -> None:
        """Something comes into the cell that begins at `at`."""
        for length, read in self.read.items():
            read.pop(at // length * length, None)
        if self.windows:
            self.touched.add(at)

    def settle(self) -> None:
        """Forget the windows into which something has come."""
        if not self.touched:
            return
        touched = sorted(self.touched)
        self.touched.clear()
        for key in [key for key in self.windows if _is_between(touched, key[0], key[0] + key[1])]:
            del self.windows[key]

    def forget_finer(self, coarser_s: int | None) -> None:
        """Cells were rolled: what was read stays right only where it lies at multiples of the coarser period."""
        if coarser_s is None:
            self.read.clear()
            self.windows.clear()
            return
        for length in [length for length in self.read if length % coarser_s]:
            del self.read[length]
        for key in [key for key in self.windows if key[0] % coarser_s or key[1] % coarser_s]:
            del self.windows[key]


def _is_between(sorted_places: Sequence[int], low: int, high: int) -> bool:
    return bisect_left(sorted_places, low) < bisect_left(sorted_places, high)
