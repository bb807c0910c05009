"""A connection to the object store, for one request after the other: bytes pass as they are, in both directions.

Nothing is verified or changed: the store checks the signature itself, and for that every header must stay what it was
when it was signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

import httptools

from hostmaker.gateway.framing import MAX_FRAMING, framing_after

WRITE_BUFFER = 256 * 1024
CONNECT_LIMIT_S = 5.0


class Asker(Protocol):
    """Whose request is relayed."""

    def store_bytes(self, data: bytes) -> None:
        """Pass bytes of the answer on."""
        ...

    def store_done(self, keep_alive: bool) -> None:
        """The answer is through; `keep_alive`: its end can be told without the end of the connection."""
        ...

    def store_failed(self, detail: str) -> None:
        """There is no answer, or no whole one."""
        ...

    def stop_body(self) -> None:
        """Send no more of the body for now."""
        ...

    def resume_body(self) -> None:
        """Go on."""
        ...


class StoreRelay(asyncio.Protocol):
    """One connection to the store. The parser only notes what it sees; what follows happens when it has returned."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._asker: Asker | None = None  # of the request under way
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []
        self._is_reading = True
        self._is_used = False
        self._forget("")

    def _forget(self, method: str) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._has_sent = self._is_sent = False  # bytes of the body; all of it
        self._is_touched = self._has_head = self._has_length = self._says_close = self._is_spoilt = False
        self._is_through = False
        self._framing = self._came = 0

    def is_usable(self) -> bool:
        """Tell whether another request may follow on this connection."""
        return self._asker is None and self._transport is not None and not self._transport.is_closing()

    def begin(
        self, asker: Asker, method: str, target: bytes, fields: Sequence[tuple[bytes, bytes]], is_chunked: bool
    ) -> None:
        """Begin a request; its body follows by `body` and `end`."""
        self._forget(method)
        self._asker, self._is_chunked = asker, is_chunked
        lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target)]
        lines += [b"%b: %b\r\n" % field for field in fields]
        self._head = b"".join(lines) + b"\r\n"
        self._write(self._head)
        if self._transport is None:
            self._opening = asyncio.ensure_future(self._open())

    def body(self, part: bytes) -> None:
        """Pass a piece of the body on."""
        self._has_sent = True
        self._write(b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked else part)

    def end(self) -> None:
        """The body is through."""
        self._is_sent = True
        if self._is_chunked:
            self._has_sent = True
            self._write(b"0\r\n\r\n")

    def pause(self) -> None:
        """Read no more of the answer for now."""
        if self._transport is not None and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        """Nobody waits for an answer any more."""
        self._asker = None
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            return
        self._waiting.append(data)
        if self._asker is not None and sum(map(len, self._waiting)) > WRITE_BUFFER:
            self._asker.stop_body()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await loop.create_connection(lambda: self, *self._address)
        except (OSError, TimeoutError) as error:
            self._fail(str(error) or "no connection in time")

    def _fail(self, detail: str) -> None:
        asker, self._asker = self._asker, None
        if self._transport is not None:
            self._transport.abort()
        if asker is not None:
            asker.store_failed(detail)

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._transport.writelines(self._waiting)
        self._waiting.clear()
        self._is_reading = True
        if self._asker is None:
            self._transport.abort()
        else:
            self._asker.resume_body()

    def pause_writing(self) -> None:
        if self._asker is not None:
            self._asker.stop_body()

    def resume_writing(self) -> None:
        if self._asker is not None:
            self._asker.resume_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._asker is None:
            return
        if self._has_head and not self._has_length and exc is None:  # the end of the connection is the answer's end
            self._finish(False)
        elif self._is_used and not self._is_touched and not self._has_sent and self._method in ("GET", "HEAD"):
            self._is_used = False  # the store had closed an idle connection: once more, on a new one
            self._waiting = [self._head]
            self._opening = asyncio.ensure_future(self._open())
        else:
            self._fail("it closed the connection")

    def data_received(self, data: bytes) -> None:
        asker = self._asker
        if asker is None:  # bytes after a complete answer
            self.abort()
            return
        self._is_touched = True
        self._came = 0
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_through or isinstance(error, httptools.HttpParserCallbackError):
                self._fail("its answer is not HTTP")
                return
            self._is_spoilt = True
        if self._is_spoilt:  # where one answer ends and the other begins cannot be told: neither goes on
            self._fail("it sent more than an answer")
            return
        self._framing = framing_after(self._framing, len(data), self._came)
        if self._framing > MAX_FRAMING and not self._is_through:
            self._fail("the head, or the trailers, of its answer have more than 64 KiB")
            return
        asker.store_bytes(data)
        if self._is_through:
            self._finish(True)

    def _finish(self, has_end: bool) -> None:
        asker, self._asker = self._asker, None
        keep = has_end and not self._says_close
        if self._transport is not None:
            # A body that is not through could be taken for the next request.
            if keep and self._is_sent:
                self.resume()
                self._is_used = True
            else:
                self._transport.close()
        if asker is not None:
            asker.store_done(keep)

    # The parser

    def on_message_begin(self) -> None:
        self._is_spoilt = self._is_spoilt or self._is_through
        self._has_length = self._says_close = False

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._has_length = True
            case b"connection" if b"close" in value.lower():
                self._says_close = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._has_head = True
        self._says_close = self._says_close or self._parser.get_http_version() == "1.0"
        if self._method == "HEAD" or status in (204, 304):
            self._is_through = True
            self._has_length = True

    def on_body(self, part: bytes) -> None:
        self._came += len(part)
        self._is_spoilt = self._is_spoilt or (self._is_through and bool(part))

    def on_message_complete(self) -> None:
        if self._has_head:
            self._is_through = True
