"""Answers made of what a script's functions return, as the Flask application of the framework images makes them."""

import asyncio
import json
from typing import Any, AsyncIterator, Dict, Iterable, Iterator, Optional

from hostmaker_runtime import formats
from hostmaker_runtime.http_messages import Answer, Body, header_lines

RETURNED_HEADERS = "x-amzn-sagemaker-"  # custom attributes and sessions; the platform passes on nothing else


def answer_of(result: Any, accept: str) -> Answer:
    """Read a result: an Answer of ours, a Response, a pair of body and content type, an object for JSON, or a body.

    Raises TypeError for anything else, and ValueError for what cannot be written as HTTP.
    """
    if isinstance(result, Answer):
        return result
    if result is None:
        raise TypeError("the function returned nothing: an answer is a body, or a pair of body and content type")
    if isinstance(result, tuple):
        if len(result) < 2:
            raise TypeError("an answer that is a tuple has a body and a content type")
        return Answer(200, body_of(result[0]), _content_type(result[1]))
    if hasattr(result, "status_code") and hasattr(result, "response"):
        return _answer_of_response(result, accept)
    if isinstance(result, dict):
        return Answer(200, json.dumps(result).encode("utf-8"), _content_type(formats.JSON))
    return Answer(200, body_of(result), _content_type(accept))


def body_of(value: Any) -> Body:
    """Give a body: bytes, or an iterator of bytes for whatever yields its parts one by one."""
    if value is None:
        return b""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return _part(value)
    if isinstance(value, (list, tuple)):
        return b"".join([_part(part) for part in value])
    if hasattr(value, "__aiter__"):
        return _Parts(_in_turn(value))
    if hasattr(value, "__iter__") and not isinstance(value, dict):
        return _Parts(value)
    raise TypeError("an answer is str, bytes or yields them; it is not %s" % type(value).__name__)


class _Parts:
    """The parts of an iterable as bytes; can be closed early, as the iterable itself."""

    def __init__(self, parts: Iterable[Any]) -> None:
        self._parts = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return _part(next(self._parts))

    def close(self) -> None:
        """Close the generator."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


def _in_turn(parts: AsyncIterator[Any]) -> Iterator[Any]:
    """Give the parts of an async generator one by one, on a loop of its own."""
    loop = asyncio.new_event_loop()
    iterator = parts.__aiter__()
    try:
        while True:
            try:
                part = loop.run_until_complete(iterator.__anext__())
            except StopAsyncIteration:
                return
            yield part
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            loop.run_until_complete(close())
        loop.close()


def _part(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError("an answer's parts are str or bytes, not %s" % type(value).__name__)


def _answer_of_response(response: Any, accept: str) -> Answer:
    """Read a `worker.Response`, the shim's or a true Flask one."""
    headers: Dict[str, str] = {str(name): str(value) for name, value in dict(response.headers).items()}
    content_type: Optional[str] = getattr(response, "mimetype", None)
    for name, value in headers.items():
        if name.lower() == "content-type":
            content_type = value
    return Answer(
        int(response.status_code),
        body_of(response.response),
        _content_type(content_type or accept),
        returned_headers(headers),
    )


def returned_headers(headers: Dict[str, str]) -> bytes:
    """Give those of a function's headers that go to the caller, as they are written."""
    return header_lines({name: value for name, value in headers.items() if name.lower().startswith(RETURNED_HEADERS)})


def _content_type(value: Any) -> bytes:
    return str(value).encode("latin-1")
