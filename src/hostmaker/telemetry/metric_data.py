"""GetMetricData: metrics and math over them, in pages.

Datapoints lie at the multiples of their period since the epoch, so that those of several metrics stand side by side.
What a request costs is known before anything is read: plain metrics are read slice by slice of their time, also where
that makes a page empty; expressions need all of it at once, and have bounds. The work itself is in steps.
Source: CloudWatch API reference, page GetMetricData.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from hostmaker.domain.metric import statistic
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import Steps, in_order
from hostmaker.planner.metric_math import Array, Grid, Plan, evaluate
from hostmaker.telemetry.errors import InvalidParameterCombination
from hostmaker.telemetry.metric_pages import Page, Scan, Sparse
from hostmaker.telemetry.metric_queries import (
    MOST_PER_PAGE,
    DataInput,
    Metric,
    QueryInput,
    check_request,
    metric_of,
    periods_of,
    plan_of,
)
from hostmaker.telemetry.metric_reading import HISTOGRAM_COST, cells_within, read_periods
from hostmaker.telemetry.metric_terms import SeriesReader, grain_of, is_percentile, is_shown

MAX_READ = 100_800  # periods of all queries together that one page looks at, as many as the service returns
MAX_CELLS = 1_000_000  # that one page reads; those of percentiles count HISTOGRAM_COST times
MAX_WORK = 3_000_000  # values that all expressions of a request compute


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is asked for, at the moment it is asked: periods that begin in [low, high) are looked at.

    `start` is as it was asked; each period rounds it down in its own way.
    """

    start: float
    low: int
    high: int
    now: float

    def times(self, period_s: int) -> range:
        """Return the starts of the periods in it."""
        first = max(self.low, _rounded(self.start, period_s, self.now))
        return range(-(-first // period_s) * period_s, self.high, period_s)


@dataclass(frozen=True, slots=True)
class _Result:
    """One result of a query: an expression may have several."""

    query: QueryInput
    label: str
    points: Sparse


def get_metric_data(
    reader: SeriesReader, region: str, account: str, request: Mapping[str, Json], now: float
) -> Steps[dict[str, object]]:
    """Return the output: a result for each query that returns data, in the order of the queries."""
    asked = cast(DataInput, request)
    queries = asked["MetricDataQueries"]
    check_request(asked, account)
    metrics = {query["Id"]: metric_of(region, query["MetricStat"]) for query in queries if "MetricStat" in query}
    plan = yield from plan_of(queries)
    periods = periods_of(queries, metrics, plan.expressions)
    scan = Scan(asked.get("ScanBy") != "TimestampAscending", asked.get("MaxDatapoints", MOST_PER_PAGE), request)
    whole = _whole(asked, periods.values(), now)
    if plan.expressions:
        _check_amount(plan, periods, metrics, whole)
    window = whole if plan.expressions else _slice(whole, list(metrics.values()), scan)
    read = yield from in_order(_read(reader, metric, window) for metric in metrics.values())
    found = yield from _results(queries, plan, periods, dict(zip(metrics, read, strict=True)), window)
    page = yield from scan.cut([each.points for each in found], _end(whole, window, scan))
    shown: list[dict[str, object]] = []
    for number, each in enumerate(found):
        shown.append(_shown(each, number, page))
        yield
    return {"MetricDataResults": shown, "NextToken": page.token, "Messages": []}


def _whole(asked: DataInput, periods: Iterable[int], now: float) -> Window:
    low = min(_rounded(asked["StartTime"], period_s, now) for period_s in periods)
    return Window(asked["StartTime"], low, int(-(-asked["EndTime"] // 1)), now)


def _rounded(start: float, period_s: int, now: float) -> int:
    grain_s = grain_of(start, period_s, now)
    return int(start // grain_s * grain_s) // period_s * period_s


def _slice(whole: Window, metrics: Sequence[Metric], scan: Scan) -> Window:
    """Return the part of the time that the next page looks at: from where the last one ended, as far as it may."""
    span_s = int((MAX_READ - len(metrics)) / sum(1 / metric.period_s for metric in metrics))
    while span_s > max(metric.period_s for metric in metrics):
        part = _part(whole, span_s, scan)
        if _cells(metrics, part) <= MAX_CELLS:
            return part
        span_s //= 2
    return _part(whole, span_s, scan)


def _part(whole: Window, span_s: int, scan: Scan) -> Window:
    if scan.is_descending:
        high = whole.high if scan.last is None else min(whole.high, scan.last + 1)
        return replace(whole, low=max(whole.low, high - span_s), high=high)
    low = whole.low if scan.last is None else max(whole.low, scan.last)
    return replace(whole, low=low, high=min(whole.high, low + span_s))


def _cells(metrics: Iterable[Metric], window: Window) -> int:
    """Return the cost of reading metrics, in cells."""
    return sum(
        cells_within([(window.low, window.high)], window.now) * (HISTOGRAM_COST if is_percentile(metric.stat) else 1)
        for metric in metrics
    )


def _end(whole: Window, window: Window, scan: Scan) -> int | None:
    """Give the last second that a slice has looked at; None when nothing is left to look at."""
    if scan.is_descending:
        return None if window.low == whole.low else window.low
    return None if window.high == whole.high else window.high - 1


def _shown(result: _Result, number: int, page: Page) -> dict[str, object]:
    times = page.times.get(number, ())
    return {
        "Id": result.query["Id"],
        "Label": result.label,
        "Timestamps": list(times),
        "Values": [result.points[at] for at in times],
        "StatusCode": "PartialData" if page.is_cut or number in page.cut else "Complete",
    }


def _results(
    queries: Sequence[QueryInput],
    plan: Plan,
    periods: Mapping[str, int],
    metrics: Mapping[str, Sparse],
    window: Window,
) -> Steps[list[_Result]]:
    """Return the results of all queries that return data."""
    values: dict[str, Sparse | Array] = dict(metrics)
    for period_s in {periods[expression.name] for expression in plan.expressions}:
        alike = Plan(
            tuple(each for each in plan.expressions if periods[each.name] == period_s),
            tuple(name for name in plan.metrics if periods[name] == period_s),
        )
        values |= yield from _evaluated(alike, metrics, Grid(window.times(period_s), period_s))
    labels = {query["Id"]: _label(query) for query in queries}
    found: list[_Result] = []
    for query in queries:
        if query.get("ReturnData", True):
            starts = window.times(periods[query["Id"]])
            found += yield from _of_query(query, values[query["Id"]], labels, starts)
    return found


def _evaluated(plan: Plan, metrics: Mapping[str, Sparse], grid: Grid) -> Steps[dict[str, Sparse | Array]]:
    dense = {}
    for name in plan.metrics:
        dense[name] = [metrics[name].get(at) for at in grid.starts]
        yield
    found: dict[str, Sparse | Array] = {}
    for name, value in (yield from evaluate(plan, dense, grid)).items():
        found[name] = value if isinstance(value, Array) else _sparse(grid.starts, value)
        yield
    return found


def _of_query(
    query: QueryInput, value: Sparse | Array, labels: Mapping[str, str], starts: Sequence[int]
) -> Steps[list[_Result]]:
    """Return the results of a query; those of an array have its label and that of what they come from."""
    if not isinstance(value, Array):
        return [_Result(query, labels[query["Id"]], value)]
    found: list[_Result] = []
    for item, source in zip(value.items, value.labels, strict=True):
        label = f"{labels[query['Id']]} {labels.get(source, '')}".strip()
        found.append(_Result(query, label, _sparse(starts, item)))
        yield
    return found


def _sparse(starts: Sequence[int], values: Sequence[float | None]) -> Sparse:
    return {at: value for at, value in zip(starts, values, strict=True) if value is not None}


def _label(query: QueryInput) -> str:
    default = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    return query.get("Label", default)


def _check_amount(plan: Plan, periods: Mapping[str, int], metrics: Mapping[str, Metric], window: Window) -> None:
    """Refuse what would take too long, before anything is read; the bounds are told."""
    number = {name: len(window.times(period_s)) for name, period_s in periods.items()}
    amount = sum(number[name] for name in metrics)
    amount += sum(number[each.name] * each.width for each in plan.expressions)
    work = sum(number[each.name] * each.cost for each in plan.expressions)
    for what, found, bound in (
        ("span up to", amount, MAX_READ),
        ("compute up to", work, MAX_WORK),
        ("read up to", _cells(metrics.values(), window), MAX_CELLS),
    ):
        if found > bound:
            raise InvalidParameterCombination(
                f"The queries {what} {found:,} datapoints, and with expressions the limit is {bound:,}. "
                "You may reduce them by increasing periods, decreasing the time range, or asking for less at a time."
            )


def _read(reader: SeriesReader, metric: Metric, window: Window) -> Steps[Sparse]:
    """Return the statistic at each period that has one, of values of all units unless one is asked for."""
    times = window.times(metric.period_s)
    found = yield from read_periods(
        reader,
        metric.series,
        (times.start, times.stop),
        metric.period_s,
        window.now,
        histograms=is_percentile(metric.stat),
        unit=metric.unit,
    )
    values: dict[int, float] = {}
    for count, ((at, _), summary) in enumerate(found.items()):
        value = statistic(summary, metric.stat)
        if value is not None and is_shown(at, metric.period_s, window.now):
            values[at] = value
        if count % 1000 == 999:
            yield
    return values
