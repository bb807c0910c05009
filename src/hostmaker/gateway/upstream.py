"""Keep-alive connections to what answers over HTTP on a unix socket: instances, and control.

Callbacks instead of a task for each request. A connection carries one exchange at a time; the newest idle one is used
first, so that spare ones grow old and are closed.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from hostmaker.gateway.failure import Failure

MOST_IDLE = 64
IDLE_LIMIT_S = 60.0
CONNECT_LIMIT_S = 0.25
WRITE_TOGETHER = 65536

Headers = list[tuple[bytes, bytes]]


class Owner(Protocol):
    """Who waits for an answer."""

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Take the whole answer."""
        ...

    def failed(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        """Take the news that there is none."""
        ...

    def stream_began(self, exchange: Exchange, status: int, headers: Headers) -> bool:
        """Take the head of a streamed answer; False: collect its body as if it were not streamed."""
        ...

    def stream_part(self, exchange: Exchange, part: bytes) -> None:
        """Take the next bytes."""
        ...

    def stream_ended(self, exchange: Exchange) -> None:
        """Take the end."""
        ...


class Exchange:
    """A request under way. `deadline` is a reading of the loop's clock."""

    __slots__ = (
        "body",
        "connection",
        "deadline",
        "head",
        "is_over",
        "is_streamed",
        "most_answer",
        "most_headers",
        "owner",
    )

    def __init__(
        self, owner: Owner, head: bytes, body: bytes, deadline: float, most_answer: int, most_headers: int
    ) -> None:
        self.owner = owner
        self.head = head
        self.body = body
        self.deadline = deadline
        self.most_answer = most_answer
        self.most_headers = most_headers
        self.connection: UpstreamConnection | None = None
        self.is_streamed = False
        self.is_over = False

    def cancel(self) -> None:
        """Stop caring: nothing is told any more, and a connection in use is closed."""
        self.is_over = True
        if self.connection is not None:
            self.connection.abort()

    def fail(self, failure: Failure, detail: str) -> None:
        """Tell the owner, once."""
        if not self.is_over:
            self.is_over = True
            self.owner.failed(self, failure, detail)


class Peer:
    """One that answers, by the path of its socket, with the connections to it."""

    __slots__ = ("active", "idle", "is_retired", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.idle: list[UpstreamConnection] = []
        self.active: set[UpstreamConnection] = set()
        self.is_retired = False

    def send(self, exchange: Exchange, fresh: bool) -> None:
        """Send on an idle connection, or on a new one."""
        if self.idle and not fresh:
            self.idle.pop().send(exchange, True)
        else:
            asyncio.ensure_future(self._open(exchange))  # noqa: RUF006 - the exchange is its own record

    async def _open(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                _, connection = await loop.create_unix_connection(lambda: UpstreamConnection(self), self.path)
        except TimeoutError:
            exchange.fail(Failure.REFUSED, f"no connection within {CONNECT_LIMIT_S * 1000:.0f} ms")
        except OSError as error:
            exchange.fail(Failure.REFUSED, error.strerror or str(error))
        else:
            if exchange.is_over:  # whoever asked is gone: another may use it
                connection.rest()
            else:
                connection.send(exchange, False)

    def retire(self) -> None:
        """Close what is idle; what is active is closed when its answer is through."""
        self.is_retired = True
        for connection in list(self.idle):
            connection.close()
        self.idle.clear()

    def sweep(self, now: float) -> None:
        """End exchanges whose time is over, and connections that nobody has used for long."""
        for connection in [c for c in self.active if c.exchange is not None and now > c.exchange.deadline]:
            connection.time_out()
        while self.idle and now - self.idle[0].rested_at > IDLE_LIMIT_S:
            self.idle.pop(0).close()


class UpstreamConnection(asyncio.Protocol):
    """One connection to a peer."""

    __slots__ = (
        "body", "exchange", "header_bytes", "headers", "is_paused", "is_reused", "parser", "peer", "rested_at", "size",
        "streaming", "touched", "transport",
    )  # fmt: skip

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None
        self.is_reused = False
        self.touched = False
        self.streaming = False
        self.rested_at = 0.0
        self.headers: Headers = []
        self.header_bytes = 0
        self.body: bytes | list[bytes] | None = None
        self.size = 0

    # Use

    def send(self, exchange: Exchange, is_reused: bool) -> None:
        """Send a request; its answer is told to the exchange's owner."""
        assert self.transport is not None
        self.exchange = exchange
        exchange.connection = self
        self.is_reused = is_reused
        self.touched = False
        self.peer.active.add(self)
        # A parser for each exchange: what a broken answer leaves in it must not meet the next one.
        self.parser = httptools.HttpResponseParser(self)
        if len(exchange.body) < WRITE_TOGETHER:
            self.transport.write(exchange.head + exchange.body)
        else:
            self.transport.writelines((exchange.head, exchange.body))

    def rest(self) -> None:
        """Go back among the idle ones."""
        self.exchange = None
        self.peer.active.discard(self)
        if self.peer.is_retired or len(self.peer.idle) >= MOST_IDLE or self.transport is None:
            self.close()
            return
        self.rested_at = asyncio.get_running_loop().time()
        self.peer.idle.append(self)

    def close(self) -> None:
        """Close in order."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.exchange = None
        self.peer.active.discard(self)
        if self.transport is not None:
            self.transport.abort()

    def time_out(self) -> None:
        """The answer has taken too long: the model is left alone with it."""
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.fail(Failure.TIMED_OUT, "")

    def break_off(self, failure: Failure, detail: str) -> None:
        """What came cannot be used."""
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.fail(failure, detail)

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.peer.active.discard(self)
        if self in self.peer.idle:
            self.peer.idle.remove(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if not self.touched and self.is_reused:
            exchange.fail(Failure.STALE, "the connection was closed before the answer")
        else:
            when = "in the middle of its answer" if self.touched else "before it answered"
            exchange.fail(Failure.BROKEN, f"The model's process closed the connection {when}.")

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:  # bytes after a complete answer: this connection cannot be trusted
            self.abort()
            if self in self.peer.idle:
                self.peer.idle.remove(self)
            return
        self.touched = True
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.break_off(Failure.BROKEN, f"The model's process did not answer in HTTP ({error}).")

    # The parser

    def on_message_begin(self) -> None:
        self.headers = []
        self.header_bytes = 0
        self.body = None
        self.size = 0
        self.streaming = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.header_bytes += len(name) + len(value) + 4
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self.header_bytes > exchange.most_headers:
            asyncio.get_running_loop().call_soon(self.break_off, Failure.HEADERS_TOO_LARGE, "")
        elif exchange.is_streamed and self.parser.get_status_code() >= 200:
            self.streaming = exchange.owner.stream_began(exchange, self.parser.get_status_code(), self.headers)

    def on_body(self, part: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self.streaming:
            exchange.owner.stream_part(exchange, part)
            return
        self.size += len(part)
        if self.size > exchange.most_answer:
            self.break_off(Failure.TOO_LARGE, "")
        elif self.body is None:
            self.body = part
        elif isinstance(self.body, list):
            self.body.append(part)
        else:
            self.body = [self.body, part]

    def on_message_complete(self) -> None:
        exchange = self.exchange
        status = self.parser.get_status_code()
        if exchange is None or exchange.is_over or status < 200:  # 1xx: the answer itself is still to come
            return
        headers, body, streaming = self.headers, self.body, self.streaming
        exchange.is_over = True
        exchange.connection = None
        if self.parser.should_keep_alive():
            self.rest()
        else:
            self.exchange = None
            self.peer.active.discard(self)
            self.close()
        if streaming:
            exchange.owner.stream_ended(exchange)
        else:
            whole = b"" if body is None else body if isinstance(body, bytes) else b"".join(body)
            exchange.owner.answered(exchange, status, headers, whole)
