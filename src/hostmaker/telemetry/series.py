"""Keeps the values of series: what was put is seen at once, and is on disk with the next commit.

A SQLite file (WAL, synchronous NORMAL) holds cells of some seconds. Between commits, what came in since lies beside it
in memory; a commit adds it in one transaction, together with how far the rings were read that it came from. So a crash
loses both or neither, and everything is counted exactly once. One process writes, from one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hostmaker.domain.metric import Bucket, Datum, Series, Summary
from hostmaker.kit.database import is_disk_error, migrate, named_queries
from hostmaker.kit.steps import Steps, collect
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.cell import Cell, dump_histogram, load_histogram, merge_histograms, merged
from hostmaker.telemetry.retention import FORGOTTEN_AFTER_S, Roll, rolls_of
from hostmaker.telemetry.series_entry import FOR_EVER, LAST_TO_S, Entry, Place

SWEPT_AT_ONCE = 200  # series: a sweep must not keep others waiting
ROLLED_AT_ONCE = 1000  # cells of one series and period
MAX_BUCKETS, MAX_WINDOWS = 4400, 2048  # remembered of a series: alarms look at the same ones again and again
READ_AT_ONCE, MERGED_AT_ONCE = 300, 2000  # buckets, between two steps
MAX_SERIES = 100_000  # each is in memory; our own count and are always kept
STORED_AT_ONCE = 1000  # values of histograms and what every datum costs, between two steps


class TooManySeriesError(Exception):
    """Series that nobody has put into yet, beyond those that are kept."""


class SeriesStore:
    """All series. Times are platform Unix seconds. Raises StoreUnavailableError when the disk does not serve."""

    def __init__(self, path: Path | None, now: Callable[[], float], max_series: int = MAX_SERIES) -> None:
        """Open the database at `path`, making or migrating it (None: in memory); raises SchemaTooNewError."""
        self._now, self._max_series = now, max_series
        with translated():
            self.db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=5.0)
            self.db.create_function("merge_histograms", 2, merge_histograms, deterministic=True)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            migrate(self.db, "hostmaker.telemetry")
            self._sql = named_queries("hostmaker.telemetry")
            self._entries = {entry.series: entry for entry in self._read_entries()}
            self._offsets: dict[str, int] = dict(self.db.execute(self._sql["offsets"]).fetchall())
        self._changed: set[Entry] = set()
        self._moved: set[str] = set()  # rings whose offset is not committed yet
        self._unswept: list[Entry] = []

    def close(self) -> None:
        """Close the database; what is not committed is lost, and read from the rings again."""
        self.db.close()

    # Writing

    def put(self, data: Iterable[Datum], offsets: Mapping[str, int] | None = None, for_ever: bool = False) -> None:
        """Add values. `offsets`: how far the rings are read that they came from; whoever commits, commits both.

        `for_ever`: into the one cell of each series that `totals` tells.
        """
        for datum in data:
            entry = self._entries.get(datum.series) or self._begin(datum.series)
            period = FOR_EVER if for_ever else 1 if datum.resolution_s < 60 else 60
            place = Place(period, int(datum.at // period) * period if period else 0, datum.unit)
            cell = entry.fresh.get(place)
            if cell is None:
                cell = entry.fresh[place] = Cell()
                self._changed.add(entry)
            cell.add(datum.summary)
            if period:
                entry.forget_read(place.start)
            if datum.at > entry.last:
                entry.last = datum.at
                entry.newest = max(entry.newest, datum.at)
        self._move(offsets)

    def commit(self, offsets: Mapping[str, int] | None = None) -> None:
        """Write what has changed. When that fails everything is kept, for the next commit."""
        self._move(offsets)
        if not self._changed and not self._moved:
            return
        with self._transaction():
            idents = [(entry, self._write(entry)) for entry in self._changed]
            for ring in self._moved:
                self._write_offset(ring)
        self._written(idents)
        self._moved.clear()

    def store(self, data: Sequence[Datum]) -> Steps[None]:
        """Add values that come from no ring and write them, some at a time.

        Raises TooManySeriesError, before anything is stored.
        """
        new = len({datum.series for datum in data if datum.series not in self._entries})
        if new and len(self._entries) + new > self._max_series:
            raise TooManySeriesError(
                f"There are {len(self._entries):,} metrics; at most {self._max_series:,} are kept."
            )
        piece: list[Datum] = []
        weight = 0
        for datum in data:
            piece.append(datum)
            weight += 5 + len(datum.summary.histogram)
            if weight >= STORED_AT_ONCE:
                self._store(piece)
                piece, weight = [], 0
                yield
        self._store(piece)

    def _store(self, data: Sequence[Datum]) -> None:
        self.put(data)
        with self._transaction():
            entries = {self._entries[datum.series] for datum in data}
            idents = [(entry, self._write(entry)) for entry in entries]
        self._written(idents)

    def _written(self, idents: Iterable[tuple[Entry, int]]) -> None:
        for entry, ident in idents:
            entry.fresh.clear()
            if entry.ident is None or entry.last - entry.kept_last >= LAST_TO_S:
                entry.kept_last = entry.last
            entry.ident, entry.newest_kept = ident, entry.newest
            self._changed.discard(entry)

    def offsets(self) -> dict[str, int]:
        """Give how far each ring was read, by its name."""
        return dict(self._offsets)

    def is_committed(self, ring: str) -> bool:
        """Tell whether everything that was read of a ring is on disk."""
        return ring not in self._moved

    def forget_ring(self, ring: str) -> None:
        """A ring is gone: its offset goes with the next commit."""
        if self._offsets.pop(ring, None) is not None:
            self._moved.add(ring)

    # Reading

    def buckets(self, series: Series, start: int, end: int, period_s: int) -> list[Bucket]:
        """Give what fell into each multiple of `period_s` since the epoch, start <= bucket's start < end, by time.

        Empty ones are left out. Values of several units stand in buckets of their own. Where only coarser cells are
        left, each is in the bucket in which it begins.
        """
        entry = self._entries.get(series)
        if entry is None:
            return []
        low, high = -(-start // period_s) * period_s, -(-end // period_s) * period_s
        if high - low > MAX_BUCKETS * period_s:
            return self._buckets(entry, low, high, period_s)
        read = entry.read.setdefault(period_s, {})
        if len(read) > 2 * MAX_BUCKETS:
            read.clear()
        starts = range(low, high, period_s)
        unread = [at for at in starts if at not in read]
        if unread:
            self._read(entry, read, unread, period_s)
        return [bucket for at in starts for bucket in read[at]]

    def cells(self, series: Series, start: int, end: int, histograms: bool) -> list[tuple[int, str, Summary]]:
        """Return start, unit and summary of each cell that begins in [start, end), in no particular order.

        Without `histograms` they are empty, and reading is several times faster.
        """
        entry = self._entries.get(series)
        return [] if entry is None else list(self._summaries(entry, start, end, histograms))

    def windows(
        self, series: Series, starts: Sequence[int], length_s: int, step_s: int, unit: str | None
    ) -> Steps[list[Summary | None]]:
        """Return what fell into each [start, start + length) of a unit (None: of any), in multiples of `step_s`."""
        entry = self._entries.get(series)
        if entry is None:
            return [None for _ in starts]
        entry.settle()
        unknown = [start for start in starts if (start, length_s, unit) not in entry.windows]
        if len(entry.windows) + len(unknown) > MAX_WINDOWS:
            entry.windows.clear()
            unknown = list(starts)
        yield from self._warm(entry, unknown, length_s, step_s)
        merged_since, found = 0, list[Summary | None]()
        for start in starts:
            entry.settle()  # values may have come since the last step
            key = (start, length_s, unit)
            if key not in entry.windows:
                entry.windows[key] = merged(self.buckets(series, start, start + length_s, step_s), unit)
                merged_since += length_s // step_s
            found.append(entry.windows[key])
            if merged_since >= MERGED_AT_ONCE:
                merged_since = 0
                yield
        return found

    def _warm(self, entry: Entry, starts: Sequence[int], length_s: int, step_s: int) -> Steps[None]:
        """Read the buckets of windows that are not known, a few at a time."""
        for start in starts:
            for low in range(start, start + length_s, READ_AT_ONCE * step_s):
                high = min(start + length_s, low + READ_AT_ONCE * step_s)
                known = entry.read.get(step_s, {})
                if any(at not in known for at in range(low, high, step_s)):
                    self.buckets(entry.series, low, high, step_s)
                    yield

    def _read(self, entry: Entry, read: dict[int, tuple[Bucket, ...]], starts: Sequence[int], period_s: int) -> None:
        """Read buckets that are not known, from the first to the last one of them."""
        found: dict[int, list[Bucket]] = {}
        for bucket in self._buckets(entry, starts[0], starts[-1] + period_s, period_s):
            found.setdefault(bucket.start, []).append(bucket)
        for at in starts:
            read[at] = tuple(found.get(at, ()))

    def _buckets(self, entry: Entry, low: int, high: int, period_s: int) -> list[Bucket]:
        cells: dict[tuple[int, str], Cell] = {}
        for at, unit, summary in self._summaries(entry, low, high):
            key = (at // period_s * period_s, unit)
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell()
            cell.add(summary)
        return [Bucket(at, period_s, cells[at, unit].summary(), unit) for at, unit in sorted(cells)]

    def has(self, series: Series, start: int, end: int) -> bool:
        """Tell whether a cell begins in [start, end)."""
        entry = self._entries.get(series)
        if entry is None or start > entry.newest:
            return False
        if any(place.period != FOR_EVER and start <= place.start < end for place in entry.fresh):
            return True
        if entry.ident is None or start > entry.newest_kept:
            return False
        with translated():
            return self.db.execute(self._sql["has_cell"], (entry.ident, start, end)).fetchone() is not None

    def find(
        self,
        region: str,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Sequence[tuple[str, str | None]] = (),
        since: float = 0.0,
    ) -> Iterator[Series]:
        """Return the series that had a value after `since`, in no order, as far as they are asked for.

        `dimensions`: those they must have, among others; a value of None is any.
        """
        return (
            series
            for series, entry in list(self._entries.items())
            if series.region == region
            and entry.last + LAST_TO_S > since
            and namespace in (None, series.namespace)
            and name in (None, series.name)
            and all(_has(series, *wanted) for wanted in dimensions)
        )

    def totals(self, namespace: str) -> Steps[list[tuple[Series, Summary]]]:
        """Return all that was ever put `for_ever` into the series of a namespace, sorted."""
        of_it = sorted(
            (pair for pair in self._entries.items() if pair[0].namespace == namespace), key=lambda pair: pair[0]
        )
        found = yield from collect(((series, self._total(entry)) for series, entry in of_it), 20)
        return [(series, summary) for series, summary in found if summary.count]

    def _total(self, entry: Entry) -> Summary:
        cell = Cell()
        if entry.ident is not None:
            with translated():
                for row in self.db.execute(self._sql["totals"], (entry.ident,)):
                    cell.add(_summary(*row))
        for place, fresh in entry.fresh.items():
            if place.period == FOR_EVER:
                cell.add(fresh.summary())
        return cell.summary()

    # Retention

    def sweep(self) -> None:
        """Roll what is old into coarser cells, and drop what is older: some series at a time, so call it often."""
        if not self._unswept:
            self._unswept = list(self._entries.values())
        turn, self._unswept = self._unswept[-SWEPT_AT_ONCE:], self._unswept[:-SWEPT_AT_ONCE]
        now = self._now()
        forgotten = []
        with self._transaction():
            for entry in turn:
                if entry.ident is None:
                    continue
                for roll in rolls_of(entry.series.namespace):
                    if self._roll(entry.ident, roll, now):
                        entry.forget_finer(roll.coarser_s)
                if entry.last < now - FORGOTTEN_AFTER_S and not entry.fresh:
                    self.db.execute(self._sql["forget_cells"], (entry.ident,))
                    self.db.execute(self._sql["forget_series"], (entry.ident,))
                    forgotten.append(entry)
        for entry in forgotten:
            del self._entries[entry.series]

    def _roll(self, ident: int, roll: Roll, now: float) -> bool:
        """Roll some old cells; whether there were any."""
        (oldest,) = self.db.execute(self._sql["oldest"], (ident, roll.period_s)).fetchone()
        if oldest is None or (before := roll.before(now, oldest, ROLLED_AT_ONCE)) <= oldest:
            return False
        values = {"series": ident, "period": roll.period_s, "before": before, "coarser": roll.coarser_s}
        if roll.coarser_s is not None:
            self.db.execute(self._sql["roll_up"], values)
        self.db.execute(self._sql["drop_cells"], values)
        return True

    # What they share

    def _begin(self, series: Series) -> Entry:
        entry = self._entries[series] = Entry(series, None, 0.0)
        return entry

    def _move(self, offsets: Mapping[str, int] | None) -> None:
        if offsets:
            self._offsets.update(offsets)
            self._moved.update(offsets)

    def _write(self, entry: Entry) -> int:
        """Write what is fresh of a series; gives its number."""
        ident, series = entry.ident, entry.series
        if ident is None:
            key = (series.region, series.namespace, series.name, json.dumps(series.dimensions), entry.last)
            ident = int(self.db.execute(self._sql["add_series"], key).fetchone()[0])
        elif entry.last - entry.kept_last >= LAST_TO_S:
            self.db.execute(self._sql["set_last"], (entry.last, ident))
        self.db.executemany(
            self._sql["add_cell"],
            [
                (ident, *place, cell.count, cell.total, cell.least, cell.greatest, dump_histogram(cell.histogram))
                for place, cell in entry.fresh.items()
                if cell.count
            ],
        )
        return ident

    def _write_offset(self, ring: str) -> None:
        position = self._offsets.get(ring)
        if position is None:
            self.db.execute(self._sql["forget_offset"], (ring,))
        else:
            self.db.execute(self._sql["set_offset"], (ring, position))

    def _read_entries(self) -> Iterator[Entry]:
        for ident, region, namespace, name, dimensions, last in self.db.execute(self._sql["all_series"]):
            pairs = tuple((key, value) for key, value in json.loads(dimensions))
            yield Entry(Series(region, namespace, name, pairs), ident, last)

    def _summaries(
        self, entry: Entry, low: int, high: int, histograms: bool = True
    ) -> Iterator[tuple[int, str, Summary]]:
        if entry.ident is not None and low <= entry.newest_kept:
            statement = self._sql["cells" if histograms else "plain_cells"]
            with translated():
                rows = self.db.execute(statement, (entry.ident, low, high)).fetchall()
            for at, unit, *kept in rows:
                yield at, unit, _summary(*kept)
        for place, cell in entry.fresh.items():
            if place.period != FOR_EVER and low <= place.start < high and cell.count:
                yield place.start, place.unit, cell.summary()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            finally:
                # SQLite has rolled back by itself after some errors (disk full), not after others.
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite says of the disk into the port's exception."""
    try:
        yield
    except sqlite3.Error as error:
        if not is_disk_error(error):
            raise
        raise StoreUnavailableError(f"The database of metrics does not serve: {error}.") from error


def _summary(count: float, total: float, least: float, greatest: float, histogram: str = "") -> Summary:
    return Summary(count, total, least, greatest, load_histogram(histogram))


def _has(series: Series, name: str, value: str | None) -> bool:
    return any(key == name and value in (None, its) for key, its in series.dimensions)
