"""Relays a request to the object store and its answer back, byte by byte, with back-pressure both ways.

Nothing is verified or changed: the store checks the signature itself, and for that every header must stay what it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

WRITE_BUFFER = 256 * 1024
CONNECT_LIMIT_S = 5.0


class Client(Protocol):
    """The side that asked."""

    def store_bytes(self, data: bytes) -> None:
        """Pass bytes of the answer on."""
        ...

    def store_done(self, keep_alive: bool) -> None:
        """The answer is through."""
        ...

    def store_failed(self, began: bool, detail: str) -> None:
        """There is no answer, or (`began`) no whole one."""
        ...

    def pause_body(self) -> None:
        """Send no more of the body for now."""
        ...

    def resume_body(self) -> None:
        """Go on."""
        ...


class StoreRelay(asyncio.Protocol):
    """One connection to the store, used by one client connection for one request after the other."""

    def __init__(self, address: tuple[str, int], client: Client, released: Callable[[StoreRelay], None]) -> None:
        self._address = address
        self._client = client
        self._released = released
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._is_chunked = False
        self._is_head = False
        self._request_ended = False
        self._answer_began = False
        self._answer_ended = False
        self._active = False
        self._keep_alive = False
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Tell whether another request may follow on this connection."""
        return self._transport is not None and not self._active and not self._transport.is_closing()

    def begin(self, method: str, target: bytes, raw: list[tuple[bytes, bytes]], is_chunked: bool) -> None:
        """Begin a request; its body follows by `body` and `end`."""
        self._parser = httptools.HttpResponseParser(self)
        self._is_chunked, self._is_head, self._active = is_chunked, method == "HEAD", True
        self._request_ended = self._answer_began = self._answer_ended = False
        lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target)]
        # We have answered 100 ourselves; the store would answer it a second time.
        lines += [b"%b: %b\r\n" % (name, value) for name, value in raw if name.lower() != b"expect"]
        self._write(b"".join(lines) + b"\r\n")
        if self._transport is None:
            self._opening = asyncio.ensure_future(self._open())

    def body(self, part: bytes) -> None:
        """Pass a piece of the body on."""
        self._write(b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked else part)

    def end(self) -> None:
        """The body is through."""
        self._request_ended = True
        if self._is_chunked:
            self._write(b"0\r\n\r\n")
        self._finish_if_done()

    def pause_answer(self) -> None:
        """Read no more of the answer for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_answer(self) -> None:
        """Go on reading."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """The client is gone."""
        self._active = False
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            return
        self._waiting.append(data)
        if sum(map(len, self._waiting)) > WRITE_BUFFER:
            self._client.pause_body()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await loop.create_connection(lambda: self, *self._address)
        except (OSError, TimeoutError) as error:
            self._active = False
            self._client.store_failed(False, str(error) or "no connection in time")

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._transport.writelines(self._waiting)
        self._waiting.clear()
        self._client.resume_body()

    def pause_writing(self) -> None:
        self._client.pause_body()

    def resume_writing(self) -> None:
        self._client.resume_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._released(self)
        if not self._active:
            return
        self._active = False
        if self._answer_began and not self._answer_ended and self._ends_with_connection():
            self._client.store_done(False)
        else:
            self._client.store_failed(self._answer_began, "the object store closed the connection")

    def _ends_with_connection(self) -> bool:
        """Tell whether the answer has no length of its own: then the end of the connection is its end."""
        return self._answer_began and not self._has_length

    def data_received(self, data: bytes) -> None:
        if not self._active:
            self.abort()  # bytes after a complete answer
            return
        self._client.store_bytes(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._active and not self._answer_ended:
                self._active = False
                self._client.store_failed(True, "the object store's answer is not HTTP")
            if self._transport is not None:
                self._transport.abort()
        self._finish_if_done()

    # The parser

    def on_message_begin(self) -> None:
        self._has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._answer_began = True
            if self._is_head:
                self._answer_ended, self._keep_alive = True, self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            # Only within this callback does the parser know.
            self._answer_ended, self._keep_alive = True, self._parser.should_keep_alive()

    def _finish_if_done(self) -> None:
        if not (self._active and self._answer_ended):
            return
        self._active = False
        # After HEAD the parser waits for a body that never comes, and an early answer leaves a body unread: both
        # connections are not used again.
        if (self._is_head or not self._request_ended or not self._keep_alive) and self._transport is not None:
            self._transport.close()
        self._client.store_done(self._request_ended and self._keep_alive)
