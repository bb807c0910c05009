"""The numbers of endpoints as Prometheus reads them, text format 0.0.4: those of the metrics, counted for ever.

Source: prometheus.io, "Exposition formats".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from hostmaker.domain.metric import Series, Summary, middle_of
from hostmaker.telemetry.publish import Serving
from hostmaker.telemetry.tally import (
    CLIENT_ERRORS,
    INVOCATIONS,
    MID_STREAM_ERRORS,
    MODEL_ERRORS,
    MODEL_LATENCY,
    NAMESPACE,
    OVERHEAD_LATENCY,
    SERVER_ERRORS,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SECOND_US = 1e6
ERROR_CLASSES = {CLIENT_ERRORS: "4xx", SERVER_ERRORS: "5xx", MODEL_ERRORS: "model", MID_STREAM_ERRORS: "mid_stream"}
LABELS = {"EndpointName": "endpoint", "VariantName": "variant", "EndpointConfigName": "config"}

Labels = tuple[tuple[str, str], ...]


def prometheus_text(
    totals: Iterable[tuple[Series, Summary]],
    serving: Iterable[Serving],
    concurrent: Callable[[Serving], Sequence[int]],
) -> str:
    """Give the page: counters from `SeriesStore.totals`, gauges of what serves now."""
    by_name: dict[str, list[tuple[Labels, Summary]]] = {}
    for series, summary in totals:
        if series.namespace == NAMESPACE:
            by_name.setdefault(series.name, []).append((_labels(series), summary))
    served = [(_labels(each.target.series_of_config("")), each) for each in serving]
    lines = [
        *_counters(by_name),
        *_histogram("hostmaker_model_latency_seconds", "From sending to the model to its whole answer.",
                    by_name.get(MODEL_LATENCY, [])),
        *_histogram("hostmaker_overhead_latency_seconds", "What invocations took beside their models.",
                    by_name.get(OVERHEAD_LATENCY, [])),
        *_gauge("hostmaker_instances_in_service", "Instances that serve.",
                [(labels, each.instances) for labels, each in served]),
        *_gauge("hostmaker_outstanding_requests", "Requests inside instances.",
                [(labels, sum(concurrent(each))) for labels, each in served]),
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


def _counters(by_name: Mapping[str, list[tuple[Labels, Summary]]]) -> Iterator[str]:
    yield from _head("hostmaker_invocations_total", "counter", "Invocations that were sent to endpoints.")
    for labels, summary in by_name.get(INVOCATIONS, []):
        yield _line("hostmaker_invocations_total", labels, summary.total)
    told = "Invocations that went wrong: the model's 4xx and 5xx, all without a 2xx, and streams that broke off."
    yield from _head("hostmaker_invocation_errors_total", "counter", told)
    for name, kind in ERROR_CLASSES.items():
        for labels, summary in by_name.get(name, []):
            yield _line("hostmaker_invocation_errors_total", (*labels, ("class", kind)), summary.total)


def _histogram(name: str, told: str, summaries: Iterable[tuple[Labels, Summary]]) -> Iterator[str]:
    yield from _head(name, "histogram", told)
    for labels, summary in summaries:
        counts = [0.0] * (len(BOUNDS_S) + 1)
        for bucket, number in summary.histogram.items():
            counts[bisect_left(BOUNDS_S, middle_of(bucket) / SECOND_US)] += number
        seen = 0.0
        for bound, number in zip(BOUNDS_S, counts, strict=False):
            seen += number
            yield _line(f"{name}_bucket", (*labels, ("le", f"{bound:g}")), seen)
        yield _line(f"{name}_bucket", (*labels, ("le", "+Inf")), summary.count)
        yield _line(f"{name}_sum", labels, summary.total / SECOND_US)
        yield _line(f"{name}_count", labels, summary.count)


def _gauge(name: str, told: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield from _head(name, "gauge", told)
    for labels, value in values:
        yield _line(name, labels, value)


def _head(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"


def _labels(series: Series) -> Labels:
    named = dict(series.dimensions)
    return (("region", series.region), *((label, named.get(key, "")) for key, label in LABELS.items()))


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {int(value) if value == int(value) else repr(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
