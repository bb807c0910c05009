"""Reading a series in pieces gives what reading it at once gives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.domain.metric import Datum, Series, Summary, of_value
from hostmaker.kit.steps import finish
from hostmaker.telemetry.metric_reading import cells_within, read_periods
from hostmaker.telemetry.series import SeriesStore

NOW = 1_700_000_000 // 3600 * 3600
DAY_S = 86_400
ONE = Series("r", "n", "m")
AGES = st.one_of(st.integers(-3600, 5 * 3600), st.integers(0, 70 * DAY_S))


@settings(deadline=None)
@given(
    st.lists(st.tuples(AGES, st.sampled_from([1, 60]), st.sampled_from(["None", "Count"])), max_size=30),
    AGES,
    st.integers(1, 400),
    st.sampled_from([1, 60, 300, 3600, DAY_S]),
    st.booleans(),
)
def test_every_value_is_in_its_period_and_in_no_other(
    data: list[tuple[int, int, str]], age: int, periods: int, period_s: int, histograms: bool
) -> None:
    store = SeriesStore(None, lambda: float(NOW))
    store.put(Datum(ONE, float(NOW - ago), of_value(1.0 + ago % 3), unit, res) for ago, res, unit in data)
    store.commit()
    start = (NOW - age) // 60 * 60
    span = (start, start + periods * period_s)
    expected: dict[tuple[int, str], tuple[float, float]] = {}
    for ago, resolution_s, unit in data:
        cell_s = 1 if resolution_s < 60 else 60
        at = (NOW - ago) // cell_s * cell_s
        if span[0] <= at < span[1]:
            key = (start + (at - start) // period_s * period_s, unit)
            count, total = expected.get(key, (0.0, 0.0))
            expected[key] = (count + 1, total + 1.0 + ago % 3)
    found = finish(read_periods(store, ONE, span, period_s, NOW, histograms=histograms, by_unit=True))
    assert {key: (each.count, each.total) for key, each in found.items()} == expected
    assert list(found) == sorted(found)
    assert all(bool(each.histogram) is histograms for each in found.values())
    together = finish(read_periods(store, ONE, span, period_s, NOW, histograms=False))
    assert sum(each.count for each in together.values()) == sum(count for count, _ in expected.values())


def test_a_long_span_pauses_often_and_one_period_too() -> None:
    class Reader:
        def __init__(self) -> None:
            self.spans: list[tuple[int, int]] = []

        def cells(self, series: Series, start: int, end: int, histograms: bool) -> list[tuple[int, str, Summary]]:
            self.spans.append((start, end))
            return []

        def find(self, *_: object) -> list[Series]:
            return []

    reader = Reader()
    span = (NOW - 100 * DAY_S, NOW)
    steps = read_periods(reader, ONE, span, 100 * DAY_S, NOW, histograms=True)
    assert sum(1 for _ in steps) >= len(reader.spans) > 300
    assert [reader.spans[0][0], reader.spans[-1][1]] == list(span)
    assert all(before[1] == after[0] for before, after in zip(reader.spans, reader.spans[1:], strict=False))
    assert all(end - start <= 125 for start, end in reader.spans if start >= NOW - 3 * 3600)


def test_a_span_without_end_is_read_in_a_few_pieces() -> None:
    store = SeriesStore(None, lambda: float(NOW))
    assert sum(1 for _ in read_periods(store, ONE, (0, 1 << 40), 60, NOW, histograms=False)) < 2000
    assert cells_within([(0, 1 << 40)], NOW) < 600_000


def test_the_cells_of_a_span_are_estimated_before_it_is_read() -> None:
    assert cells_within([(NOW - 3600, NOW)], NOW) == 61
    assert 14 * 1440 <= cells_within([(NOW - 14 * DAY_S, NOW)], NOW) <= 14 * 1440 + 5
    assert cells_within([(NOW - 400 * DAY_S, NOW)], NOW) < 50_000
