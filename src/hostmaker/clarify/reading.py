"""Reads what an endpoint with an explainer answers: predictions, and for each record its features' attributions. Pure.

The form is that of SageMaker Clarify's online explanations: `version`, `predictions`, `label_headers`, `explanations`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn


class AnswerError(ValueError):
    """It is no explanation, or none that can be understood; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a text feature: where it begins (in characters), and its attribution for each score."""

    text: str
    start: int
    attribution: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of a record; that of a text has units, and their sum as its attribution."""

    name: str
    attribution: tuple[float, ...]
    units: tuple[Unit, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. `records` has None for a record that was not explained, and is empty when none was.

    `scores` are the names of the scores: the label headers, else numbers.
    """

    content_type: str
    data: str
    scores: tuple[str, ...]
    records: tuple[tuple[Feature, ...] | None, ...]


def read_answer(body: bytes | str) -> Answer:
    """Give what the body of an answer of InvokeEndpoint says; raises AnswerError."""
    try:
        document = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"it is not JSON ({error})") from error
    if not isinstance(document, dict) or not {"version", "predictions", "explanations"} <= document.keys():
        raise AnswerError("it lacks the members version, predictions and explanations")
    predictions = _member(document, "predictions", dict)
    explanations = _member(document, "explanations", dict)
    found = _member(explanations, "kernel_shap", list) if explanations else []
    records = tuple(None if each is None else _record(each) for each in found)
    counts = {len(each.attribution) for record in records if record is not None for each in record}
    if len(counts) > 1:
        raise AnswerError(f"its features have attributions for {' and '.join(map(str, sorted(counts)))} scores")
    headers = [str(each) for each in _member(document, "label_headers", list)] if "label_headers" in document else []
    return Answer(
        _member(predictions, "content_type", str),
        _member(predictions, "data", str),
        _scores(max(counts, default=0), headers),
        records,
    )


def _scores(count: int, headers: list[str]) -> tuple[str, ...]:
    if len(headers) == count:
        return tuple(headers)
    return ("attribution",) if count == 1 else tuple(f"score {index}" for index in range(1, count + 1))


def _record(found: Any) -> tuple[Feature, ...]:
    if not isinstance(found, list):
        raise AnswerError("an entry of kernel_shap is no list of features")
    return tuple(_feature(each, f"feature {index}") for index, each in enumerate(found, 1))


def _feature(found: Any, name: str) -> Feature:
    attributions = [_attribution(each, name) for each in _member(found, "attributions", list)]
    if not attributions or len({len(each) for each, _ in attributions}) > 1:
        raise AnswerError(f"{name} has no attributions, or not as many in each")
    sums = tuple(math.fsum(column) for column in zip(*(each for each, _ in attributions), strict=True))
    if len(attributions) == 1:
        sums = attributions[0][0]
    units = tuple(
        Unit(_member(told, "partial_text", str), _member(told, "start_idx", int), each)
        for each, told in attributions
        if told is not None
    )
    if len(units) not in (0, len(attributions)):
        raise AnswerError(f"{name} has attributions without a description beside such that have one")
    return Feature(str(found.get("feature_header") or name), sums, units)


def _attribution(found: Any, name: str) -> tuple[tuple[float, ...], Any]:
    """Give an attribution for each score, and the description of its unit of text, None where there is none."""
    values = _member(found, "attribution", list)
    if not values or not all(isinstance(each, int | float) and _is_finite(each) for each in values):
        raise AnswerError(f"an attribution of {name} is no list of numbers")
    return tuple(map(float, values)), found.get("description")


def _is_finite(value: float) -> bool:
    return not isinstance(value, bool) and abs(value) <= 1e300


def _member(found: Any, name: str, kind: type[Any]) -> Any:
    value = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AnswerError(f"{name} is missing, or no {kind.__name__}")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
