"""Values and predictions of explained records are shown where they are plain, and never made up."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hostmaker.clarify.reading import read_answer
from hostmaker.cli.explain_seen import Player, Reading, Seen, look

from .explained import (
    ADULTS,
    ADULTS_INPUT,
    CLASSES,
    CLASSES_INPUT,
    LINEAR,
    LINEAR_INPUT,
    REVIEW,
    REVIEW_INPUT,
    answer,
    tabular,
)

CSV, LINES = "text/csv; charset=utf-8", "application/jsonlines"


def seen(answered: bytes, body: bytes, content_type: str = CSV, reading: Reading | None = None) -> list[Seen | None]:
    return look(read_answer(answered), body, content_type, reading or Reading(), None)


def one(answered: bytes, body: bytes, content_type: str = CSV, reading: Reading | None = None) -> Seen:
    (found,) = seen(answered, body, content_type, reading)
    assert found is not None
    return found


def test_csv_is_seen_cell_by_cell() -> None:
    found = one(LINEAR, LINEAR_INPUT)
    assert found.players[2] == Player("feature 3", "3", (5.0,))
    assert (found.predicted, found.total(0)) == ((5.5,), 4.625)
    first, second, third = seen(ADULTS, ADULTS_INPUT)
    assert (first, third) == (None, None)
    assert second is not None
    assert (second.number, second.values, second.predicted) == (2, ("38", "50"), (0.97,))


def test_the_largest_score_is_looked_at_where_it_can_be_seen() -> None:
    assert one(CLASSES, CLASSES_INPUT).score == 1
    assert one(CLASSES.replace(b'"0.106507,', b'"here,'), CLASSES_INPUT).score == 0
    (chosen,) = look(read_answer(CLASSES), CLASSES_INPUT, CSV, Reading(), 2)
    assert chosen is not None
    assert chosen.score == 2


def test_units_are_seen_one_by_one() -> None:
    found = one(REVIEW, REVIEW_INPUT)
    assert found.values == ("Good, really", "5")
    assert [(each.value, each.is_unit) for each in found.players] == [
        ("Good", True), (",", True), ("really", True), ("5", False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "path", "values"),
    [
        (b'[1, "a,b"]\n', None, ("1", "a,b")),
        (b'{"data": {"features": [1.50, null]}}', "data.features", ("1.50", "null")),
        (b'{"data": [1, 2, 3]}', "data[:2]", ("1", "2")),
        (b'{"data": [1, 2]}', "data[", None),
        (b'{"data": [1, 2]}', None, None),
        (b'{"data": [1, 2]}', "other.member", None),
        (b'{"data": [1, 2, 3]}', "data", None),
        (b"not JSON", None, None),
        (b"\xff", None, None),
    ],
)
def test_json_lines_are_seen_where_they_are_plain(
    body: bytes, path: str | None, values: tuple[str, ...] | None
) -> None:
    assert one(answer("text/csv", "0.5", [tabular(1.0, 2.0)]), body, LINES, Reading(features=path)).values == values


@pytest.mark.parametrize(
    ("content_type", "data", "reading", "predicted"),
    [
        ("text/csv", "1,0.6\n", Reading(probability_index=1), (0.6,)),
        ("text/csv", "1,0.6\n", Reading(), None),
        ("text/csv", "\"['a','b']\",\"[0.1]\"", Reading(probability_index=1), (0.1,)),
        ("text/csv", "0.5\n0.6\n", Reading(), None),
        ("text/csv", "__import__('os')", Reading(), None),
        ("text/csv", "(" * 5000, Reading(), None),
        ("text/csv", "nan", Reading(), None),
        ("text/csv", "", Reading(), None),
        (LINES, '{"score": 0.25}\n', Reading(probability="score"), (0.25,)),
        (LINES, '{"score": [0.25]}\n', Reading(probability="score"), (0.25,)),
        (LINES, '{"score": 0.25}\n', Reading(), None),
        (LINES, "0.25", Reading(), (0.25,)),
        (LINES, '"0.25"', Reading(), None),
        ("text/csv", "0.75", Reading(uses_logit=True), (math.log(3),)),
        ("text/csv", "1.0", Reading(uses_logit=True), (math.log((1 - 1e-15) / 1e-15),)),
        ("text/csv", "7", Reading(uses_logit=True), None),
    ],
)
def test_predictions_are_seen_where_they_are_plain(
    content_type: str, data: str, reading: Reading, predicted: tuple[float, ...] | None
) -> None:
    found = one(answer(content_type, data, [tabular(1.0)]), b"3", CSV, reading).predicted
    assert found == (None if predicted is None else pytest.approx(predicted, rel=1e-3))


def test_one_line_may_hold_the_scores_of_all_records() -> None:
    found = seen(answer("text/csv", "0.6,0.3", [tabular(1.0), tabular(2.0)]), b"1\n2\n")
    assert [each and each.predicted for each in found] == [(0.6,), (0.3,)]


@pytest.mark.parametrize("body", [b"1,2\n", b"1,2,3,4\n5,6,7,8\n", b"", b'"' + b"a" * 200_000])
def test_an_input_that_does_not_fit_shows_no_values(body: bytes) -> None:
    assert one(LINEAR, body).values is None


def test_the_endpoints_description_says_how_its_explainer_reads() -> None:
    inference = {"FeaturesAttribute": "f", "ProbabilityAttribute": "p", "ProbabilityIndex": 2}
    config: dict[str, Any] = {"ShapConfig": {"UseLogit": True}, "InferenceConfig": inference}
    assert Reading.of({"ExplainerConfig": {"ClarifyExplainerConfig": config}}) == Reading(True, "f", "p", 2)
    assert Reading.of({"ExplainerConfig": {}}) == Reading.of({}) == Reading()
