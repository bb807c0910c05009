"""What an endpoint's callers have seen lately: the last seconds of its metrics, by variant and config."""

from __future__ import annotations

from dataclasses import dataclass

from hostmaker.domain.metric import Series, Summary, merge, statistic
from hostmaker.telemetry.publish import Serving
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import INVOCATIONS, MODEL_ERRORS, MODEL_LATENCY

NOTHING = Summary(0, 0.0, 0.0, 0.0, {})


@dataclass(frozen=True, slots=True)
class Recent:
    """Invocations of a variant under a config in the last `window_s` platform seconds; None: not known.

    `error_rate` is the part that failed in the model (0 to 1), latencies are the model's, in microseconds.
    """

    variant: str
    config: str
    window_s: float
    invocations: float
    error_rate: float | None
    p50_us: float | None
    p90_us: float | None


def recent(series: SeriesStore, serving: Serving, now: float, window_s: int) -> Recent:
    """Give what happened in the whole seconds of the window before `now`, a platform second."""
    end = int(now)

    def summary(name: str) -> Summary:
        return _summary(series, serving.target.series_of_config(name), end - window_s, end)

    errors, latency = summary(MODEL_ERRORS), summary(MODEL_LATENCY)
    return Recent(
        serving.variant,
        serving.config,
        window_s,
        summary(INVOCATIONS).total,
        statistic(errors, "Average"),
        statistic(latency, "p50"),
        statistic(latency, "p90"),
    )


def _summary(series: SeriesStore, of: Series, start: int, end: int) -> Summary:
    found = NOTHING
    for bucket in series.buckets(of, start, end, 1):
        found = merge(found, bucket.summary)
    return found
