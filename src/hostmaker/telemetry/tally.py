"""Turns records of finished invocations into values of AWS/SageMaker's metrics of endpoints.

Source: developer guide, "Monitor Amazon SageMaker AI with CloudWatch", table "Endpoint Invocation Metrics".
"""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hostmaker.domain.metric import Datum, Series, Summary
from hostmaker.kit.ring import BROKE_OFF, EXPLAINED, FAILED, STREAMED, TIMED, UNROUTED, Record
from hostmaker.telemetry.cell import Cell

NAMESPACE = "AWS/SageMaker"
INVOCATIONS, PER_INSTANCE = "Invocations", "InvocationsPerInstance"
CLIENT_ERRORS, SERVER_ERRORS = "Invocation4XXErrors", "Invocation5XXErrors"
MODEL_ERRORS, MID_STREAM_ERRORS = "InvocationModelErrors", "MidStreamErrors"
MODEL_LATENCY, OVERHEAD_LATENCY, FIRST_CHUNK = "ModelLatency", "OverheadLatency", "FirstChunkLatency"
EXPLANATIONS = "ExplanationsPerInstance"
UNITS = {MODEL_LATENCY: "Microseconds", OVERHEAD_LATENCY: "Microseconds", FIRST_CHUNK: "Microseconds"}
COUNTED_FOR_EVER = (
    INVOCATIONS, CLIENT_ERRORS, SERVER_ERRORS, MODEL_ERRORS, MID_STREAM_ERRORS, MODEL_LATENCY, OVERHEAD_LATENCY,
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What was invoked: a variant of an endpoint, under an endpoint config."""

    region: str
    endpoint: str
    variant: str
    config: str = ""

    def series(self, name: str) -> Series:
        """Give the series of the variant, whatever its config."""
        return Series(self.region, NAMESPACE, name, (("EndpointName", self.endpoint), ("VariantName", self.variant)))

    def series_of_config(self, name: str) -> Series:
        """Give the series of the variant under its config."""
        dimensions = (
            ("EndpointConfigName", self.config),
            ("EndpointName", self.endpoint),
            ("VariantName", self.variant),
        )
        return Series(self.region, NAMESPACE, name, dimensions)

    def both(self, name: str) -> tuple[Series, ...]:
        """Give the series that a value is published in."""
        return (self.series(name), self.series_of_config(name)) if self.config else (self.series(name),)


@dataclass(frozen=True, slots=True)
class Counted:
    """Values for the series, and those that counters add up for ever."""

    data: list[Datum]
    for_ever: list[Datum]


class _Second:
    """The invocations of one target that ended in one second."""

    __slots__ = ("all", "client", "explained", "failed", "firsts", "instances", "latencies", "model", "overheads", "server", "streams", "torn")  # noqa: E501  # fmt: skip

    def __init__(self) -> None:
        self.all = self.model = self.client = self.server = self.failed = self.streams = self.torn = 0
        self.instances: Multiset[int] = Multiset()
        self.latencies: list[int] = []
        self.overheads: list[int] = []
        self.firsts: list[int] = []
        self.explained: Multiset[float] = Multiset()

    def count(self, record: Record) -> None:
        _, _, model_us, overhead_us, first_us, status, instances, flags, _ = record
        self.all += 1
        if flags & UNROUTED:
            return
        self.instances[instances] += 1
        if not flags & (TIMED | FAILED):
            return  # the client left, or we were at fault: it says nothing of the model
        self.model += 1
        if flags & TIMED:
            self.latencies.append(round(model_us))
            self.overheads.append(round(overhead_us))
        if flags & FAILED:
            self.failed += 1
            if status >= 500:
                self.server += 1
            elif status >= 400:
                self.client += 1
        if flags & EXPLAINED:
            self.explained[round(first_us) / max(1, instances)] += 1
        if flags & STREAMED:
            self.streams += 1
            self.torn += flags & BROKE_OFF != 0
            if first_us:
                self.firsts.append(round(first_us))

    def summaries(self) -> Iterator[tuple[str, Summary]]:
        """Give what is published of them, by the metric's name; error metrics have a 0 for every good one."""
        yield INVOCATIONS, _of({1.0: self.all})
        yield PER_INSTANCE, _of({1.0 / max(1, size): number for size, number in self.instances.items()})
        for name, bad in ((CLIENT_ERRORS, self.client), (SERVER_ERRORS, self.server), (MODEL_ERRORS, self.failed)):
            yield name, _of({0.0: self.model - bad, 1.0: bad})
        yield MODEL_LATENCY, _of(Multiset(self.latencies))
        yield OVERHEAD_LATENCY, _of(Multiset(self.overheads))
        yield FIRST_CHUNK, _of(Multiset(self.firsts))
        yield EXPLANATIONS, _of(self.explained)
        yield MID_STREAM_ERRORS, _of({0.0: self.streams - self.torn, 1.0: self.torn})


def tally(records: Iterable[Record], target_of: Callable[[int], Target]) -> Counted:
    """Count records, second by second; `target_of` gives what the key of a record stands for."""
    seconds: dict[tuple[int, int], _Second] = {}
    for record in records:
        place = (record[1], int(record[0]))
        second = seconds.get(place)
        if second is None:
            second = seconds[place] = _Second()
        second.count(record)
    counted = Counted([], [])
    for (key, at), second in seconds.items():
        target = target_of(key)
        for name, summary in second.summaries():
            if summary.count:
                unit = UNITS.get(name, "None")
                data = [Datum(series, at, summary, unit, 1) for series in target.both(name)]
                counted.data.extend(data)
                if name in COUNTED_FOR_EVER:
                    counted.for_ever.append(data[-1])
    return counted


def _of(values: dict[float, int] | Multiset[int]) -> Summary:
    cell = Cell()
    for value, number in values.items():
        cell.add_value(float(value), float(number))
    return cell.summary()
