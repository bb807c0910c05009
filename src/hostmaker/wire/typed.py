"""Reads values by their shapes: the types of a JSON request, and the members of an answer."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime

from hostmaker.domain.errors import SerializationException, ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.wire.service_model import Shape
from hostmaker.wire.validate import lower_camel

_BITS = {"integer": 31, "long": 63}
_EARLIEST, _LATEST = -62135596800.0, 253402300799.0  # years 1 and 9999


def read_value(shape: Shape, value: Json, path: str = "") -> Json:
    """Give `value` with the types of `shape`; members that are null count as absent.

    Timestamps become float epoch seconds, blobs stay base64. Raises SerializationException for a wrong type and
    ValidationException for a member that the model does not have: it would be ignored otherwise.
    """
    match shape.kind, value:
        case "structure", Mapping():
            return _read_structure(shape, value, path)
        case "list", list():
            return [_read_item(shape.item.shape, each, f"{path}.{index}.member") for index, each in enumerate(value, 1)]
        case "map", Mapping():
            item = shape.members["value"].shape
            return {
                _read_text(key, path): _read_item(item, each, f"{path}.{lower_camel(key)}")
                for key, each in value.items()
            }
        case "string", str():
            return _read_text(value, path)
        case "boolean", bool():
            return value
        case (("integer" | "long"), int() | float()) if not isinstance(value, bool):
            return _read_integer(shape, value, path)
        case (("float" | "double"), int() | float()) if not isinstance(value, bool):
            return _read_float(value, path)
        case "timestamp", int() | float() | str() if not isinstance(value, bool):
            return _read_timestamp(value, path)
        case "blob", str():
            return _read_blob(value, path)
    raise _wrong(shape.kind, value, path)


def _read_structure(shape: Shape, value: Mapping[str, Json], path: str) -> Json:
    if unknown := [name for name in value if name not in shape.members]:
        where = f"'{path}'" if path else "the request"
        names = ", ".join(repr(name[:128]) for name in unknown[:16])
        raise ValidationException(
            f"Member {names} of {where} is not known to this version of Hostmaker. "
            f"Known members: {', '.join(shape.members)}."
        )
    prefix = f"{path}." if path else ""
    given = {name: each for name, each in value.items() if each is not None}
    if shape.is_union and len(given) != 1:
        raise SerializationException(f"Exactly one of {', '.join(shape.members)} must be given at '{path}'.")
    return {
        name: read_value(shape.members[name].shape, each, prefix + lower_camel(name)) for name, each in given.items()
    }


def _read_item(shape: Shape, value: Json, path: str) -> Json:
    if value is None:
        raise SerializationException(f"A null value is not allowed at '{path}'.")
    return read_value(shape, value, path)


def _read_text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SerializationException(f"The text at '{path}' holds half of a surrogate pair.") from None
    return value


def _read_integer(shape: Shape, value: float, path: str) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise _wrong(shape.kind, value, path)
    limit = 1 << _BITS[shape.kind]
    if not -limit <= value < limit:
        raise SerializationException(
            f"The number at '{path}' does not fit {shape.kind} ({_BITS[shape.kind] + 1} bits)."
        )
    return int(value)


def _read_float(value: float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SerializationException(f"The number at '{path}' is not finite.")
    return number


def _read_timestamp(value: float | str, path: str) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise _wrong("timestamp", value, path) from None
    else:
        seconds = _read_float(value, path)
    if not _EARLIEST <= seconds <= _LATEST:
        raise SerializationException(f"The time at '{path}' is not in the years 1 to 9999 (seconds are expected).")
    return seconds


def _read_blob(value: str, path: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise SerializationException(f"The text at '{path}' is not base64.") from None
    return value


def _wrong(wanted: str, value: Json, path: str) -> SerializationException:
    match value:
        case bool():
            found = "TRUE_VALUE" if value else "FALSE_VALUE"
        case None:
            found = "NULL_VALUE"
        case int():
            found = "NUMBER_VALUE"
        case float():
            found = "DECIMAL_VALUE"
        case str():
            found = "STRING_VALUE"
        case Mapping():
            found = "Start of structure or map"
        case _:
            found = "Start of list"
    where = f"at '{path}'" if path else "as the request"
    return SerializationException(f"{found} can not be converted to {_WANTED.get(wanted, wanted)} {where}.")


_WANTED = {
    "boolean": "a Boolean",
    "double": "a Double",
    "float": "a Float",
    "integer": "an Integer",
    "list": "a list",
    "long": "a Long",
    "map": "a map",
    "string": "a String",
    "structure": "a structure",
    "timestamp": "a timestamp (seconds since 1970 as a number)",
    "blob": "a blob (base64)",
}


def answer_value(shape: Shape, value: object) -> Json:
    """Give an answer's value in plain JSON: members that are None left out, `datetime`s as seconds to 3 decimals.

    Asserts that the answer has only members of the model, and all that it requires: some clients refuse it otherwise.
    """
    match shape.kind, value:
        case "structure", Mapping():
            present = {name: each for name, each in value.items() if each is not None}
            assert not present.keys() - shape.members.keys(), (shape.name, present.keys() - shape.members.keys())
            assert not set(shape.required) - present.keys(), (shape.name, set(shape.required) - present.keys())
            return {name: answer_value(shape.members[name].shape, each) for name, each in present.items()}
        case "list", list() | tuple():
            return [answer_value(shape.item.shape, each) for each in value]
        case "map", Mapping():
            return {key: answer_value(shape.members["value"].shape, each) for key, each in value.items()}
        case "timestamp", datetime():
            return round(value.timestamp(), 3)
        case "timestamp", int() | float():
            return round(value, 3)
        case "blob", bytes():
            return base64.b64encode(value).decode()
        case _, bool() | int() | float() | str():
            return value
    raise AssertionError(f"{type(value).__name__} is not an answer's {shape.name} ({shape.kind})")
