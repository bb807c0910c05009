"""Smithy RPC v2 CBOR: `POST /service/NAME/operation/NAME`, the members in a CBOR map.

Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import cast

from hostmaker.domain.errors import SerializationException
from hostmaker.kit.json_value import Json, JsonObject
from hostmaker.wire.cbor import Cbor, CborError, Moment, decode, encode
from hostmaker.wire.service_model import Shape
from hostmaker.wire.typed import answer_value, read_value
from hostmaker.wire.validate import lower_camel

HEADER, NAME = "smithy-protocol", "rpc-v2-cbor"


def target_of(path: str) -> tuple[str, str] | None:
    """Give the names of service and operation in a path; None for a path of another form."""
    match path.split("/"):
        case ["", "service", service, "operation", operation]:
            return service, operation
    return None


def read_body(shape: Shape | None, body: bytes) -> dict[str, Json]:
    """Give the input, typed; an empty body is an empty map. Raises SerializationException, ValidationException."""
    try:
        document = decode(body) if body else {}
    except CborError as error:
        raise SerializationException(f"The body is not CBOR: {error}.") from error
    if not isinstance(document, Mapping):
        raise SerializationException("The body must be a CBOR map.")
    if shape is None:
        return {}
    return cast(dict[str, Json], read_value(shape, _plain(shape, document, "")))


def write_body(shape: Shape, output: object) -> bytes:
    """Give the answer's body."""
    return encode(_rich(shape, answer_value(shape, output)))


def write_error(code: str, message: str, members: JsonObject) -> bytes:
    """Give the body of an error."""
    return encode({"__type": code, "message": message, **cast(Mapping[str, Cbor], members)})


def _plain(shape: Shape, value: Cbor, path: str) -> Json:
    """Give what the same value would be in JSON; a time or a blob where the shape has none is refused."""
    match shape.kind, value:
        case "structure", Mapping():
            return {name: _plain_member(shape, name, each, path) for name, each in value.items()}
        case "list", list():
            return [_plain(shape.item.shape, each, f"{path}.{number}.member") for number, each in enumerate(value, 1)]
        case "map", Mapping():
            item = shape.members["value"].shape
            return {key: _plain(item, each, f"{path}.{lower_camel(key)}") for key, each in value.items()}
        case "timestamp", Moment(seconds):
            return seconds
        case "blob", bytes():
            return base64.b64encode(value).decode()
        case ("timestamp", bool() | int() | float() | str()) | ("blob", str()) | (_, bytes() | Moment()):
            raise SerializationException(f"{_word(value)} can not be converted to a {shape.kind} at '{path}'.")
    return cast(Json, value)


def _plain_member(shape: Shape, name: str, value: Cbor, path: str) -> Json:
    if name not in shape.members:
        return True  # refused by its name, whatever it is
    inner = lower_camel(name)
    return _plain(shape.members[name].shape, value, f"{path}.{inner}" if path else inner)


def _word(value: Cbor) -> str:
    match value:
        case bytes():
            return "A byte string"
        case Moment():
            return "A time (tag 1)"
        case str():
            return "A text"
    return "A number without tag 1"


def _rich(shape: Shape, value: Json) -> Cbor:
    """Give an answer's JSON value with times, blobs and doubles as CBOR has them."""
    match shape.kind, value:
        case "structure", Mapping():
            return {name: _rich(shape.members[name].shape, each) for name, each in value.items()}
        case "list", list():
            return [_rich(shape.item.shape, each) for each in value]
        case "map", Mapping():
            return {key: _rich(shape.members["value"].shape, each) for key, each in value.items()}
        case "timestamp", int() | float():
            return Moment(int(value) if float(value).is_integer() else value)
        case "blob", str():
            return base64.b64decode(value)
        case "float" | "double", int() | float():
            return float(value)
    return cast(Cbor, value)
