"""AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, the members in a JSON object."""

from __future__ import annotations

import json
from typing import cast

from hostmaker.domain.errors import SerializationException
from hostmaker.kit.json_value import Json, JsonObject
from hostmaker.wire.body import MAX_ITEMS
from hostmaker.wire.service_model import Shape
from hostmaker.wire.typed import answer_value, read_value


def read_body(shape: Shape | None, body: bytes) -> dict[str, Json]:
    """Give the input, typed; an empty body counts as `{}`. Raises SerializationException, ValidationException."""
    items = sum(map(body.count, (b",", b"[", b"{")))
    if items > MAX_ITEMS:
        raise SerializationException(f"The body has about {items} values; at most {MAX_ITEMS} are read.")
    try:
        document = json.loads(body, parse_constant=_no_constant) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise SerializationException(f"The body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SerializationException("The body must be a JSON object.")
    if shape is None:
        return {}
    return cast(dict[str, Json], read_value(shape, document))


def write_body(shape: Shape, output: object) -> bytes:
    """Give the answer's body."""
    return dump(answer_value(shape, output))


def write_error(code: str, message: str, members: JsonObject) -> bytes:
    """Give the body of an error."""
    return dump({"__type": code, "message": message, **members})


def dump(document: Json) -> bytes:
    """Give compact JSON in ASCII."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")
