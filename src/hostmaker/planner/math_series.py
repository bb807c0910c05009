"""What metric math computes along and across series. Everything is an iterator, so that long ones can be cut in pieces.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import repeat

from hostmaker.planner.math_values import Grid, Series, finite

Values = Iterator[float | None]
Pair = Callable[[float, float], float]
Reduce = Callable[[Sequence[float]], float]


def safely(pair: Pair, left: float | None, right: float | None) -> float | None:
    """Return `pair` of two scalars; None when one is not known, and where there is no finite result."""
    if left is None or right is None:
        return None
    try:
        return finite(pair(left, right))
    except (ArithmeticError, ValueError):  # a division by zero, an overflow, a root of a negative number
        return None


def both(pair: Pair, left: Series, right: Series) -> Values:
    """Join two series: where only one has a datapoint the other counts as 0; where none has, there is no result."""
    for one, other in zip(left, right, strict=True):
        if one is None and other is None:
            yield None
        else:
            yield safely(pair, one or 0.0, other or 0.0)


def each(pair: Pair, left: Series | float | None, right: Series | float | None) -> Values:
    """Join a series and a scalar, in either order; a missing datapoint stays missing."""
    if isinstance(left, Sequence):
        yield from (safely(pair, value, _scalar(right)) for value in left)
    elif isinstance(right, Sequence):
        yield from (safely(pair, left, value) for value in right)


def _scalar(value: Series | float | None) -> float | None:
    assert not isinstance(value, Sequence)
    return value


def changes(series: Series, period_s: int) -> Iterator[tuple[float, float] | None]:
    """Yield for each datapoint how much more it is than the one before it, and how many seconds lie between."""
    last: tuple[float, int] | None = None
    for place, value in enumerate(series):
        yield None if value is None or last is None else (value - last[0], float(place - last[1]) * period_s)
        last = last if value is None else (value, place)


def differences(series: Series, grid: Grid) -> Values:
    """DIFF."""
    return (None if step is None else finite(step[0]) for step in changes(series, grid.period_s))


def time_differences(series: Series, grid: Grid) -> Values:
    """DIFF_TIME, in seconds."""
    return (None if step is None else step[1] for step in changes(series, grid.period_s))


def rates(series: Series, grid: Grid) -> Values:
    """RATE: the change a second."""
    return (None if step is None else finite(step[0] / step[1]) for step in changes(series, grid.period_s))


def running_sum(series: Series, _grid: Grid) -> Values:
    """RUNNING_SUM; a missing datapoint stays missing and adds nothing."""
    total = 0.0
    for value in series:
        total += value or 0.0
        yield None if value is None else finite(total)


def filled(series: Series, filler: Series | float | None) -> Values:
    """FILL with a scalar, or with the datapoints of another series."""
    others = filler if isinstance(filler, Sequence) else repeat(filler)
    return (other if value is None else value for value, other in zip(series, others, strict=False))


def repeated(series: Series) -> Values:
    """FILL with REPEAT: the datapoint before the gap."""
    last: float | None = None
    for value in series:
        last = last if value is None else value
        yield last


def interpolated(series: Series) -> Values:
    """FILL with LINEAR: a straight line between the datapoints at both ends of a gap; beyond them nothing."""
    before: tuple[int, float] | None = None
    for place, value in enumerate(series):
        if value is None:
            continue
        start = 0 if before is None else before[0] + 1
        for gap in range(start, place):
            yield None if before is None else _between(before, (place, value), gap)
        yield value
        before = (place, value)
    yield from repeat(None, len(series) - (0 if before is None else before[0] + 1))


def _between(before: tuple[int, float], after: tuple[int, float], place: int) -> float | None:
    share = (place - before[0]) / (after[0] - before[0])
    return finite(before[1] * (1 - share) + after[1] * share)


def chosen(condition: Series, then: Series | float | None, otherwise: Series | float | None) -> Values:
    """IF by a series: without a datapoint of the condition there is none; one that `then` lacks counts as 0."""
    thens = then if isinstance(then, Sequence) else repeat(then)
    others = otherwise if isinstance(otherwise, Sequence) else repeat(otherwise)
    lacking = 0.0 if isinstance(then, Sequence) else None
    for is_so, one, other in zip(condition, thens, others, strict=False):
        if is_so is None:
            yield None
        elif is_so:
            yield lacking if one is None else one
        else:
            yield other


def across(reduce: Reduce, series: Sequence[Series], grid: Grid) -> Values:
    """Join series place by place, by the datapoints that there are; a place without any has no result."""
    if not series:
        yield from repeat(None, len(grid.starts))
    for column in zip(*series, strict=True):
        yield reduced(reduce, column)


def reduced(reduce: Reduce, values: Series) -> float | None:
    """Reduce the datapoints of a series to a scalar; None when there are none."""
    known = [value for value in values if value is not None]
    return safely(lambda _one, _other: float(reduce(known)), 0.0, 0.0) if known else None


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of all values (of the population)."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


MOMENTS: dict[str, Callable[[datetime], int]] = {
    "MINUTE": lambda at: at.minute,
    "HOUR": lambda at: at.hour,
    "DAY": datetime.isoweekday,
    "DATE": lambda at: at.day,
    "MONTH": lambda at: at.month,
    "YEAR": lambda at: at.year,
    "EPOCH": lambda at: int(at.timestamp()),
}
"""What each function says of a timestamp, in UTC; DAY is 1 on Mondays, 7 on Sundays."""


def moments(name: str, grid: Grid) -> Values:
    """Yield what the function of a timestamp says at every place, whether there is a datapoint or not."""
    of = MOMENTS[name]
    return (float(of(datetime.fromtimestamp(start, UTC))) for start in grid.starts)
