"""Records as models are sent them: lines of CSV or of JSON, cells that keep the text they were written with."""

from __future__ import annotations

import csv
import enum
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hostmaker.clarify.expression import EvaluationError, Expression, Steps
from hostmaker.kit.json_value import Json

LONGEST_FIELD = 8 << 20  # characters; more than a whole request may have
MOST_STEPS = 10_000_000  # of FeaturesAttribute, over all records: some ten seconds
BOM = "\ufeff"
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"([+-]?)0*(\d+)", re.ASCII)
_NEEDS_QUOTES = re.compile(r'[",\r\n]')

# The limit is one for the whole process, and csv's own (131072) is less than a text in a request may have. It is set
# once and only ever raised, so that nobody who reads CSV beside this can be cut short by it.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))


class RecordError(ValueError):
    """Record number `record`, from zero, cannot be read; the message is a sentence that says so."""

    def __init__(self, record: int, reason: str) -> None:
        super().__init__(f"Record {record} {reason}")
        self.record = record


class Kind(enum.Enum):
    """What a cell holds."""

    NUMBER = "number"
    STRING = "string"
    OTHER = "other"  # of JSON: true, false, null, a list, an object


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a record.

    `text` is, of CSV, the field without its quotes; of JSON a number's literal, a string's content, else compact JSON.
    """

    text: str
    kind: Kind


Record = tuple[Cell, ...]


def read_csv(text: str) -> list[Record]:
    """Read records as of RFC 4180, without a header; raises RecordError. An empty line is one empty cell."""
    rows = csv.reader(io.StringIO(text.removeprefix(BOM), newline=""), strict=True)
    known: dict[str, Cell] = {}  # columns repeat themselves
    records: list[Record] = []
    try:
        records.extend(
            tuple(known.get(each) or known.setdefault(each, _csv_value(each)) for each in row or [""]) for row in rows
        )
    except csv.Error as error:
        raise RecordError(len(records), f"is not valid CSV: {error}.") from error
    return records


def read_json_lines(text: str, features: Expression | None, bare: bool = False) -> list[Record]:
    """Read the features of each line of JSON; raises RecordError. Blank lines are none.

    `features` (FeaturesAttribute) finds the list; without it the line is the list, and with `bare` it may be.
    """
    steps = Steps(MOST_STEPS)
    return [_features(number, value, features, bare, steps) for number, value in enumerate(json_values(text))]


def json_values(text: str) -> Iterator[Json]:
    """Read the value of each line of JSON, numbers with their literals; raises RecordError. Blank lines are none."""
    number = 0
    # Not `splitlines`: a JSON string may hold the other line breaks of Unicode.
    for line in text.removeprefix(BOM).split("\n"):
        if line.strip():
            yield _json_value(number, line)
            number += 1


def csv_cell(cell: Cell, quoted: bool = False) -> str:
    """Write a cell as a field of CSV, in quotes where it needs them, or always."""
    if quoted or _NEEDS_QUOTES.search(cell.text):
        return '"' + cell.text.replace('"', '""') + '"'
    return cell.text


def json_cell(cell: Cell) -> str:
    """Write a cell as compact JSON; a number as it was written, where that is a number in JSON too."""
    match cell.kind:
        case Kind.NUMBER:
            return _json_number(cell.text)
        case Kind.STRING:
            return json.dumps(cell.text, ensure_ascii=False)
        case Kind.OTHER:
            return cell.text


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number in decimal notation; blanks around it are allowed."""
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


class _Whole(int):
    """A whole number of JSON that Python would write differently."""

    literal: str


class _Decimal(float):
    """A decimal number of JSON that Python would write differently."""

    literal: str


# JMESPath goes by the names of types.
_Whole.__name__, _Decimal.__name__ = "int", "float"


def _csv_value(text: str) -> Cell:
    return Cell(text, Kind.NUMBER if is_number(text) else Kind.STRING)


def _json_number(text: str) -> str:
    text = text.strip()
    if _JSON_NUMBER.fullmatch(text):
        return text
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return whole[1].replace("+", "") + whole[2]
    return repr(float(text))


def _json_value(number: int, line: str) -> Json:
    try:
        value: Json = json.loads(line, parse_int=_whole, parse_float=_decimal, parse_constant=_constant)
    except RecursionError as error:
        raise RecordError(number, "is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise RecordError(number, f"is not valid JSON: {error.msg} at column {error.colno}.") from error
    except ValueError as error:
        raise RecordError(number, f"is not valid JSON: {error}.") from error
    return value


def _whole(literal: str) -> int:
    if not math.isfinite(float(literal)):
        raise ValueError(f"{literal[:20]}... is too large")
    if literal == "-0":
        value = _Whole(0)
        value.literal = literal
        return value
    return int(literal)


def _decimal(literal: str) -> float:
    plain = float(literal)
    if not math.isfinite(plain):
        raise ValueError(f"{literal[:20]} is too large")
    if repr(plain) == literal:
        return plain
    value = _Decimal(plain)
    value.literal = literal
    return value


def _constant(name: str) -> Json:
    raise ValueError(f"{name} is no number of JSON")


def _features(number: int, value: Json, features: Expression | None, bare: bool, steps: Steps) -> Record:
    """Find the list of features in a record."""
    found, reason = value, "is not a list of features; set InferenceConfig.FeaturesAttribute to where in it they are"
    if features is not None:
        found, reason = _found(value, features, steps)
        if bare and not isinstance(found, list):
            found = value
    if not isinstance(found, list):
        raise RecordError(number, f"{reason}.")
    return tuple(_json_feature(number, each) for each in found)


def _found(value: Json, features: Expression, steps: Steps) -> tuple[Json, str]:
    try:
        return features.search(value, steps), f"has no list at FeaturesAttribute {features.text!r}"
    except EvaluationError as error:
        return None, f"cannot be asked for FeaturesAttribute {features.text!r}: {error}"


def _json_feature(number: int, value: Json) -> Cell:
    try:
        cell = _json_kind(value)
        cell.text.encode()
    except RecursionError as error:
        raise RecordError(number, "is nested too deeply.") from error
    except UnicodeEncodeError as error:
        raise RecordError(number, "has half of a surrogate pair, which is no character.") from error
    except (TypeError, ValueError) as error:  # FeaturesAttribute has made what no JSON is: infinity, an expression
        raise RecordError(number, "has a feature that is no value of JSON.") from error
    return cell


def _json_kind(value: Json) -> Cell:
    if isinstance(value, str):
        return Cell(value, Kind.STRING)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(_written(value), Kind.NUMBER)
    return Cell(_written(value), Kind.OTHER)


def _written(value: Json) -> str:
    """Write a value as compact JSON, numbers by their literals."""
    if isinstance(value, (_Whole, _Decimal)):
        return value.literal
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_written(key)}:{_written(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
