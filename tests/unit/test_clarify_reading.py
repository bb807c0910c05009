"""Answers of endpoints that explain are read as they come, and what is none is refused with a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.clarify.reading import AnswerError, Feature, Unit, read_answer

from .explained import ADULTS, CLASSES, LINEAR, NOTHING, REVIEW, answer, tabular, unit

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_one_score_without_headers() -> None:
    found = read_answer(LINEAR)
    assert (found.content_type, found.data, found.scores) == ("text/csv; charset=utf-8", "5.5\n", ("attribution",))
    (record,) = found.records
    assert record is not None
    assert record[1] == Feature("feature 2", (-1.5,))


def test_records_that_were_not_explained_are_none() -> None:
    first, second, third = read_answer(ADULTS).records
    assert (first, third) == (None, None)
    assert second == (Feature("Age", (0.4,)), Feature("Hours", (0.07,)))
    assert read_answer(NOTHING).records == ()
    assert len(NOTHING) == 98


def test_several_scores_have_the_label_headers_as_names() -> None:
    found = read_answer(CLASSES)
    assert found.scores == ("cat", "dog", "fish")
    assert found.records[0] is not None
    assert found.records[0][0].attribution == (0.178295, -0.155822, -0.022473)
    without = read_answer(answer("text/csv", "", [[{"attributions": [{"attribution": [1, 2]}]}]]))
    assert without.scores == ("score 1", "score 2")
    other_count = read_answer(answer("text/csv", "", [tabular(1.0)], label_headers=["a", "b"]))
    assert other_count.scores == ("attribution",)


def test_units_of_a_text_come_in_order_and_add_up() -> None:
    (record,) = read_answer(REVIEW).records
    assert record is not None
    assert record[0].units == (Unit("Good", 0, (0.2,)), Unit(",", 4, (-0.01,)), Unit("really", 6, (0.05,)))
    assert record[0].attribution == pytest.approx((0.24,))
    assert record[1] == Feature("feature 2", (0.03,))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"0.9713779\n", "lacks the members version"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"predictions":[0.5]}', "lacks the members version"),
        (b"[" * 100_000, "not JSON"),
        (LINEAR.replace(b"-1.5", b"NaN"), "NaN is no number"),
        (LINEAR.replace(b"-1.5", b"1e999"), "attribution of feature 2 is no list of numbers"),
        (LINEAR.replace(b"-1.5", b'"much"'), "attribution of feature 2 is no list of numbers"),
        (LINEAR.replace(b"-1.5", b"true"), "attribution of feature 2 is no list of numbers"),
        (LINEAR.replace(b"-1.5", b""), "attribution of feature 2 is no list of numbers"),
        (LINEAR.replace(b"-1.5", b"1,2"), "attributions for 1 and 2 scores"),
        (LINEAR.replace(b'"attributions"', b'"others"'), "attributions is missing"),
        (answer("text/csv", "", [[{"attributions": []}]]), "feature 1 has no attributions"),
        (answer("text/csv", "", ["none"]), "no list of features"),
        (answer("text/csv", "", [["none"]]), "attributions is missing"),
        (answer("text/csv", "", {}), "kernel_shap is missing, or no list"),
        (
            answer("text/csv", "", [[{"attributions": [unit(1, "a", 0), {"attribution": [1]}]}]]),
            "without a description",
        ),
        (answer("text/csv", "", [[{"attributions": [{"attribution": [1], "description": 3}]}]]), "partial_text"),
    ],
)
def test_what_is_no_explanation_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(AnswerError, match=why):
        read_answer(body)


@given(JSON, JSON, JSON)
def test_whatever_comes_is_read_or_refused(whole: Any, records: Any, features: Any) -> None:
    for body in (json.dumps(whole).encode(), answer("text/csv", "", records), answer("", "", [[features]])):
        with suppress(AnswerError):
            assert read_answer(body).scores is not None
