"""Counting: what a record says, each exactly once whoever dies when, zeros, concurrency."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostmaker.domain.metric import Series, Summary
from hostmaker.kit.files import lock_holder
from hostmaker.kit.ring import BROKE_OFF, EXPLAINED, FAILED, STREAMED, TIMED, UNROUTED, RingWriter
from hostmaker.kit.steps import finish
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.publish import Publisher, Serving
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import Target

T0 = 1_800_000_000
TARGET = Target("r", "e", "v", "c")


class House:
    """A folder of rings, a database, and who reads them, who may die and start again."""

    def __init__(self, folder: Path, capacity: int = 1024) -> None:
        self.folder, self.capacity = folder, capacity
        self.rings = folder / "rings"
        self.rings.mkdir()
        self.at = float(T0)
        self.lives = 0
        self.start()

    def start(self) -> None:
        self.series = SeriesStore(self.folder / "m.db", lambda: self.at)
        self.counter = Counter(
            self.rings, self.series, lambda name: lock_holder(self.rings / name) is not None, lambda: self.at
        )

    def kill(self) -> None:
        """What the process held in memory is gone."""
        self.series.close()
        self.start()

    def writer(self, target: Target = TARGET) -> RingWriter:
        self.lives += 1
        writer = RingWriter(self.rings / f"0-{self.lives}.ring", self.capacity, 4096)
        writer.name((target.region, target.endpoint, target.variant, target.config))
        return writer

    def total(self, metric: str, target: Target = TARGET) -> tuple[float, float] | None:
        """Give sum and count of both series, which are equal."""
        of_both = {self._total(series) for series in target.both(metric)}
        assert len(of_both) == 1
        return of_both.pop()

    def _total(self, series: Series) -> tuple[float, float] | None:
        found = self.series.buckets(series, T0 - 3600, T0 + 3600, 3600)
        return (sum(each.summary.total for each in found), sum(each.summary.count for each in found)) if found else None

    def ever(self, metric: str) -> float:
        return dict(finish(self.series.totals("AWS/SageMaker"))).get(TARGET.both(metric)[-1], Summary(0, 0, 0, 0)).total


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.series.close()


def append(
    writer: RingWriter, status: int = 200, flags: int = TIMED, at: float = T0, model: int = 1000, instances: int = 2
) -> None:
    writer.append(
        at, 0, model, 100, 300 if flags & STREAMED else 3 if flags & EXPLAINED else 0, status, instances, flags
    )


METRICS = (
    "Invocations",
    "InvocationsPerInstance",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
    "ModelLatency",
    "OverheadLatency",
    "FirstChunkLatency",
    "MidStreamErrors",
    "ExplanationsPerInstance",
)
ONCE, HALF, GOOD, BAD, NONE = (1, 1), (0.5, 1), (0, 1), (1, 1), None
MODEL, OVERHEAD, CHUNK = (1000, 1), (100, 1), (300, 1)
EXPLANATIONS = (1.5, 1)  # three records, two instances


@pytest.mark.parametrize(
    ("status", "flags", "expected"),
    [
        (200, TIMED, (ONCE, HALF, GOOD, GOOD, GOOD, MODEL, OVERHEAD, NONE, NONE, NONE)),
        (404, TIMED | FAILED, (ONCE, HALF, BAD, GOOD, BAD, MODEL, OVERHEAD, NONE, NONE, NONE)),
        (503, TIMED | FAILED, (ONCE, HALF, GOOD, BAD, BAD, MODEL, OVERHEAD, NONE, NONE, NONE)),
        (302, TIMED | FAILED, (ONCE, HALF, GOOD, GOOD, BAD, MODEL, OVERHEAD, NONE, NONE, NONE)),
        (0, TIMED | FAILED, (ONCE, HALF, GOOD, GOOD, BAD, MODEL, OVERHEAD, NONE, NONE, NONE)),
        (0, FAILED, (ONCE, HALF, GOOD, GOOD, BAD, NONE, NONE, NONE, NONE, NONE)),
        (0, 0, (ONCE, HALF, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE)),
        (200, TIMED | STREAMED, (ONCE, HALF, GOOD, GOOD, GOOD, MODEL, OVERHEAD, CHUNK, GOOD, NONE)),
        (200, TIMED | STREAMED | BROKE_OFF | FAILED, (ONCE, HALF, GOOD, GOOD, BAD, MODEL, OVERHEAD, CHUNK, BAD, NONE)),
        (200, TIMED | EXPLAINED, (ONCE, HALF, GOOD, GOOD, GOOD, MODEL, OVERHEAD, NONE, NONE, EXPLANATIONS)),
    ],
)
def test_each_outcome_says_its_metrics(
    house: House, status: int, flags: int, expected: tuple[tuple[float, float] | None, ...]
) -> None:
    append(house.writer(), status, flags)
    house.counter.collect()
    assert tuple(house.total(metric) for metric in METRICS) == expected


def test_an_invocation_without_an_instance_says_nothing_of_a_model(house: House) -> None:
    append(house.writer(), 503, UNROUTED, instances=0)
    house.counter.collect()
    assert [metric for metric in METRICS if house.total(metric)] == ["Invocations"]


def test_names_dimensions_and_units_are_the_contracts(house: House) -> None:
    append(house.writer())
    changed = house.counter.collect()
    assert {series.namespace for series in changed} == {"AWS/SageMaker"}
    own = (("EndpointName", "e"), ("VariantName", "v"))
    assert {series.dimensions for series in changed} == {own, (("EndpointConfigName", "c"), *own)}
    units = {series.name: house.series.buckets(series, T0, T0 + 1, 1)[0].unit for series in changed}
    assert {name for name, unit in units.items() if unit == "Microseconds"} == {"ModelLatency", "OverheadLatency"}
    assert {unit for name, unit in units.items() if not name.endswith("Latency")} == {"None"}


def test_values_are_kept_by_the_second(house: House) -> None:
    writer = house.writer()
    for at in (T0 + 0.1, T0 + 0.9, T0 + 1.0):
        append(writer, at=at)
    house.counter.collect()
    found = house.series.buckets(TARGET.both("Invocations")[0], T0, T0 + 60, 1)
    assert [(each.start - T0, each.summary.total) for each in found] == [(0, 2), (1, 1)]


def test_the_series_that_changed_are_told_once(house: House) -> None:
    append(house.writer())
    assert len(house.counter.collect()) == 14
    assert house.counter.collect() == set()


def test_a_living_gateways_ring_stays_and_a_dead_ones_goes_when_it_is_read(house: House) -> None:
    living, dead = house.writer(), house.writer()
    append(living)
    append(dead)
    dead.close()
    house.counter.collect()
    house.counter.collect()
    assert os.listdir(house.rings) == ["0-1.ring"]
    house.kill()
    assert house.series.offsets().keys() <= {"0-1.ring", "0-2.ring"}
    house.counter.collect()
    assert house.series.offsets() == {"0-1.ring": 1}
    assert house.total("Invocations") == (2, 2)


def test_a_ring_is_not_removed_before_it_is_committed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = house.writer()
    append(writer)
    writer.close()

    def full() -> None:
        raise StoreUnavailableError("full")

    with monkeypatch.context() as patched:
        patched.setattr(house.series, "commit", full)
        for _ in range(3):
            house.counter.collect()
        assert house.total("Invocations") == (1, 1)
        assert os.listdir(house.rings) == ["0-1.ring"]
    house.kill()
    assert house.total("Invocations") is None
    house.counter.collect()
    house.counter.collect()
    assert (house.total("Invocations"), os.listdir(house.rings)) == ((1, 1), [])


def test_what_was_overwritten_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.capacity = 4
    writer = house.writer()
    for _ in range(10):
        append(writer)
    house.counter.collect()
    assert house.total("Invocations") == (3, 3)
    assert "7 invocations in 0-1.ring were overwritten" in caplog.text


def test_invocations_without_a_name_are_told_and_passed_over(house: House, caplog: pytest.LogCaptureFixture) -> None:
    writer = house.writer()
    writer.append(T0, 9, 1, 1, 0, 200, 1, TIMED)
    house.counter.collect()
    append(writer)
    house.counter.collect()
    assert house.total("Invocations") == (1, 1)
    assert "1 invocations in 0-1.ring are not counted" in caplog.text


def test_a_file_that_is_no_ring_and_nobodys_is_told_of_and_goes(house: House, caplog: pytest.LogCaptureFixture) -> None:
    (house.rings / "0-x.ring").write_bytes(b"no")
    append(house.writer())
    house.counter.collect()
    house.counter.collect()
    assert house.total("Invocations") == (1, 1)
    assert caplog.text.count("0-x.ring") == 1
    assert not (house.rings / "0-x.ring").exists()


class Killed(BaseException):
    """The reader's end, at a place that chance has chosen."""


