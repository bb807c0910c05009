"""Metric math: what expressions return, and what is refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.kit.steps import finish
from hostmaker.planner.metric_math import Array, Grid, MathError, Plan, evaluate, plan

Column = Sequence[float | None]

M1 = [1.0, None, 3.0, 0.0]
M2 = [2.0, 2.0, None, 0.0]
NONE = [None] * 4
TUESDAY = 1_700_000_000 // 86_400 * 86_400  # 2023-11-14, midnight


def grid(length: int, period_s: int = 60) -> Grid:
    return Grid(range(TUESDAY, TUESDAY + length * period_s, period_s), period_s)


def planned(texts: Mapping[str, str], metrics: Sequence[str]) -> Plan:
    return finish(plan(texts, metrics))


def result(text: str, series: Mapping[str, Column]) -> Column | Array:
    length = len(next(iter(series.values())))
    return finish(evaluate(planned({"e": text}, list(series)), series, grid(length)))["e"]


def rounded(column: Column) -> list[float | None]:
    return [None if value is None else round(value, 9) for value in column]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Arithmetic: where one operand has no datapoint it counts as 0, where none has there is no result.
        ("m1 + m2", [3.0, 2.0, 3.0, 0.0]),
        ("m1 - m2", [-1.0, -2.0, 3.0, 0.0]),
        ("m1 / m2", [0.5, 0.0, None, None]),
        ("m1 + gone", [1.0, None, 3.0, 0.0]),
        ("gone + gone", NONE),
        ("5 * m1", [5.0, None, 15.0, 0.0]),
        ("1 - m1 - m2", [-2.0, -2.0, -2.0, 1.0]),
        ("2 + m1 * 3", [5.0, None, 11.0, 2.0]),
        ("-m1 ^ 2", [-1.0, None, -9.0, 0.0]),
        ("-5*m1", [-5.0, None, -15.0, 0.0]),
        ("2 ^ -1 * m1", [0.5, None, 1.5, 0.0]),
        ("2 ^ 3 ^ 0 * m1", [2.0, None, 6.0, 0.0]),
        ("(0 - m1) ^ 0.5", [None, None, None, 0.0]),
        ("m1 ^ 1e9", [1.0, None, None, 0.0]),
        ("m1*.5 + 1.", [1.5, None, 2.5, 1.0]),
        # Comparison and logic
        ("m1 >= 1", [1.0, None, 1.0, 0.0]),
        ("m1 < m2", [1.0, 1.0, 0.0, 0.0]),
        ("m1 > 1 OR m1 == 0", [0.0, None, 1.0, 1.0]),
        ("m1 > 0 && m1 != 3", [1.0, None, 0.0, 0.0]),
        ("m1 > 0 AND m2 > 0", [1.0, 0.0, 0.0, 0.0]),
        ("m1 > 0 || m2 > 0", [1.0, 1.0, 1.0, 0.0]),
        ("(2 > 1) * m1", M1),
        ("m1 + 1 > 2 AND m1 * 2 < 10", [0.0, None, 1.0, 0.0]),
        ("m1 > 1 OR m1 > 5 AND m2 > 5", [0.0, 0.0, 1.0, 0.0]),
        # FILL
        ("FILL(m1, 0)", [1.0, 0.0, 3.0, 0.0]),
        ("FILL(m2, REPEAT)", [2.0, 2.0, 2.0, 0.0]),
        ("FILL(m1, LINEAR)", [1.0, 2.0, 3.0, 0.0]),
        ("FILL(m1, m2)", [1.0, 2.0, 3.0, 0.0]),
        ("FILL(m1, MIN(m1))", [1.0, 0.0, 3.0, 0.0]),
        ("FILL(gone, 7)", [7.0] * 4),
        ("FILL(gone, LINEAR)", NONE),
        # IF
        ("IF(m1 > 0, m2, 7)", [2.0, None, 0.0, 7.0]),
        ("IF(m1, 1)", [1.0, None, 1.0, None]),
        ("IF(m1 < 3, m1)", [1.0, None, None, 0.0]),
        ("IF(m1 < 3, 10, 2)", [10.0, None, 2.0, 10.0]),
        ("IF(1, m1, m2)", M1),
        ("IF(0, m1, m2)", M2),
        ("IF(0, m1)", NONE),
        ("IF(1, 5, m1)", [5.0] * 4),
        ("m1 * IF(2 > 1, 10, 20)", [10.0, None, 30.0, 0.0]),
        ("IF(m2 != 0, m1 / m2 * 100, 0)", [50.0, 0.0, None, 0.0]),
        ("IF(FILL(m2, 0) > 1, 100 * FILL(m1, 0) / m2, 0)", [50.0, 0.0, 0.0, 0.0]),
        # Of arrays one series
        ("SUM([m1, m2])", [3.0, 2.0, 3.0, 0.0]),
        ("SUM([FILL(m1,0),FILL(m2,0)])", [3.0, 2.0, 3.0, 0.0]),
        ("SUM([m1 + m2, [m2, m1]])", [6.0, 4.0, 6.0, 0.0]),
        ("SUM(100/[m1, m2])", [150.0, 50.0, 100 / 3, None]),
        ("SUM(-[m1, m2])", [-3.0, -2.0, -3.0, 0.0]),
        ("AVG([m1,m2]/m2)", [0.75, 0.5, None, None]),
        ("AVG([m1, m2])", [1.5, 1.0, 1.5, 0.0]),
        ("AVG([m1, gone])", [0.5, None, 1.5, 0.0]),
        ('MAX(METRICS("m1"))', [1.0, None, 3.0, 0.0]),
        ('SUM([METRICS("m1"), METRICS("2")])', [3.0, 2.0, 3.0, 0.0]),
        ("MIN(METRICS() * 2)", [2.0, 4.0, 6.0, 0.0]),
        ("MAX([m1, 1.5])", [1.5, 1.5, 3.0, 1.5]),
        ("STDDEV([m1, m2, 6])", [math.sqrt(14 / 3), 2.0, 1.5, math.sqrt(8)]),
        ("DATAPOINT_COUNT([m1, m2])", [2.0, 1.0, 1.0, 2.0]),
        ("MIN(ABS([-m1, m2]))", [1.0, 2.0, 3.0, 0.0]),
        ("SUM(METRICS())/SUM(m1)", [0.75, 0.5, 0.75, 0.0]),
        # Of a series a scalar; AVG counts missing datapoints as 0
        ("m1 / MAX(m1)", [1 / 3, None, 1.0, 0.0]),
        ("m1 - MIN(m2)", M1),
        ("m1 - AVG(m2)", [0.0, None, 2.0, -1.0]),
        ("m1 * SUM(m1) / DATAPOINT_COUNT(m1)", [4 / 3, None, 4.0, 0.0]),
        ("m1 / STDDEV(m2)", [1 / math.sqrt(8 / 9), None, 3 / math.sqrt(8 / 9), 0.0]),
        ("m1 / AVG(gone)", NONE),
        ("m1/METRIC_COUNT(METRICS())", [1 / 3, None, 1.0, 0.0]),
        ("TIME_SERIES(MAX(m1))", [3.0] * 4),
        ("TIME_SERIES(0) + m1", [1.0, 0.0, 3.0, 0.0]),
        # Of each datapoint
        ("ABS(m1 - m2)", [1.0, 2.0, 3.0, 0.0]),
        ("CEIL(m1 / 2)", [1.0, None, 2.0, 0.0]),
        ("FLOOR(m1 / 2)", [0.0, None, 1.0, 0.0]),
        ("LOG(m1)", [0.0, None, math.log(3), None]),
        ("LOG10(m1 * 10)", [1.0, None, math.log10(30), None]),
        # Along a series
        ("DIFF(m1)", [None, None, 2.0, -3.0]),
        ("DIFF_TIME(m1)", [None, None, 120.0, 60.0]),
        ("RATE(m1) * 60", [None, None, 1.0, -3.0]),
        ("RUNNING_SUM(m1)", [1.0, None, 4.0, 4.0]),
        ("m1/PERIOD(m1)", [1 / 60, None, 0.05, 0.0]),
        # Of timestamps, also where there is no datapoint
        ("MINUTE(gone)", [0.0, 1.0, 2.0, 3.0]),
        ("HOUR(gone)", [0.0] * 4),
        ("DAY(m1)", [2.0] * 4),
        ("DATE(m1)", [14.0] * 4),
        ("MONTH(m1)", [11.0] * 4),
        ("YEAR(m1)", [2023.0] * 4),
        (f"EPOCH(m1) - {TUESDAY}", [0.0, 60.0, 120.0, 180.0]),
        ("IF(DAY(m1)<6, m1)", [1.0, 0.0, 3.0, 0.0]),
        # Arrays in an order
        ("FIRST(METRICS())", M1),
        ("LAST([m1, m2])", M2),
        ("FIRST(SORT([m2, m1], MAX, DESC))", M1),
        ("FIRST(SORT([m2, m1], AVG, ASC))", M2),
        ("IF(FIRST(SORT(METRICS(), MAX, DESC))>2, 1, 0)", [0.0, None, 1.0, 0.0]),
        ("LAST(SORT(METRICS(), MIN, DESC))", NONE),
        ("SUM(SLICE(SORT(METRICS(), SUM, DESC), 0, 1))", M1),
        ("SUM(SLICE([m1, m2], 1))", M2),
        ("SUM(SLICE([m1, m2], 5, 9))", NONE),
        ("SUM(SORT([m1, m2, 9], MAX, DESC, 2))", [10.0, 9.0, 12.0, 9.0]),
        ("TIME_SERIES(METRIC_COUNT(REMOVE_EMPTY(METRICS())))", [2.0] * 4),
        ("FIRST(REMOVE_EMPTY([gone]))", NONE),
        ("+".join(["m1"] * 600), [600.0, None, 1800.0, 0.0]),
    ],
)
def test_expressions_return_what_the_guide_says(text: str, expected: list[float | None]) -> None:
    found = result(text, {"m1": M1, "m2": M2, "gone": NONE})
    assert not isinstance(found, Array)
    assert rounded(found) == rounded(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The tables of the user guide, "Comparison and logical operators" and "Using IF expressions"
        ("(metric1 < metric2)", [0, 0, 1, 0]),
        ("(metric1 >= 30)", [1, 0, 0, 0]),
        ("(metric1 > 15 AND metric2 > 15)", [1, 0, 0, 0]),
    ],
)
def test_the_guides_table_of_operators(text: str, expected: list[float]) -> None:
    assert result(text, {"metric1": [30, 20, 0, 0], "metric2": [20, None, 20, None]}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
    ],
)
def test_the_guides_tables_of_if(text: str, expected: list[float | None]) -> None:
    series = {"metric1": [1, 1, 0, 0, None], "metric2": [30, None, 0, 0, 30], "metric3": [0, 0, 20, None, 20]}
    assert result(text, series) == expected


def test_what_cannot_be_filled_stays_missing() -> None:
    assert result("FILL(m, REPEAT)", {"m": [None, 1.0, None]}) == [None, 1.0, 1.0]
    assert result("FILL(m, LINEAR)", {"m": [None, 1.0, None]}) == [None, 1.0, None]
    assert result("FILL(m, LINEAR)", {"m": [0.0, None, None, None, 8.0]}) == [0.0, 2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("METRICS()", ("m1", "m2")),
        ("METRICS()*100", ("m1", "m2")),
        ("FILL(METRICS(), LINEAR)", ("m1", "m2")),
        ('[METRICS("2"), m1 + 1, m1]', ("m2", "", "m1")),
        ("SORT(METRICS(), MAX, ASC)", ("m2", "m1")),
        ("SLICE(METRICS(), 0, 1)", ("m1",)),
        ("RATE(METRICS()) > 5", ("m1", "m2")),
    ],
)
def test_arrays_keep_the_ids_that_their_series_come_from(text: str, labels: tuple[str, ...]) -> None:
    found = result(text, {"m1": M1, "m2": M2})
    assert isinstance(found, Array)
    assert found.labels == labels
    assert len(found.items) == len(labels)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SEARCH('{AWS/SageMaker}', 'Sum')", "'SEARCH' is not supported: name each metric"),
        ("ANOMALY_DETECTION_BAND(m1)", "'ANOMALY_DETECTION_BAND' is not supported: anomaly"),
        ('INSIGHT_RULE_METRIC("r", "Sum")', "'INSIGHT_RULE_METRIC' is not supported"),
        ('DB_PERF_INSIGHTS("a", "b", "c")', "'DB_PERF_INSIGHTS' is not supported"),
        ('LAMBDA("f", "a")', "'LAMBDA' is not supported"),
        ("SERVICE_QUOTA(m1)", "'SERVICE_QUOTA' is not supported"),
        ("EXP(m1)", "Function 'EXP' not found"),
        ("sum(m1)", "Function 'sum' not found. Supported are ABS, AVG,"),
        ("SELECT AVG(x) FROM y", "'SELECT'"),
        ("SUM(m1)", "The result is a scalar"),
        ("7", "The result is a scalar"),
        ("REPEAT", "The result is REPEAT or LINEAR"),
        ("METRICS() * METRICS()", "cannot be joined"),
        ("m1 + REPEAT", "cannot be joined"),
        ("FILL(m1)", "FILL is written"),
        ('FILL(m1, "x")', "FILL is written"),
        ("FILL(m1, 0, 1)", "FILL is written"),
        ("FILL(5, 0)", "FILL is written"),
        ("FILL(m1, AVG)", "FILL is written"),
        ("IF(METRICS(), 1, 2)", "IF is written"),
        ("IF(m1 > 1)", "IF is written"),
        ("MAX(m1, m1)", "MAX is written MAX(TS | TS[])"),
        ("m1 * ABS(5)", "ABS is written ABS(TS | TS[])"),
        ("SORT(METRICS(), STDDEV, DESC)", "'STDDEV' stands where"),
        ("SORT(METRICS(), AVG)", "SORT is written"),
        ("FIRST(m1)", "FIRST is written FIRST(TS[])"),
        ("TIME_SERIES(m1)", "TIME_SERIES is written"),
        ("m1 / PERIOD(m1 + 1)", "PERIOD is of a metric"),
        ('METRICS("x")', "stands for no metric: there are m1"),
        ("METRICS(m1)", 'METRICS is written METRICS() or METRICS("part of an id")'),
        ("m3 + 1", "'m3' is not among those of the request: m1"),
        ("e", "refer to each other in a circle"),
        ("m1 +", "ends where"),
        ("m1 m2", "goes on with 'm2'"),
        ("(m1", "the expression ends, ')'"),
        ("M1", "'M1' stands"),
        ("m1 $ 2", "'$ 2' is not of the language"),
        ("[m1, REPEAT]", "Between brackets there is REPEAT or LINEAR"),
        ("[]", "at least one time series"),
        ("[m1", "',' is expected"),
        ("", "ends where"),
        ("(" * 1000 + "m1" + ")" * 1000, "more than 40 deep"),
        ("[" * 1000 + "m1" + "]" * 1000, "more than 40 deep"),
        ("ABS(" * 400 + "m1" + ")" * 400, "more than 40 deep"),
        ("2^" * 600 + "m1", "more than 40 deep"),
        ("m1+" * 1000 + "m1", "at most 2048"),
    ],
)
def test_the_rest_is_refused_by_name(text: str, part: str) -> None:
    with pytest.raises(MathError) as caught:
        planned({"e": text}, ["m1"])
    assert part in str(caught.value)


def test_an_error_names_the_expression() -> None:
    with pytest.raises(MathError, match=r"^Error in expression 'e2': Function 'NO' not found"):
        planned({"e1": "m1 * 2", "e2": "NO(m1)"}, ["m1"])


def test_expressions_may_refer_to_each_other_in_any_order() -> None:
    texts = {"e2": "SUM(e1) * 2", "e1": "METRICS() + 0", "e3": "e2 - e2"}
    made = planned(texts, ["m1", "m2"])
    found = finish(evaluate(made, {"m1": M1, "m2": M2}, grid(4)))
    assert found["e2"] == [6.0, 4.0, 6.0, 0.0]
    assert [expression.name for expression in made.expressions] == ["e1", "e2", "e3"]
    assert made.expressions[0].names == ("m1", "m2")


def test_expressions_in_a_circle_are_refused() -> None:
    with pytest.raises(MathError, match="a, b refer to each other in a circle"):
        planned({"a": "b + 1", "b": "a + 1"}, [])


def test_the_cost_is_known_before_anything_is_computed() -> None:
    metrics = [f"m{n}" for n in range(100)]
    assert planned({"e": "m1 + m2"}, metrics).cost == 1
    assert planned({"e": "SUM(METRICS())"}, metrics).cost == 100
    assert planned({"e": "SUM(ABS(METRICS() * 2) + 1)"}, metrics).cost == 400
    assert planned({"a": "METRICS() * 2", "b": "SUM(a)"}, metrics).cost == 200


def test_a_long_evaluation_pauses_often() -> None:
    column = [float(n) for n in range(100_000)]
    steps = evaluate(planned({"e": "RUNNING_SUM(m) + m"}, ["m"]), {"m": column}, grid(len(column)))
    assert sum(1 for _ in steps) > 90


# Properties


values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
leaves = st.sampled_from(["m1", "m2", "2", "0", "1e300"])
texts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "^", ">", "==", " AND "]), inner).map("".join),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"ABS({text} + m1)"),
        st.tuples(inner, inner, inner).map(lambda p: f"IF({p[0]},{p[1]},{p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"MAX([{p[0]},{p[1]}])"),
    ),
    max_leaves=8,
)
rows = st.lists(st.tuples(values, values), min_size=1, max_size=6)


@settings(deadline=None)
@given(texts, rows)
def test_every_result_is_a_number_or_missing(text: str, rows: list[tuple[float | None, float | None]]) -> None:
    series = {"m1": [row[0] for row in rows], "m2": [row[1] for row in rows]}
    for function in ("RUNNING_SUM", "DIFF", "RATE", "CEIL", "LOG"):
        found = result(f"{function}(m1 * 0 + FILL({text} + m2 * 0, LINEAR))", series)
        assert not isinstance(found, Array)
        assert len(found) == len(rows)
        assert all(value is None or math.isfinite(value) for value in found)


@given(st.lists(st.one_of(st.none(), st.floats(-1e300, 1e300)), min_size=1, max_size=6))
def test_arithmetic_is_pythons_own(column: list[float | None]) -> None:
    found = result("(m1 + 3) * 2 - m1 / 4", {"m1": column})
    assert not isinstance(found, Array)
    for value, each in zip(column, found, strict=True):
        if value is None:
            assert each is None
            continue
        assert each == (value + 3) * 2 - value / 4
