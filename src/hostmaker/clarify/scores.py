"""Finds scores and labels in what a model has answered. Pure.

Source: "Invoke the endpoint" and "Configure and create an endpoint" of the guide on online explainability: an output
record in CSV is a line (or, for n records, one line of n values), in JSON Lines a line; ProbabilityIndex and
ProbabilityAttribute say where in it the scores are, and a cell of CSV may hold a list in the form of a string.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from hostmaker.clarify.config import ClarifyConfig, MimeType
from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.expression import EvaluationError, Steps, compile_expression
from hostmaker.clarify.outputs import (
    FOREIGN,
    CountError,
    csv_rows,
    decoded,
    is_plain,
    json_lines,
    literal,
    numbers,
    output_type,
    shown,
    typed,
)
from hostmaker.kit.json_value import Json

__all__ = ["CountError", "Floats", "Member", "Outputs"]

Floats = npt.NDArray[np.float64]
MOST_STEPS = 10_000_000  # of ProbabilityAttribute, over all records: some ten seconds
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Member:
    """Takes a member out of a JSON record; a plain name without the detour over JMESPath."""

    def __init__(self, text: str) -> None:
        self._name = text if NAME.fullmatch(text) else None
        self._expression = compile_expression(text)

    def of(self, index: int, record: Json, steps: Steps) -> Json:
        """Give it, None where there is none; raises ExplanationError. `steps` bound all records of an answer."""
        if self._name is not None:
            return record.get(self._name) if isinstance(record, dict) else None
        try:
            return self._expression.search(record, steps)
        except EvaluationError as error:
            text = f'"{self._expression.text}" cannot be evaluated on record {index} of the model\'s output'
            raise ExplanationError(FOREIGN, f"{text}: {error}") from error


class Outputs:
    """Reads what a model answers, under one config."""

    def __init__(self, config: ClarifyConfig) -> None:
        self._config = config
        self._score_member = Member(config.probability_attribute) if config.probability_attribute else None
        self._label_member = Member(config.label_attribute) if config.label_attribute else None

    def records(self, content_type: str, body: bytes, asked: int | None, width: int | None = None) -> list[Json]:
        """Give the records of an answer; `asked`: how many there should be, `width`: of how many scores each; or None.

        Raises CountError and ExplanationError.
        """
        text = decoded(body)
        if output_type(content_type) is MimeType.JSON_LINES:
            return json_lines(text)
        rows = csv_rows(text, asked)
        if width in (None, 1) and self._is_one_line_of_many(rows, asked):
            rows = [[cell] for cell in rows[0]]
        records = cast("list[list[Json]]", rows)
        for record, row in zip(records, rows, strict=True):  # in its place: there may be millions
            record[:] = map(typed, row)
        return cast("list[Json]", records)

    def scores(self, content_type: str, body: bytes, asked: int, width: int | None = None) -> Floats:
        """Give the scores (asked, c) of an answer; raises CountError and ExplanationError.

        With a `width` above 1, one line is one record: a model that takes one at a time may have as many scores.
        """
        found = None
        if self._config.probability_index is None and output_type(content_type) is MimeType.CSV:
            found = _plain(decoded(body), asked)
        if found is None:
            return self.scores_of(self.records(content_type, body, asked, width), asked)
        return self._checked(found)

    def scores_of(self, records: Sequence[Json], asked: int | None = None) -> Floats:
        """Give the scores (n, c) of n records; raises CountError when not `asked` ones, and ExplanationError."""
        if asked is not None and len(records) != asked:
            raise CountError(len(records), asked)
        steps = Steps(MOST_STEPS)
        found = [self._score(index, record, steps) for index, record in enumerate(records)]
        for index, each in enumerate(found):
            if len(each) != len(found[0]):
                text = f"Record {index} of the model's output has {len(each)} scores, record 0 has {len(found[0])}"
                raise ExplanationError(FOREIGN, f"{text}; {self._where(records[index])}")
        return self._checked(np.array(found, dtype=np.float64))

    def labels(self, records: Sequence[Json], scores: int) -> tuple[str, ...] | None:
        """Give the names of the scores: of the output where it has them, else LabelHeaders; raises ExplanationError."""
        member, names = "LabelHeaders", self._config.label_headers
        if records and (found := self._labels_in(records[0])) is not None:
            member, names = found
        if names is not None and len(names) != scores:
            raise ExplanationError(FOREIGN, f"{member} gives {len(names)} labels for {scores} scores of the model")
        return names

    def _score(self, index: int, record: Json, steps: Steps) -> list[float]:
        found = record
        at = self._config.probability_index
        if isinstance(record, list) and at is not None:
            found = self._cell(index, record, at, "ProbabilityIndex")
        elif self._score_member is not None and not isinstance(record, list):
            found = self._score_member.of(index, record, steps)
        scores = numbers(found if isinstance(found, list) else [found])
        if not scores:
            text = f"Record {index} of the model's output has no number or list of numbers as its score"
            raise ExplanationError(FOREIGN, f"{text}, but {shown(found)}; {self._where(record)}")
        return scores

    def _where(self, record: Json) -> str:
        if isinstance(record, list):
            at = self._config.probability_index
            return f"ProbabilityIndex {at} was looked at" if at is not None else "ProbabilityIndex can name one value"
        given = self._config.probability_attribute
        return f'ProbabilityAttribute "{given}" was looked at' if given else "ProbabilityAttribute can name a member"

    def _cell(self, index: int, record: Sequence[Json], at: int, member: str) -> Json:
        if at >= len(record):
            text = f"Record {index} of the model's output has {len(record)} values"
            raise ExplanationError(FOREIGN, f"{text}: {member} {at} is not among them, which are counted from 0")
        cell = record[at]
        return literal(cell) if isinstance(cell, str) else cell

    def _labels_in(self, record: Json) -> tuple[str, tuple[str, ...]] | None:
        found: Json
        if isinstance(record, list) and self._config.label_index is not None:
            member, found = "LabelIndex", self._cell(0, record, self._config.label_index, "LabelIndex")
        elif self._label_member is not None and not isinstance(record, list):
            member, found = "LabelAttribute", self._label_member.of(0, record, Steps())
        else:
            return None
        if found is None:
            return None
        return member, tuple(_label(member, each) for each in (found if isinstance(found, list) else [found]))

    def _checked(self, found: Floats) -> Floats:
        outside = ~np.isfinite(found).all(axis=1)
        what = "a score that is no finite number"
        if self._config.use_logit and not outside.any():
            outside = ~((found >= 0) & (found <= 1)).all(axis=1)
            what = "a score outside [0, 1], and UseLogit is for probabilities"
        if outside.any():
            text = f"Record {int(np.argmax(outside))} of the model's output has {what}"
            raise ExplanationError(FOREIGN, f"{text}; check ProbabilityIndex or ProbabilityAttribute")
        return found

    def _is_one_line_of_many(self, rows: Sequence[Sequence[str]], asked: int | None) -> bool:
        """Tell whether one line has a score for each record, as some models answer."""
        is_whole_line = self._config.probability_index is None and self._config.label_index is None
        return is_whole_line and asked is not None and 1 < asked == len(rows[0] if len(rows) == 1 else ())


def _plain(text: str, asked: int) -> Floats | None:
    """Read lines of plain numbers, as many as there should be; None for whatever needs a closer look."""
    if '"' in text or not is_plain(text):
        return None
    lines = text.rstrip("\r\n").split("\n")
    if len(lines) != asked:
        return None
    try:
        if "," not in text:
            return np.array(list(map(float, lines)), dtype=np.float64)[:, None]
        return np.array([list(map(float, line.split(","))) for line in lines], dtype=np.float64)
    except ValueError:  # no numbers, or lines of different lengths
        return None


def _label(member: str, value: Json) -> str:
    label = value if isinstance(value, str) else shown(value)
    try:
        label.encode()
    except UnicodeEncodeError as error:
        text = f"{member} gives a label with half of a surrogate pair, which is no character"
        raise ExplanationError(FOREIGN, text) from error
    return label