def dying(real: Callable[..., object], before: bool) -> Callable[..., object]:
    def die(*given: object, **named: object) -> object:
        if not before:
            real(*given, **named)
        raise Killed

    return die


def room(house: House, writer: RingWriter) -> int:
    """Count what can be appended so that the next reader, should this one die, is not too late for anything."""
    offsets = dict(house.series.db.execute("SELECT ring, position FROM offsets"))
    return house.capacity - 1 - (writer._head - offsets.get(f"0-{house.lives}.ring", 0))


PLACES = [
    (owner, method, before) for owner, method in (("series", "commit"), ("path", "unlink")) for before in (True, False)
]


@pytest.mark.parametrize("seed", range(25))
def test_each_invocation_is_counted_exactly_once_whoever_dies_when(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and committing, after it, and around the removal of a ring; the rings wrap around."""
    chance = random.Random(seed)
    house = House(tmp_path, capacity=16)
    writer = house.writer()
    written = 0
    for _ in range(120):
        for _ in range(chance.randint(0, room(house, writer))):
            append(writer, at=T0 + chance.random() * 30, model=7)
            written += 1
        if chance.random() < 0.15:
            writer.close()
            writer = house.writer()
        house.at += chance.choice((0.3, 1.1))
        with monkeypatch.context() as patched:
            if chance.random() < 0.4:
                owner, method, before = chance.choice(PLACES)
                target: object = house.series if owner == "series" else Path
                patched.setattr(target, method, dying(getattr(target, method), before))
            try:
                house.counter.collect()
            except Killed:
                patched.undo()
                house.kill()
    writer.close()
    for _ in range(2):
        house.at += 2
        house.counter.collect()
    assert house.total("Invocations") == (written, written)
    assert house.total("ModelLatency") == (7 * written, written)
    assert house.ever("Invocations") == written
    assert os.listdir(house.rings) == []
    house.kill()
    assert house.total("Invocations") == (written, written)
    house.series.close()


def by_minute(house: House, metric: str) -> dict[int, float]:
    found = house.series.buckets(TARGET.both(metric)[1], T0, T0 + 3600, 60)
    return {each.start - T0: each.summary.total for each in found}


def serving(target: Target = TARGET, instances: int = 2, since: float = T0) -> Serving:
    return Serving(target.region, target.endpoint, target.variant, target.config, tuple(range(instances)), since)


def test_minutes_without_an_invocation_get_a_zero_and_others_none(house: House) -> None:
    publisher = Publisher(house.series)
    writer = house.writer()
    for second in range(0, 191, 10):
        house.at = T0 + second
        if 60 <= second < 120:
            append(writer, at=house.at)
        house.counter.collect()
        publisher.tick(house.at, [serving()], lambda each: [0, 0])
    assert by_minute(house, "Invocations") == {0: 0, 60: 6, 120: 0}
    assert by_minute(house, "InvocationsPerInstance") == {0: 0, 60: 3, 120: 0}
    (busy,) = house.series.buckets(TARGET.both("Invocations")[0], T0 + 60, T0 + 120, 60)
    assert (busy.summary.count, busy.summary.least) == (6, 1)
    assert by_minute(house, "ModelLatency").keys() == {60}
    assert by_minute(house, "Invocation5XXErrors").keys() == {60}


def test_a_minute_in_which_a_variant_was_not_wholly_in_service_gets_none(house: House) -> None:
    publisher = Publisher(house.series)
    for second in (0, 130):
        publisher.tick(T0 + second, [serving(since=T0 + 30)], lambda each: [])
    assert by_minute(house, "Invocations") == {60: 0}


@pytest.mark.parametrize(("away", "minutes"), [(240, [60, 120, 180]), (900, [])])
def test_zeros_of_a_short_absence_are_made_up_for_and_of_a_long_one_not(
    house: House, away: int, minutes: list[int]
) -> None:
    publisher = Publisher(house.series)
    publisher.tick(T0 + 62, [], lambda each: [])
    house.counter.commit()
    house.kill()
    Publisher(house.series).tick(T0 + away + 2, [serving()], lambda each: [])
    assert list(by_minute(house, "Invocations")) == minutes


def test_concurrency_is_looked_at_each_ten_seconds_per_config_and_for_the_variant(house: House) -> None:
    green = Target("r", "e", "v", "d")
    publisher = Publisher(house.series)
    counts = {"c": [3, 1], "d": [4]}
    for second in (0, 4, 10, 13):
        publisher.tick(T0 + second, [serving(), serving(green)], lambda each: counts[each.config])
    own, blue = TARGET.both("ConcurrentRequestsPerModel")
    of_green = green.both("ConcurrentRequestsPerModel")[1]
    for series, *expected in ((own, 1, 4), (blue, 1, 3), (of_green, 4, 4)):
        found = house.series.buckets(series, T0, T0 + 60, 10)
        assert [(each.start - T0, [each.summary.least, each.summary.greatest]) for each in found] == [
            (0, expected),
            (10, expected),
        ]
