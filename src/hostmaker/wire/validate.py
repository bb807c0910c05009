"""Constraints of the model, and the sentences in which the services report a violation (clients match them)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.wire.patterns import compile_pattern
from hostmaker.wire.service_model import Shape

Finding: TypeAlias = str  # "Value 'x' at 'endpointName' failed to satisfy constraint: Member must ..."

MAX_FINDINGS = 100
SHOWN_CHARACTERS = 2048  # of a value that is shown in a sentence
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
_NUMBERS = {"integer", "long", "float", "double"}
_SCALARS = {"string", "blob", *_NUMBERS}


def validate(shape: Shape, value: Json, extra_instance_types: frozenset[str] = frozenset()) -> None:
    """Raise ValidationException, all violations in one sentence, unless `value` is as `shape` wants it.

    `value` has the right types already. `extra_instance_types` are those that the operator has mapped to this machine.
    """
    if findings := find_violations(shape, value, extra_instance_types):
        raise ValidationException(sentence(findings))


def sentence(findings: Sequence[Finding]) -> str:
    """Return the message for some violations."""
    count = f"{len(findings)} validation error{'' if len(findings) == 1 else 's'} detected"
    more = "; and perhaps more: no further ones are looked for" if len(findings) == MAX_FINDINGS else ""
    return f"{count}: {'; '.join(findings)}{more}"


def find_violations(shape: Shape, value: Json, extra: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return the first MAX_FINDINGS violations below `value`, in the order of the model's members."""
    return tuple(islice(_below(shape, value, "", extra), MAX_FINDINGS))


def constraints(shape: Shape, value: Json, extra: frozenset[str] = frozenset()) -> Iterator[str]:
    """Give "Member must ..." for each of the shape's own constraints that `value` does not satisfy."""
    measure, word = _measure(shape, value)
    if shape.maximum is not None and measure > shape.maximum:
        yield f"Member must have {word} less than or equal to {_number(shape.maximum)}"
    if shape.minimum is not None and measure < shape.minimum:
        yield f"Member must have {word} greater than or equal to {_number(shape.minimum)}"
    if shape.pattern is not None and isinstance(value, str) and not compile_pattern(shape.pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"
    if shape.values and value not in shape.values and not _is_extra_instance_type(shape, value, extra):
        yield f"Member must satisfy enum value set: [{', '.join(shape.values)}]"


def finding(path: str, value: Json, constraint: str, is_sensitive: bool = False) -> Finding:
    """Give one violation; the value of a sensitive member is not shown."""
    shown = "Value" if is_sensitive else "Value null" if value is None else f"Value '{_shown(value)}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def lower_camel(name: str) -> str:
    """Give the form of a member's name that paths have."""
    return name[:1].lower() + name[1:]


def _below(shape: Shape, value: Json, path: str, extra: frozenset[str]) -> Iterator[Finding]:
    for constraint in constraints(shape, value, extra):
        yield finding(path, value, constraint, shape.is_sensitive)
    match shape.kind, value:
        case "structure", Mapping():
            yield from _of_structure(shape, value, path, extra)
        case "list", list() | tuple():
            yield from _of_list(shape, value, path, extra)
        case "map", Mapping():
            yield from _of_map(shape, value, path, extra)


def _of_structure(shape: Shape, value: Mapping[str, Json], path: str, extra: frozenset[str]) -> Iterator[Finding]:
    for name, member in shape.members.items():
        inner = f"{path}.{lower_camel(name)}" if path else lower_camel(name)
        if value.get(name) is not None:
            yield from _below(member.shape, value[name], inner, extra)
        elif name in shape.required:
            yield finding(inner, None, "Member must not be null")


def _of_list(shape: Shape, value: Sequence[Json], path: str, extra: frozenset[str]) -> Iterator[Finding]:
    item = shape.item.shape
    if item.kind in _SCALARS:
        # Simple items are reported with the list: all constraints of the item, those that hold too.
        if any(next(constraints(item, each, extra), None) for each in value):
            yield finding(path, value, f"Member must satisfy constraint: [{_all_of(item)}]", item.is_sensitive)
        return
    for index, each in enumerate(value, 1):
        yield from _below(item, each, f"{path}.{index}.member", extra)


def _of_map(shape: Shape, value: Mapping[str, Json], path: str, extra: frozenset[str]) -> Iterator[Finding]:
    key, item = shape.members["key"].shape, shape.members["value"].shape
    if any(next(constraints(key, each), None) for each in value):
        yield finding(path, value, f"Map keys must satisfy constraint: [{_all_of(key)}]", shape.is_sensitive)
    if item.kind in _SCALARS:
        if any(next(constraints(item, each, extra), None) for each in value.values()):
            yield finding(path, value, f"Map value must satisfy constraint: [{_all_of(item)}]", item.is_sensitive)
        return
    for name, each in value.items():
        yield from _below(item, each, f"{path}.{name}.member", extra)


def _all_of(shape: Shape) -> str:
    """Give every constraint of a simple shape, as the sentences about lists and maps enumerate them."""
    word = "value" if shape.kind in _NUMBERS else "length"
    texts = []
    if shape.maximum is not None:
        texts.append(f"Member must have {word} less than or equal to {_number(shape.maximum)}")
    if shape.minimum is not None:
        texts.append(f"Member must have {word} greater than or equal to {_number(shape.minimum)}")
    if shape.pattern is not None:
        texts.append(f"Member must satisfy regular expression pattern: {shape.pattern}")
    if shape.values:
        texts.append(f"Member must satisfy enum value set: [{', '.join(shape.values)}]")
    return ", ".join(texts)


def _measure(shape: Shape, value: Json) -> tuple[float, str]:
    """Give what `min` and `max` are about, and its word: a number's value, or a length (of a blob: its bytes)."""
    match value:
        case bool() | None:
            return 0, "value"
        case int() | float():
            return value, "value"
        case str() if shape.kind == "blob":
            return len(base64.b64decode(value)), "length"
        case _:
            return len(value), "length"


def _is_extra_instance_type(shape: Shape, value: Json, extra: frozenset[str]) -> bool:
    return (
        shape.name.endswith("InstanceType")
        and isinstance(value, str)
        and value in extra
        and _INSTANCE_TYPE.fullmatch(value) is not None
    )


def _number(limit: float) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _shown(value: Json) -> str:
    text = _java(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _java(value: Json) -> str:
    """Give the value as the services print it: `[a, b]`, `{k=v}`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
        case Mapping():
            return "{" + ", ".join(f"{key}={_java(each)}" for key, each in value.items()) + "}"
        case _:
            return "[" + ", ".join(map(_java, value)) + "]"
