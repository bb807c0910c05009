"""Keep-alive connections to what answers over HTTP on a unix socket: instances, and control.

Callbacks instead of a task for each request. A connection carries one exchange at a time; the newest idle one is used
first, so that spare ones grow old and are closed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, cast

import httptools

from hostmaker.gateway.failure import Failure

log = logging.getLogger("hostmaker.gateway")
MOST_IDLE = 64
IDLE_LIMIT_S = 60.0
CONNECT_LIMIT_S = 0.25  # "Custom inference code with hosting services": a container accepts within 250 ms
WRITE_TOGETHER = 65536
MOST_UNREAD_HEAD = 65536  # bytes of a head that the parser holds back while a header is not complete

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

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        ...


class Exchange:
    """A request under way. `deadline` is a reading of the loop's clock; `is_bodiless`: an answer to HEAD."""

    __slots__ = (
        "body", "connection", "deadline", "head", "is_bodiless", "is_over", "is_streamed", "most_answer",
        "most_headers", "owner",
    )  # fmt: skip

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
        self.is_bodiless = False
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


class HttpPeer:
    """One that answers, by the path of its socket, with the connections to it."""

    __slots__ = ("_busy", "connections", "idle", "is_retired", "opening", "path")

    def __init__(self, path: str, busy: set[HttpPeer]) -> None:
        """`busy` holds those that have connections: they are swept."""
        self._busy = busy
        self.path = path
        self.idle: list[UpstreamConnection] = []
        self.connections: set[UpstreamConnection] = set()
        self.opening: set[asyncio.Task[None]] = set()
        self.is_retired = False

    def send(self, exchange: Exchange, fresh: bool) -> None:
        """Send on an idle connection, or on a new one."""
        while self.idle and not fresh:
            connection = self.idle.pop()
            if connection.is_open():
                connection.send(exchange, True)
                return
        task = asyncio.ensure_future(self._open(exchange))
        self.opening.add(task)
        self._busy.add(self)
        task.add_done_callback(self.opening.discard)

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
        """Close what is idle; what is in use is closed when its answer is through."""
        self.is_retired = True
        for connection in self.idle:
            connection.close()
        self.idle.clear()

    def sweep(self, now: float) -> None:
        """End exchanges whose time is over, and connections that nobody has used for long."""
        for connection in list(self.connections):
            if connection.exchange is not None and now > connection.exchange.deadline:
                connection.break_off(Failure.TIMED_OUT, "")
        while self.idle and now - self.idle[0].rested_at > IDLE_LIMIT_S:
            self.idle.pop(0).close()
        if not self.connections and not self.opening:
            self._busy.discard(self)


