"""Reads the rings of finished invocations into the series, each record exactly once.

Every gateway life has a ring of its own. How far it was read is committed together with the values that came from it.
A ring is removed when its writer's life is over and everything in it is on disk.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from hostmaker.domain.metric import Series
from hostmaker.kit.ring import RingError, RingReader
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import Counted, Target, tally

log = logging.getLogger("hostmaker.control")
MOST_RECORDS = 65_536  # at a time
MOST_BATCHES = 16  # of one ring in one turn
COMMIT_S = 1.0


class Counter:
    """Counts what is in the rings of a directory."""

    def __init__(
        self, rings: Path, series: SeriesStore, is_alive: Callable[[str], bool], now: Callable[[], float]
    ) -> None:
        """`is_alive` tells of a ring's name (`0-1f...ring`) whether its writer lives; `now` is platform time."""
        self._rings = rings
        self._series = series
        self._is_alive = is_alive
        self._now = now
        self._readers: dict[str, RingReader] = {}
        self._refused: set[str] = set()
        self._committed_at = 0.0
        self._is_failing = False
        for name in series.offsets():
            if name.endswith(".ring") and not (rings / name).exists():
                series.forget_ring(name)

    def collect(self) -> set[Series]:
        """Read what has come since; gives the series that have changed. Committed once a second."""
        changed: set[Series] = set()
        ended = []
        for path in sorted(self._rings.glob("*.ring")):
            is_alive = self._is_alive(path.name)  # asked first: a life that is over writes no more
            is_through = self._read(path, is_alive, changed)
            if is_through and not is_alive:
                ended.append(path)
        if ended or self._is_failing or abs(self._now() - self._committed_at) >= COMMIT_S:
            self.commit()
        for path in ended:
            self._remove(path)
        return changed

    def commit(self) -> None:
        """Write what was counted. A disk that does not take it is told of once, and it is tried again."""
        try:
            self._series.commit()
        except StoreUnavailableError as error:
            if not self._is_failing:
                log.warning("metrics are kept in memory for now: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False
            self._committed_at = self._now()

    def _read(self, path: Path, is_alive: bool, changed: set[Series]) -> bool:
        """Count the new records of a ring; tells whether there are no more."""
        reader = self._reader(path)
        if reader is None:
            return not is_alive
        offset = self._series.offsets().get(path.name, 0)
        for _ in range(MOST_BATCHES):
            batch = reader.read(offset, MOST_RECORDS)
            if batch.lost:
                log.warning("%d invocations in %s were overwritten before they were counted", batch.lost, path.name)
            if batch.next_offset == offset:
                return True
            offset = batch.next_offset
            try:
                counted = tally(batch.records, lambda key: Target(*reader.name(key)))
            except RingError as error:  # a crash of the machine kept records without their names
                log.warning("%d invocations in %s are not counted: %s", len(batch.records), path.name, error)
                counted = Counted([], [])
            self._series.put(counted.for_ever, for_ever=True)
            self._series.put(counted.data, {path.name: offset})
            changed.update(datum.series for datum in counted.data)
        return False

    def _reader(self, path: Path) -> RingReader | None:
        reader = self._readers.get(path.name)
        if reader is None and path.name not in self._refused:
            try:
                reader = self._readers[path.name] = RingReader(path)
            except (RingError, OSError) as error:
                self._refused.add(path.name)
                log.warning("a ring of invocations cannot be read: %s", error)
        return reader

    def _remove(self, path: Path) -> None:
        """Remove a ring whose life is over, if everything that was read of it is on disk."""
        if not self._series.is_committed(path.name):
            return
        if path.is_dir():  # not ours, and in the place of one
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        reader = self._readers.pop(path.name, None)
        if reader is not None:
            reader.close()
        self._refused.discard(path.name)
        self._series.forget_ring(path.name)
