"""AWS Query: `Action=...&Name.member.1=...` in a form, answers in XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from hostmaker.domain.errors import SerializationException, ValidationError
from hostmaker.kit.json_value import Json, JsonObject
from hostmaker.wire.service_model import Member, Operation, Shape
from hostmaker.wire.typed import answer_value, read_value

MAX_FIELDS = 100_000  # PutMetricData: 1,000 data of many fields each
MAX_DEPTH = 32
_COMMON = {"Action", "Version"}
_INDEX = re.compile("[1-9][0-9]{0,6}")
_INTEGER = re.compile("[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_form(query: str, body: bytes) -> dict[str, str]:
    """Give the parameters of the query string and of the form body; raises SerializationException."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        text = body.decode("ascii")
        pairs += parse_qsl(text.strip(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise SerializationException(f"The body is not a form: {error}") from error
    return {name: value for name, value in pairs if not name.lower().startswith("x-amz-")}


def read_parameters(shape: Shape | None, form: Mapping[str, str]) -> dict[str, Json]:
    """Give the input, typed; raises SerializationException, and ValidationError for a parameter nobody knows."""
    tree = _grow({name: value for name, value in form.items() if name not in _COMMON})
    value = _take_structure(shape, tree, "") if shape else {}
    if unknown := list(_leaves(tree, "")):
        names = ", ".join(repr(name[:128]) for name in unknown[:16])
        raise ValidationError(
            f"Parameter {names} is not known to this version of Hostmaker. "
            f"Known parameters: {', '.join(shape.members) if shape else 'none'}."
        )
    return cast(dict[str, Json], read_value(shape, value)) if shape else {}


@dataclass(slots=True)
class _Node:
    """The fields whose names begin alike: `text` is the value of just that name, `below` what follows a dot."""

    text: str | None = None
    below: dict[str, _Node] = field(default_factory=dict)


def _grow(form: Mapping[str, str]) -> _Node:
    root = _Node()
    for name, value in form.items():
        if name.count(".") > MAX_DEPTH:
            raise SerializationException(f"A parameter's name has more than {MAX_DEPTH} dots.")
        node = root
        for part in name.split("."):
            node = node.below.setdefault(part, _Node())
        node.text = value
    return root


def _leaves(node: _Node, name: str) -> Iterator[str]:
    """Give the names of the fields that nobody has taken."""
    if node.text is not None:
        yield name
    for part, each in node.below.items():
        yield from _leaves(each, f"{name}.{part}" if name else part)


def _take_structure(shape: Shape, node: _Node, path: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for member in shape.members.values():
        name = _name(member)
        if name in node.below and (value := _take(member.shape, node.below[name], f"{path}{name}")) is not None:
            found[member.name] = value
    return found


def _name(member: Member) -> str:
    if member.shape.kind == "list" and member.shape.is_flattened:
        return member.shape.item.location_name or member.location_name or member.name
    return member.location_name or member.name


def _take(shape: Shape, node: _Node, path: str) -> Json:
    """Take what `shape` knows out of `node`; None when there is nothing."""
    match shape.kind:
        case "structure":
            return _take_structure(shape, node, path + ".") if node.below else None
        case "list":
            return _take_list(shape, node, path)
        case "map":
            return _take_map(shape, node, path)
    text, node.text = node.text, None
    return None if text is None else _scalar(shape, text, path)


def _take_list(shape: Shape, node: _Node, path: str) -> Json:
    if node.text == "" and not node.below:
        node.text = None
        return []  # `Name=` is an empty list
    items = _entries(node, shape, shape.item.location_name or "member")
    return [_take(shape.item.shape, each, f"{path}.{index}") for index, each in items] or None


def _take_map(shape: Shape, node: _Node, path: str) -> Json:
    key, value = shape.members["key"], shape.members["value"]
    found: dict[str, Json] = {}
    for index, entry in _entries(node, shape, "entry"):
        name = entry.below.get(key.location_name or "key", _Node())
        item = entry.below.get(value.location_name or "value", _Node())
        if name.text is not None:
            found[name.text] = _take(value.shape, item, f"{path}.{index}")
            name.text = None
    return found or None


def _entries(node: _Node, shape: Shape, word: str) -> list[tuple[int, _Node]]:
    """Give the numbered nodes of a list or a map, by number."""
    below = node.below if shape.is_flattened else node.below.get(word, _Node()).below
    return sorted(
        ((int(part), each) for part, each in below.items() if _INDEX.fullmatch(part)), key=lambda item: item[0]
    )


def _scalar(shape: Shape, text: str, path: str) -> Json:
    match shape.kind:
        case "integer" | "long" if _INTEGER.fullmatch(text):
            return int(text)
        case "float" | "double" | "timestamp" if _NUMBER.fullmatch(text):
            return float(text)
        case "boolean" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "string" | "blob" | "timestamp":
            return text
    raise SerializationException(f"'{text[:128]}' at '{path}' can not be converted to {shape.kind}.")


def write_answer(operation: Operation, output: object, namespace: str | None, request_id: str) -> bytes:
    """Give the XML of a success."""
    inside = ""
    if operation.output is not None:
        plain = answer_value(operation.output, output if output is not None else {})
        inside = "".join(_members(operation.output, cast(JsonObject, plain)))
    if operation.result_wrapper:
        inside = f"<{operation.result_wrapper}>{inside}</{operation.result_wrapper}>"
    metadata = f"<ResponseMetadata><RequestId>{_text(request_id)}</RequestId></ResponseMetadata>"
    name = f"{operation.name}Response"
    return f"<{name}{_xmlns(namespace)}>{inside}{metadata}</{name}>\n".encode()


def write_error(
    code: str, message: str, members: JsonObject, is_ours: bool, namespace: str | None, request_id: str
) -> bytes:
    """Give the XML of an error; `is_ours` tells a fault of the server from one of the sender."""
    fields = {"Type": "Receiver" if is_ours else "Sender", "Code": code, "Message": message, **members}
    inside = "".join(f"<{name}>{_text(str(value))}</{name}>" for name, value in fields.items())
    return (
        f"<ErrorResponse{_xmlns(namespace)}><Error>{inside}</Error>"
        f"<RequestId>{_text(request_id)}</RequestId></ErrorResponse>\n"
    ).encode()


def _xmlns(namespace: str | None) -> str:
    return f' xmlns="{namespace}"' if namespace else ""


def _members(shape: Shape, value: JsonObject) -> Iterator[str]:
    for name, each in value.items():
        member = shape.members[name]
        yield from _element(_name(member), member.shape, each)


def _element(name: str, shape: Shape, value: Json) -> Iterator[str]:
    match shape.kind, value:
        case "structure", Mapping():
            yield f"<{name}>{''.join(_members(shape, value))}</{name}>"
        case "list", list():
            inner = name if shape.is_flattened else shape.item.location_name or "member"
            items = "".join(text for each in value for text in _element(inner, shape.item.shape, each))
            yield items if shape.is_flattened else f"<{name}>{items}</{name}>"
        case "map", Mapping():
            yield from _map_elements(name, shape, value)
        case "timestamp", int() | float():
            yield f"<{name}>{_iso(value)}</{name}>"
        case _, bool():
            yield f"<{name}>{'true' if value else 'false'}</{name}>"
        case _:
            yield f"<{name}>{_text(str(value))}</{name}>"


def _map_elements(name: str, shape: Shape, value: JsonObject) -> Iterator[str]:
    key, item = shape.members["key"], shape.members["value"]
    inner = name if shape.is_flattened else "entry"
    entries = "".join(
        f"<{inner}><{key.location_name or 'key'}>{_text(each)}</{key.location_name or 'key'}>"
        + "".join(_element(item.location_name or "value", item.shape, value[each]))
        + f"</{inner}>"
        for each in value
    )
    yield entries if shape.is_flattened else f"<{name}>{entries}</{name}>"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: str) -> str:
    # A carriage return would be read back as a line feed; other control characters cannot stand in XML at all.
    return escape(_NOT_XML.sub("\ufffd", value), {"\r": "&#13;"})
