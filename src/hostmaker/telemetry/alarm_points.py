"""Reads the datapoints that an alarm is judged by, and says of them what the alarm's state shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hostmaker.domain.alarm import LowSamples, MetricAlarm, MetricStat
from hostmaker.domain.metric import Series, Summary, statistic
from hostmaker.kit.json_value import Json
from hostmaker.planner.alarm import Verdict, enough_samples, periods_seen
from hostmaker.planner.metric_math import evaluate_all, parse

MOST_EVALUATED, MOST_RECENT = 20, 50  # datapoints in StateReasonData, whose text has at most 4,000 characters


class Readable(Protocol):
    """Where metrics are read."""

    def windows(
        self, series: Series, starts: Sequence[int], length_s: int, step_s: int, unit: str | None
    ) -> list[Summary | None]:
        """Give what fell into each [start, start + length) of a unit (None: of any), in multiples of `step_s`."""
        ...


@dataclass(frozen=True, slots=True)
class Points:
    """One place for each period seen, oldest first: when it began, its value, how many values it is made of."""

    starts: tuple[int, ...]
    values: tuple[float | None, ...]
    samples: tuple[float, ...]

    def times(self) -> list[str]:
        """When they began, as a reason shows it."""
        return [f"{datetime.fromtimestamp(start, UTC):%d/%m/%y %H:%M:%S}" for start in self.starts]


def read_points(alarm: MetricAlarm, metrics: Readable, end: int, step: int) -> Points:
    """Read what an alarm sees at `end`: periods end there, whatever their multiples are; `step` divides the period."""
    length, number = alarm.period_s, periods_seen(alarm.rule)
    starts = tuple(range(end - number * length, end, length))

    def sums(stat: MetricStat) -> list[Summary | None]:
        return metrics.windows(stat.series(alarm.region), starts, stat.period_s, step, stat.unit)

    if alarm.metric is not None:
        summaries = sums(alarm.metric)
        values = tuple(None if each is None else statistic(each, alarm.metric.stat) for each in summaries)
        return Points(starts, values, tuple(0.0 if each is None else each.count for each in summaries))
    found = {
        query.id: [None if each is None else statistic(each, query.stat.stat) for each in sums(query.stat)]
        for query in alarm.queries
        if query.stat is not None
    }
    expressions = {query.id: parse(query.expression) for query in alarm.queries if query.expression is not None}
    returned = next(query.id for query in alarm.queries if query.returned is not False)
    result = evaluate_all(expressions, found, length)[returned]
    return Points(starts, tuple(result), tuple(1.0 for _ in starts))


def says_enough(alarm: MetricAlarm, points: Points, verdict: Verdict) -> bool:
    """Tell whether the verdict may change the state: percentiles of few samples may not where that is asked for."""
    if alarm.low_samples is not LowSamples.IGNORE or alarm.metric is None:
        return True
    stat = alarm.metric.stat
    return all(enough_samples(stat, points.samples[place]) for place in verdict.counted)


def reason_data(alarm: MetricAlarm, points: Points, verdict: Verdict, now: float) -> str:
    """Give StateReasonData: which datapoints decided, newest last (`evaluatedDatapoints`: newest first)."""
    counted = verdict.counted
    document: dict[str, Json] = {
        "version": "1.0",
        "queryDate": iso(now),
        **({"startDate": iso(points.starts[counted[0]])} if counted else {}),
        **_of_metric(alarm),
        "period": alarm.period_s,
        "recentDatapoints": [points.values[place] for place in counted[-MOST_RECENT:]],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [_told(points, place) for place in reversed(counted[-MOST_EVALUATED:])],
    }
    return json.dumps(document, separators=(",", ":"))


def _of_metric(alarm: MetricAlarm) -> Mapping[str, Json]:
    if alarm.metric is None:
        return {}
    return {"statistic": alarm.metric.stat, **({"unit": alarm.metric.unit} if alarm.metric.unit else {})}


def _told(points: Points, place: int) -> Json:
    return {
        "timestamp": iso(points.starts[place]),
        "sampleCount": points.samples[place],
        "value": points.values[place],
    }


def iso(moment: float) -> str:
    """Write Unix seconds as alarms' JSON texts do: `2026-11-23T01:40:00.000+0000`."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"
