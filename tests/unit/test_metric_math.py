"""Metric math: what expressions give, and what is refused by name."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.planner.metric_math import MathError, evaluate_all, parse

M1 = [1.0, None, 3.0, 0.0]
M2 = [2.0, 2.0, None, 0.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 + m2", [3.0, None, None, 0.0]),
        ("m1 / m2", [0.5, None, None, None]),
        ("1 - m1 - m2", [-2.0, None, None, 1.0]),
        ("2 + m1 * 3", [5.0, None, 11.0, 2.0]),
        ("-m1 ^ 2", [-1.0, None, -9.0, 0.0]),
        ("2 ^ -1 * m1", [0.5, None, 1.5, 0.0]),
        ("(0 - m1) ^ 0.5", [None, None, None, 0.0]),
        ("m1 ^ 1e9", [1.0, None, None, 0.0]),
        ("m1 >= 1", [1.0, None, 1.0, 0.0]),
        ("m1 > 1 OR m1 == 0", [0.0, None, 1.0, 1.0]),
        ("m1 > 0 && m1 != 3", [1.0, None, 0.0, 0.0]),
        ("FILL(m1, 0)", [1.0, 0.0, 3.0, 0.0]),
        ("FILL(m2, REPEAT)", [2.0, 2.0, 2.0, 0.0]),
        ("FILL(m1, LINEAR)", [1.0, 2.0, 3.0, 0.0]),
        ("FILL(m1, m2)", [1.0, 2.0, 3.0, 0.0]),
        ("IF(m1 > 0, m2, 7)", [2.0, None, None, 7.0]),
        ("IF(m1, 1)", [1.0, None, 1.0, None]),
        ("SUM([m1, m2])", [3.0, 2.0, 3.0, 0.0]),
        ("AVG(METRICS())", [1.5, 2.0, 3.0, 0.0]),
        ('MAX(METRICS("m1"))', [1.0, None, 3.0, 0.0]),
        ("MIN(METRICS() * 2)", [2.0, 4.0, 6.0, 0.0]),
        ("m1 / MAX(m1)", [1 / 3, None, 1.0, 0.0]),
        ("m1 - AVG(m2)", [-1 / 3, None, 5 / 3, -4 / 3]),
        ("ABS(0 - m1)", [1.0, None, 3.0, 0.0]),
        ("CEIL(m1 / 2)", [1.0, None, 2.0, 0.0]),
        ("FLOOR(m1 / 2)", [0.0, None, 1.0, 0.0]),
        ("DIFF(m1)", [None, None, 2.0, -3.0]),
        ("RATE(m1) * 60", [None, None, 1.0, -3.0]),
        ("RUNNING_SUM(m1)", [1.0, None, 4.0, 4.0]),
        ("m1 * PERIOD(m1)", [60.0, None, 180.0, 0.0]),
        ("+".join(["m1"] * 600), [600.0, None, 1800.0, 0.0]),
    ],
)
def test_expressions_give_what_the_guide_says(text: str, expected: list[float | None]) -> None:
    found = parse(text).evaluate({"m1": M1, "m2": M2}, 60)
    assert [None if v is None else round(v, 9) for v in found] == [None if v is None else round(v, 9) for v in expected]


def test_what_cannot_be_filled_stays_missing() -> None:
    assert parse("FILL(m, REPEAT)").evaluate({"m": [None, 1.0, None]}, 60) == [None, 1.0, 1.0]
    assert parse("FILL(m, LINEAR)").evaluate({"m": [None, 1.0, None]}, 60) == [None, 1.0, None]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SEARCH('{AWS/SageMaker}', 'Sum')", "'SEARCH' is not supported"),
        ("ANOMALY_DETECTION_BAND(m1)", "'ANOMALY_DETECTION_BAND' is not supported"),
        ("sum(m1)", "'sum' is not supported"),
        ("SELECT AVG(x) FROM y", "'SELECT'"),
        ("SUM(m1)", "gives a number"),
        ("7", "gives a number"),
        ("REPEAT", "REPEAT or LINEAR"),
        ("METRICS()", "several time series"),
        ("METRICS() * METRICS()", "cannot be joined"),
        ("FILL(m1)", "FILL is written"),
        ('FILL(m1, "x")', "FILL is written"),
        ("FILL(m1, 0, 1)", "FILL is written"),
        ("IF(METRICS(), 1, 2)", "IF is written"),
        ("m1 +", "ends where"),
        ("m1 m2", "goes on with 'm2'"),
        ("(m1", "the expression ends, ')'"),
        ("M1", "'M1' stands"),
        ("m1 $ 2", "'$ 2' is not of the language"),
        ("[m1, 2]", "only ids"),
        ("", "ends where"),
        ("(" * 1000 + "m1" + ")" * 1000, "more than 40 deep"),
        ("ABS(" * 400 + "m1" + ")" * 400, "more than 40 deep"),
        ("2^" * 600 + "m1", "more than 40 deep"),
        ("m1+" * 1000 + "m1", "at most 2048"),
    ],
)
def test_the_rest_is_refused_by_name(text: str, part: str) -> None:
    with pytest.raises(MathError) as caught:
        parse(text)
    assert part in str(caught.value)


def test_an_expression_tells_its_ids() -> None:
    expression = parse("IF(m2 > 1, SUM([a, b]), FILL(m1, m2))")
    assert expression.names == ("m2", "a", "b", "m1")
    assert not expression.takes_metrics
    assert parse("SUM(METRICS())").takes_metrics


def test_unknown_ids_are_named() -> None:
    with pytest.raises(MathError, match="'m3'"):
        parse("m3 + 1").evaluate({"m1": M1}, 60)


def test_expressions_may_refer_to_each_other_in_any_order() -> None:
    found = evaluate_all({"e2": parse("e1 * 2"), "e1": parse("SUM(METRICS())")}, {"m1": M1, "m2": M2}, 60)
    assert found["e2"] == [6.0, 4.0, 6.0, 0.0]
    assert list(found["m1"]) == M1


def test_expressions_in_a_circle_are_refused() -> None:
    with pytest.raises(MathError, match="a, b refer to each other in a circle"):
        evaluate_all({"a": parse("b + 1"), "b": parse("a + 1")}, {}, 60)


values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
texts = st.recursive(
    st.sampled_from(["m1", "m2", "2", "0", "1e300"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "^", ">", "==", " AND "]), inner).map("".join),
        st.tuples(st.sampled_from(["", "-", "ABS", "CEIL", "FLOOR"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"IF({p[0]},{p[1]},{p[2]})"),
    ),
    max_leaves=8,
)


@given(texts, st.lists(st.tuples(values, values), max_size=6))
def test_every_result_is_a_number_or_missing(text: str, rows: list[tuple[float | None, float | None]]) -> None:
    series = {"m1": [row[0] for row in rows], "m2": [row[1] for row in rows]}
    for function in ("RUNNING_SUM", "DIFF", "RATE"):
        found = parse(f"{function}(m1 * 0 + FILL({text} + m2 * 0, LINEAR))").evaluate(series, 60)
        assert len(found) == len(rows)
        assert all(value is None or math.isfinite(value) for value in found)


@given(st.lists(values, min_size=1, max_size=6))
def test_arithmetic_is_pythons_own(column: list[float | None]) -> None:
    found = parse("(m1 + 3) * 2 - m1 / 4").evaluate({"m1": column}, 60)
    for value, result in zip(column, found, strict=True):
        if value is None:
            assert result is None
            continue
        expected = (value + 3) * 2 - value / 4
        assert result == (expected if math.isfinite(expected) else None)
