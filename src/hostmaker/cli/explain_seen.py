"""What can be seen of each explained record besides its attributions: the values in the input, the model's prediction.

Both are read as far as they are plain; where they are not, nothing is made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostmaker.clarify.config import ClarifyConfig, ConfigError, MimeType, read_config
from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.expression import ExpressionError, compile_expression
from hostmaker.clarify.outputs import mime_type
from hostmaker.clarify.reading import Answer, Feature
from hostmaker.clarify.records import RecordError, read_csv, read_json_lines
from hostmaker.clarify.scores import Outputs
from hostmaker.explainer.regression import logit
from hostmaker.kit.json_value import Json

CSV, JSON_LINES = MimeType.CSV.value, MimeType.JSON_LINES.value


@dataclass(frozen=True, slots=True)
class Reading:
    """How an endpoint's explainer reads what goes in and out, as far as that helps to show it."""

    uses_logit: bool = False
    features: str | None = None
    probability: str | None = None
    probability_index: int | None = None

    @property
    def config(self) -> ClarifyConfig:
        """Give it as a config, whose baseline is of no interest; raises ConfigError."""
        members: dict[str, Json] = {
            "ProbabilityAttribute": self.probability,
            "ProbabilityIndex": self.probability_index,
        }
        shap: dict[str, Json] = {"ShapBaselineConfig": {"ShapBaseline": "0"}, "UseLogit": self.uses_logit}
        return read_config({"ShapConfig": shap, "InferenceConfig": members})

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
    values = [*inputs] if len(inputs) == count else [None] * count
    predictions = _predictions(answer, reading)
    found: list[Seen | None] = []
    for number, record in enumerate(answer.records, 1):
        if record is None:
            found.append(None)
            continue
        told, predicted = values[number - 1], predictions[number - 1]
        chosen = score if score is not None else predicted.index(max(predicted)) if predicted else 0
        fitting = told if told is not None and len(told) == len(record) else None
        found.append(Seen(number, record, fitting, predicted, reading.uses_logit, chosen))
    return found


def _inputs(body: bytes, content_type: str, reading: Reading) -> Sequence[tuple[str, ...]]:
    """Give the features of each record as text; none where they cannot be read."""
    try:
        text = body.decode()
        if mime_type(content_type) is MimeType.CSV:
            records = read_csv(text)
        else:
            records = read_json_lines(text, compile_expression(reading.features) if reading.features else None)
    except (RecordError, ExpressionError, UnicodeDecodeError):
        return []
    return [tuple(cell.text for cell in record) for record in records]


def _predictions(answer: Answer, reading: Reading) -> Sequence[tuple[float, ...] | None]:
    """Give each record's scores, in log-odds where those are explained; None where they cannot be seen."""
    count = len(answer.records)
    try:
        scores = Outputs(reading.config).scores(answer.content_type, answer.data.encode(), count)
    except (ConfigError, ExplanationError):
        return [None] * count
    if scores.shape[1] != len(answer.scores):
        return [None] * count
    return [tuple(each) for each in (logit(scores) if reading.uses_logit else scores).tolist()]
