"""Reads the records of what a model has answered: lists of cells (CSV), or values (JSON Lines). Pure."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
from collections.abc import Sequence

from hostmaker.clarify.config import MimeType
from hostmaker.clarify.errors import ExplanationError
from hostmaker.kit.json_value import Json

FOREIGN = 500  # the status of a fault in what the model answers
LONGEST_LITERAL = 1 << 20
LONGEST_SHOWN = 80


class CountError(ExplanationError):
    """The model has answered with another number of records than it was asked for."""

    def __init__(self, given: int, asked: int) -> None:
        super().__init__(FOREIGN, f"Model returned {given} records for {asked}; set MaxRecordCount")


def mime_type(content_type: str) -> MimeType | None:
    """Give the type of records that a Content-Type names, whatever its parameters; None for any other."""
    name = content_type.partition(";")[0].strip().lower()
    return next((each for each in MimeType if each.value == name), None)


def output_type(content_type: str) -> MimeType:
    """Give the type of records in an answer of a model; raises ExplanationError for one that cannot be read."""
    found = mime_type(content_type)
    if found is None:
        allowed = "answer text/csv or application/jsonlines"
        raise ExplanationError(FOREIGN, f"Unsupported model output type {shown(content_type)}; {allowed}")
    return found


def decoded(body: bytes) -> str:
    """Give an answer as text; raises ExplanationError."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExplanationError(FOREIGN, f"The model's output is no UTF-8: {error}") from error


def csv_rows(text: str, asked: int | None = None) -> list[list[str]]:
    """Give the cells of each line that is not empty; raises CountError and ExplanationError.

    `asked`: how many lines there should be, if it is not all in one; None: not known.
    """
    if '"' not in text:
        lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
        if asked is not None and len(lines) not in (1, asked):
            raise CountError(len(lines), asked)  # before millions of cells are made of them
        return [line.split(",") for line in lines]
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise ExplanationError(FOREIGN, f"The model's output is no CSV: {error}") from error


def json_lines(text: str) -> list[Json]:
    """Give the value of each line that is not empty; raises ExplanationError."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    try:  # all at once, which is much faster than one by one
        found: list[Json] = json.loads(f"[{','.join(lines)}]", parse_constant=_refuse)
        if len(found) == len(lines):
            return found
    except (ValueError, RecursionError):
        pass
    return [_json(index, line) for index, line in enumerate(lines)]


def typed(cell: str) -> Json:
    """Give the number that a cell is, if it is finite; else its text."""
    try:
        value = float(cell)
    except ValueError:
        return cell
    if not math.isfinite(value) or not is_plain(cell):
        return cell
    return int(cell) if value.is_integer() and cell.isdigit() else value


def is_plain(text: str) -> bool:
    """Tell whether a text has none of what Python alone takes for a part of a number, as in 1_000."""
    return text.isascii() and "_" not in text


def literal(cell: str) -> Json:
    """Give what a cell of CSV means: a number, or a list in JSON or as Python writes it; else its text."""
    if not cell.lstrip().startswith("[") or len(cell) > LONGEST_LITERAL:
        return typed(cell)
    try:
        found: Json = json.loads(cell, parse_constant=_refuse)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return cell
    return found if isinstance(found, list) else cell


def shown(value: Json) -> str:
    """Give a value as it is shown in a message."""
    text = value if isinstance(value, str) else _dumped(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def numbers(values: Sequence[Json]) -> list[float] | None:
    """Give values that all are numbers; None when one is not, or is a whole number beyond all others."""
    try:
        found = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    except OverflowError:
        return None
    return found if len(found) == len(values) else None


def _dumped(value: Json) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):  # of what a cell may hold in Python's form
        return f"a {type(value).__name__} that cannot be shown"


def _json(index: int, line: str) -> Json:
    try:
        value: Json = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ExplanationError(FOREIGN, f"Record {index} of the model's output is no JSON: {error}") from error
    return value


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")
