"""Bodies and headers made of what a script's functions return, for both families of images."""

import asyncio
from typing import Any, AsyncIterator, Dict, Iterable, Iterator

from hostmaker_runtime.http_messages import Body, header_lines

RETURNED_HEADERS = "x-amzn-sagemaker-"  # custom attributes and sessions; the platform passes on nothing else


def is_stream(value: Any) -> bool:
    """Whether a value yields its parts one by one: a generator, an async generator, or another iterator."""
    return hasattr(value, "__next__") or hasattr(value, "__aiter__")


def body_of(value: Any) -> Body:
    """Return a body: bytes, or an iterator of bytes for whatever yields its parts one by one.

    Raises TypeError for what is neither.
    """
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


def returned_headers(headers: Dict[str, str]) -> bytes:
    """Give those of a function's headers that go to the caller, as they are written."""
    return header_lines({name: value for name, value in headers.items() if name.lower().startswith(RETURNED_HEADERS)})
