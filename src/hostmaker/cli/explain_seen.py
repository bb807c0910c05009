"""What can be seen of each explained record besides its attributions: the values in the input, the model's prediction.

Both are read as far as they are plain; where they are not, nothing is made up.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostmaker.explainer.answer import Answer, Feature

CSV, JSON_LINES = "text/csv", "application/jsonlines"
PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
CLIP = 1e-15  # as the explainer clips probabilities before it takes their log-odds
LONGEST_LITERAL = 65536


@dataclass(frozen=True, slots=True)
class Reading:
    """How an endpoint's explainer reads what goes in and out, as far as that helps to show it."""

    uses_logit: bool = False
    features: str | None = None
    probability: str | None = None
    probability_index: int | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Reading:
        """Give that of an endpoint by what DescribeEndpoint says of it."""
        config = (described.get("ExplainerConfig") or {}).get("ClarifyExplainerConfig") or {}
        inference = config.get("InferenceConfig") or {}
        return cls(
            bool((config.get("ShapConfig") or {}).get("UseLogit")),
            inference.get("FeaturesAttribute"),
            inference.get("ProbabilityAttribute"),
            inference.get("ProbabilityIndex"),
        )


@dataclass(frozen=True, slots=True)
class Player:
    """What attributions belong to: a feature, or a unit of a text (`is_unit`); no `value`: it could not be seen."""

    name: str
    value: str | None
    attribution: tuple[float, ...]
    is_unit: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """An explained record: its number from 1, its features with their values, and the predicted scores.

    `values` and `predicted` are None where they could not be seen; `predicted` is in log-odds where `in_logit`.
    `score` is the index of the one to look at.
    """

    number: int
    features: tuple[Feature, ...]
    values: tuple[str, ...] | None
    predicted: tuple[float, ...] | None
    in_logit: bool
    score: int

    @property
    def players(self) -> list[Player]:
        """Give all that has an attribution, in the order of the input."""
        found = []
        for index, feature in enumerate(self.features):
            if feature.units:
                found += [Player(feature.name, unit.text, unit.attribution, True) for unit in feature.units]
            else:
                value = None if self.values is None else self.values[index]
                found.append(Player(feature.name, value, feature.attribution))
        return found

    def total(self, score: int) -> float:
        """Give the sum of all attributions for a score."""
        return math.fsum(feature.attribution[score] for feature in self.features)


def look(answer: Answer, body: bytes, content_type: str, reading: Reading, score: int | None) -> list[Seen | None]:
    """Give what can be seen of each record, None for those that were not explained.

    Without a `score` to look at it is the first, of several the record's largest where that can be seen.
    """
    count = len(answer.records)
    inputs = _inputs(body, content_type, reading)
    values = inputs if len(inputs) == count else [None] * count
    predictions = _predictions(answer, reading)
    found: list[Seen | None] = []
    for number, record in enumerate(answer.records, 1):
        if record is None:
            found.append(None)
            continue
        told, predicted = values[number - 1], predictions[number - 1]
        chosen = score if score is not None else predicted.index(max(predicted)) if predicted else 0
        fitting = tuple(told) if told is not None and len(told) == len(record) else None
        found.append(Seen(number, record, fitting, predicted, reading.uses_logit, chosen))
    return found


def media_type(content_type: str) -> str:
    """Give a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _inputs(body: bytes, content_type: str, reading: Reading) -> Sequence[Sequence[str] | None]:
    """Give the features of each record as text, None for a record where they are not plain."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return []
    if media_type(content_type) == CSV:
        return _rows(text)
    return [_texts(_at(line, reading.features)) for line in _json_lines(text)]


def _predictions(answer: Answer, reading: Reading) -> list[tuple[float, ...] | None]:
    """Give each record's scores, in log-odds where those are explained; None where they cannot be seen."""
    count = len(answer.records)
    if media_type(answer.content_type) == CSV:
        rows = _rows(answer.data)
        if len(rows) == 1 and count > 1 and len(rows[0]) == count:  # one score for each record, all in one line
            rows = [[cell] for cell in rows[0]]
        found = [_of_row(row, reading.probability_index) for row in rows]
    else:
        found = [_at(each, reading.probability) for each in _json_lines(answer.data)]
    if len(found) != count:
        return [None] * count
    return [_scores(each, len(answer.scores), reading.uses_logit) for each in found]


def _of_row(row: Sequence[str], index: int | None) -> Any:
    """Give the scores in a line of CSV: all of it, or one cell, which may hold a list."""
    cells = row if index is None else row[index : index + 1]
    found = [_literal(cell) for cell in cells]
    return found[0] if len(found) == 1 else found


def _literal(cell: str) -> Any:
    """Give the number or list that a cell is; None for anything else."""
    try:
        return ast.literal_eval(cell.strip()) if len(cell) <= LONGEST_LITERAL else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _scores(found: Any, count: int, uses_logit: bool) -> tuple[float, ...] | None:
    values = found if isinstance(found, list | tuple) else [found]
    if len(values) != count or not all(isinstance(each, int | float) and abs(each) <= 1e300 for each in values):
        return None
    if not uses_logit:
        return tuple(map(float, values))
    return tuple(map(_logit, values)) if all(0 <= each <= 1 for each in values) else None


def _logit(probability: float) -> float:
    clipped = min(max(probability, CLIP), 1 - CLIP)
    return math.log(clipped / (1 - clipped))


def _rows(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error:
        return []


def _json_lines(text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError):
        return []


def _at(value: Any, path: str | None) -> Any:
    """Give what lies at a path of plain names, the value itself without one; None where that is not so."""
    if path is None:
        return value
    if not PATH.fullmatch(path):
        return None
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _texts(found: Any) -> list[str] | None:
    """Give each of a list's values as it would be written in CSV; None for what is no list."""
    if not isinstance(found, list):
        return None
    return [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in found]