class UpstreamConnection(asyncio.Protocol):
    """One connection to a peer.

    The parser's callbacks only note what they see; what follows from it happens when the parser has returned. So
    nothing is sent, and no other exchange begins, in the middle of parsing.
    """

    __slots__ = (
        "body", "exchange", "has_head", "has_length", "head_bytes", "headers", "is_finished", "is_paused", "is_reused",
        "is_spoilt", "is_touched", "keeps_alive", "loop", "parser", "peer", "rested_at", "size", "status", "streaming",
        "transport", "trouble", "unread",
    )  # fmt: skip

    def __init__(self, peer: HttpPeer) -> None:
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.is_paused = self.is_spoilt = False
        self.rested_at = 0.0
        self._forget()

    def _forget(self) -> None:
        self.headers: Headers = []
        self.body: bytes | list[bytes] | None = None
        self.head_bytes = self.size = self.status = self.unread = 0
        self.has_head = self.has_length = self.is_finished = self.is_touched = self.streaming = False
        self.keeps_alive = False
        self.trouble: Failure | None = None

    # Use

    def is_open(self) -> bool:
        """Tell whether the transport takes bytes."""
        return self.transport is not None and not self.transport.is_closing()

    def send(self, exchange: Exchange, is_reused: bool) -> None:
        """Send a request; its answer is told to the exchange's owner."""
        assert self.transport is not None
        self.exchange = exchange
        exchange.connection = self
        self.is_reused = is_reused
        self._forget()
        if len(exchange.body) < WRITE_TOGETHER:
            self.transport.write(exchange.head + exchange.body)
        else:
            self.transport.writelines((exchange.head, exchange.body))

    def rest(self) -> None:
        """Go back among the idle ones."""
        self.exchange = None
        if self.peer.is_retired or len(self.peer.idle) >= MOST_IDLE or not self.is_open():
            self.close()
            return
        self.resume()
        self.rested_at = self.loop.time()
        self.peer.idle.append(self)

    def close(self) -> None:
        """Close in order."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.exchange = None
        if self.transport is not None:
            self.transport.abort()

    def pause(self) -> None:
        """Read no more for now."""
        if self.transport is not None and not self.is_paused:
            self.is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None and self.is_paused:
            self.is_paused = False
            self.transport.resume_reading()

    def break_off(self, failure: Failure, detail: str) -> None:
        """End an exchange whose answer is of no use, or too late; the model is left alone with it."""
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.connection = None
            exchange.fail(failure, detail)

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self.peer.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.peer.connections.discard(self)
        if self in self.peer.idle:
            self.peer.idle.remove(self)
        exchange = self.exchange
        if exchange is None:
            return
        if self.has_head and not self.has_length and exc is None:  # the end of the connection is the answer's end
            self._complete(exchange)
            return
        self.exchange = exchange.connection = None
        if not self.is_touched and self.is_reused:
            exchange.fail(Failure.STALE, "the connection was closed before the answer")
        else:
            when = "in the middle of its answer" if self.is_touched else "before it answered"
            exchange.fail(Failure.BROKEN, f"The model's process closed the connection {when}.")

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes after a complete answer: this connection cannot be trusted
            if self in self.peer.idle:
                self.peer.idle.remove(self)
            self.abort()
            return
        self.is_touched = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError:  # ours
            log.exception("an answer could not be taken")
            self.break_off(Failure.OURS, "")
            return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_finished:
                self.break_off(Failure.BROKEN, f"The model's process did not answer in HTTP ({error}).")
                return
            self.is_spoilt = True
        if not self.has_head:
            self.unread += len(data)
            if self.unread > MOST_UNREAD_HEAD:
                self.trouble = Failure.HEADERS_TOO_LARGE
        if self.trouble is not None:
            self.break_off(self.trouble, "")
        elif self.is_finished:
            self._complete(exchange)

    def _complete(self, exchange: Exchange) -> None:
        """Give the connection back, unless it cannot be used again, and the answer to its owner."""
        headers, body, status, streaming = self.headers, self.body, self.status, self.streaming
        self.exchange = exchange.connection = None
        if self.is_spoilt or not self.keeps_alive:
            self.close()
        else:
            self.rest()
        if exchange.is_over:
            return
        exchange.is_over = True
        if streaming:
            exchange.owner.stream_ended(exchange)
        else:
            whole = b"" if body is None else body if isinstance(body, bytes) else b"".join(body)
            exchange.owner.answered(exchange, status, headers, whole)

    # The parser

    def on_message_begin(self) -> None:
        if self.is_finished:  # a second answer to one request
            self.is_spoilt = True
            return
        self.headers = []
        self.head_bytes = 0
        self.has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.has_head or self.is_finished:  # trailers
            return
        self.head_bytes += len(name) + len(value) + 4
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self.has_length = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self.is_finished:
            return
        status = self.status = self.parser.get_status_code()
        if status < 200:  # the answer itself is still to come
            return
        self.has_head = True
        if status in (204, 304):
            self.has_length = True
        if self.head_bytes > exchange.most_headers:
            self.trouble = Failure.HEADERS_TOO_LARGE
        elif exchange.is_bodiless:
            self.is_finished = True
        elif exchange.is_streamed:
            self.streaming = exchange.owner.stream_began(exchange, status, self.headers)

    def on_body(self, part: bytes) -> None:
        exchange = self.exchange
        if self.is_finished:  # an answer to HEAD has no body
            self.is_spoilt = True
            return
        if exchange is None or exchange.is_over or self.trouble is not None:
            return
        if self.streaming:
            exchange.owner.stream_part(exchange, part)
            return
        self.size += len(part)
        if self.size > exchange.most_answer:
            self.trouble = Failure.TOO_LARGE
        elif not exchange.owner.hold(len(part)):
            self.trouble = Failure.NO_ROOM
        elif self.body is None:
            self.body = part
        elif isinstance(self.body, list):
            self.body.append(part)
        else:
            self.body = [self.body, part]

    def on_message_complete(self) -> None:
        if self.has_head and not self.is_finished:
            self.is_finished = True
            self.keeps_alive = self.parser.should_keep_alive()  # the parser forgets it when it returns
