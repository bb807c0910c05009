"""Turns frozen dataclasses into JSON and back, for our own files, links and rows (never for AWS protocols).

Supported: dataclasses, `Optional`, tuples `tuple[T, ...]`, `frozenset[T]`, `Mapping[str, T]`, enums, aware `datetime`s
(ISO text), `timedelta`s (seconds), `Fraction`s (text), NewTypes, JSON scalars and `Json` itself. Unions of dataclasses
carry the class name as `"type"`. Fields equal to their default are left out, unknown fields are ignored: an older
program reads what a newer one wrote.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from hostmaker.kit.json_value import Json

T = TypeVar("T")


class CodecError(ValueError):
    """The document does not describe a value of the wanted class."""


def encode(value: object) -> Json:
    """Give the JSON form of `value`."""
    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, enum.Enum):
            return value
        case enum.Enum():
            return cast(Json, value.value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Fraction():
            return str(value)
        case Mapping():
            return {str(key): encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
        case frozenset():
            return sorted((encode(item) for item in value), key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(item)
            for field in dataclasses.fields(value)
            if (item := getattr(value, field.name)) != field.default
        }
    raise CodecError(f"cannot encode {type(value).__name__}")


def encode_tagged(value: object) -> Json:
    """Give the JSON form of a dataclass, its class name under `"type"`."""
    document = encode(value)
    assert isinstance(document, dict)
    return {"type": type(value).__name__, **document}


def decode(cls: type[T], document: Json) -> T:
    """Read a value of `cls`; raises CodecError when the document does not fit."""
    try:
        return cast(T, _reader(cast(Hashable, cls))(document))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CodecError(f"not a {getattr(cls, '__name__', cls)}: {error}") from error


def decode_tagged(classes: tuple[type[T], ...], document: Json) -> T:
    """Read a value of the one of `classes` that the document's `"type"` names."""
    if isinstance(document, Mapping):
        for cls in classes:
            if cls.__name__ == document.get("type"):
                return decode(cls, document)
    raise CodecError(f"unknown type {document.get('type') if isinstance(document, Mapping) else document!r}")


@functools.cache
def _reader(hint: Any) -> typing.Callable[[Any], Any]:
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    if hint is datetime:
        return datetime.fromisoformat
    if hint is timedelta:
        return lambda seconds: timedelta(seconds=seconds)
    if hint is Fraction:
        return Fraction
    if origin in (typing.Union, types.UnionType):
        return _union_reader(args)
    if origin is tuple:
        read = _reader(args[0])
        return lambda items: tuple(read(item) for item in items)
    if origin is frozenset:
        read = _reader(args[0])
        return lambda items: frozenset(read(item) for item in items)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        read = _reader(args[1])
        return lambda items: {key: read(item) for key, item in items.items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_reader(hint)
    if hint is float:
        return float
    if hint in (int, str, bool):
        return _exactly(hint)
    return lambda item: item


def _exactly(cls: type) -> typing.Callable[[Any], Any]:
    def read(item: Any) -> Any:
        if type(item) is not cls:
            raise CodecError(f"{item!r} is not of type {cls.__name__}")
        return item

    return read


def _union_reader(args: tuple[Any, ...]) -> typing.Callable[[Any], Any]:
    members = [arg for arg in args if arg is not type(None)]
    if len(members) != 1:
        return lambda item: item  # `Json`, the only union of several types in use
    read = _reader(members[0])
    return lambda item: None if item is None else read(item)


def _dataclass_reader(cls: type) -> typing.Callable[[Any], Any]:
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]

    def read(document: Any) -> Any:
        if not isinstance(document, Mapping):
            raise CodecError(f"{document!r} is not an object")
        return cls(**{name: _reader(hints[name])(document[name]) for name in names if name in document})

    return read
