"""Reads what a series has in periods that follow each other, in steps: there may be thousands of cells in one period.

Cells are the finest that the store still has; each belongs to the period in which it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hostmaker.domain.metric import Series, Summary
from hostmaker.kit.steps import Steps, collect
from hostmaker.telemetry.cell import Cell
from hostmaker.telemetry.metric_terms import DAY_S, HOUR_S, MINUTE_S, SeriesReader

CELLS = 500  # of one step
_MARGIN_S = HOUR_S  # cells are rolled a while after they may be
# The length of the shortest cells (in seconds) of values that are older than the first number.
_CELL_LENGTHS = ((63 * DAY_S, HOUR_S), (15 * DAY_S, 300), (3 * HOUR_S, MINUTE_S), (-3 * HOUR_S, 1))
HISTOGRAM_COST = 4  # how much more work a cell is when its histogram is read


def read_periods(
    reader: SeriesReader,
    series: Series,
    span: tuple[int, int],
    period_s: int,
    now: float,
    *,
    histograms: bool,
    unit: str | None = None,
    by_unit: bool = False,
) -> Steps[dict[tuple[int, str], Summary]]:
    """Return the summary of each period with values that begins in `span`, by its start and unit.

    Periods follow each other from the start of the span. `unit` None: values of all units; they are in one summary of
    the unit "" unless `by_unit`. Without `histograms` the summaries know no percentiles.
    """
    start, end = span
    cells: dict[tuple[int, str], Cell] = {}
    for low, high in _pieces(start, end, now, CELLS // (1 if not histograms else HISTOGRAM_COST)):
        for at, its_unit, summary in reader.cells(series, low, high, histograms):
            if unit in (None, its_unit):
                key = (start + (at - start) // period_s * period_s, its_unit if by_unit else "")
                cell = cells.get(key)
                if cell is None:
                    cell = cells[key] = Cell()
                cell.add(summary)
        yield
    keys = sorted(cells)
    yield
    return dict((yield from collect((key, cells[key].summary()) for key in keys)))


def cells_within(spans: Sequence[tuple[int, int]], now: float) -> int:
    """Return how many cells spans of time can have, of values that were not put with a resolution of a second."""
    return sum((high - low) // max(MINUTE_S, length) + 1 for span in spans for low, high, length in _ages(*span, now))


def _pieces(start: int, end: int, now: float, cells: int) -> Iterator[tuple[int, int]]:
    """Yield parts of a span that have at most `cells` cells each."""
    for low, high, length in _ages(start, end, now):
        step = cells * length
        yield from ((at, min(at + step, high)) for at in range(low, high, step))


def _ages(start: int, end: int, now: float) -> Iterator[tuple[int, int, int]]:
    """Yield parts of a span, oldest first, with the length of the shortest cells in each."""
    low = start
    for age, length in _CELL_LENGTHS:
        high = min(end, max(low, int(now - age - _MARGIN_S)))
        if low < high:
            yield low, high, length
        low = high
    if low < end:
        yield low, end, end - low  # nothing is put so far into the future
