"""Keep-alive connections to what answers over HTTP on a unix socket: instances, and control.

Callbacks instead of a task for each request. A connection carries one exchange at a time; the newest idle one is used
first, so that spare ones grow old and are closed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import httptools

from hostmaker.gateway.exchange import AnswerLimits, Exchange, fail
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.framing import MAX_FRAMING, framing_after
from hostmaker.gateway.outbox import Outbox
from hostmaker.gateway.pieces import MANY, Kept, joined, taken, whole

log = logging.getLogger("hostmaker.gateway")
MOST_IDLE = 64
IDLE_LIMIT_S = 60.0
CONNECT_LIMIT_S = 0.25  # "Custom inference code with hosting services": a container accepts within 250 ms
WRITE_TOGETHER = 65536
MOST_UNREAD_HEAD = 65536  # bytes of a head that the parser holds back while a header is not complete

TOO_MUCH_FRAMING = "The model's process sent more than 64 KiB of chunk extensions and trailers."

# How far an answer has come.
SENT, TOUCHED, HEAD, FINISHED = range(4)


class HttpPeer:
    """One that answers, by the path of its socket, with the connections to it."""

    __slots__ = ("_busy", "connections", "idle", "is_retired", "limits", "opening", "outbox", "path")

    def __init__(self, path: str, limits: AnswerLimits, busy: set[HttpPeer], outbox: Outbox) -> None:
        """`busy` holds those that have connections: they are swept."""
        self.limits = limits
        self._busy = busy
        self.outbox = outbox
        self.path = path
        self.idle: list[UpstreamConnection] = []
        self.connections: set[UpstreamConnection] = set()
        self.opening: set[asyncio.Task[None]] = set()
        self.is_retired = False

    def send(self, exchange: Exchange, fresh: bool) -> None:
        """Send on an idle connection, or on a new one."""
        while self.idle and not fresh:
            connection = self.idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
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
            fail(exchange, Failure.REFUSED, f"no connection within {CONNECT_LIMIT_S * 1000:.0f} ms")
        except OSError as error:
            fail(exchange, Failure.REFUSED, error.strerror or str(error))
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
        "body", "counted", "exchange", "fields", "framing", "is_paused", "is_reused", "is_spoilt", "keeps_alive",
        "loop", "on_body", "parser", "parts", "peer", "rested_at", "size", "stage", "status", "streaming", "transport",
        "trouble", "unread",
    )  # fmt: skip

    def __init__(self, peer: HttpPeer) -> None:
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None
        self.parts: list[bytes] = []  # of the body, told in this read
        self.on_body = self.parts.append
        self.parser = httptools.HttpResponseParser(self)
        self.stage = SENT
        self.is_paused = self.is_spoilt = self.keeps_alive = self.streaming = False
        self.rested_at = 0.0
        self.status = self.size = self.counted = self.unread = self.framing = 0
        self.fields: list[bytes] = []  # names and values in turn
        self.body: Kept = None
        self.trouble: Failure | None = None

    # Use

    def send(self, exchange: Exchange, is_reused: bool) -> None:
        """Send a request; its answer is told to the exchange."""
        assert self.transport is not None
        self.exchange = exchange
        exchange.connection = self
        self.is_reused = is_reused
        self.stage = SENT
        self.body = None
        self.size = self.counted = self.unread = self.framing = 0
        self.streaming = False
        if len(exchange.body) < WRITE_TOGETHER:
            self.peer.outbox.put(self.transport, exchange.head + exchange.body)
        else:
            self.peer.outbox.flush()
            self.transport.writelines((exchange.head, exchange.body))

    def rest(self) -> None:
        """Go back among the idle ones."""
        self.exchange = None
        peer, transport = self.peer, self.transport
        if peer.is_retired or len(peer.idle) >= MOST_IDLE or transport is None or transport.is_closing():
            self.close()
            return
        if self.is_paused:
            self.resume()
        self.rested_at = self.loop.time()
        peer.idle.append(self)

    def close(self) -> None:
        """Close in order."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.exchange = None
        self._forget_answer()
        if self.transport is not None:
            self.transport.abort()

    def _forget_answer(self) -> None:
        """Let go of what has come: the parser and its callbacks keep this connection until the collector comes by."""
        self.body = None
        self.fields = []
        self.parts.clear()

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

    def _rest(self) -> None:
        """Read nothing more in this turn of the loop."""
        if self.transport is not None and not self.is_paused:
            self.transport.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.transport is not None and not self.is_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def break_off(self, failure: Failure, detail: str) -> None:
        """End an exchange whose answer is of no use, or too late; the model is left alone with it."""
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            fail(exchange, failure, detail)

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
            self._forget_answer()
            return
        if (
            self.stage == HEAD and exc is None and not self._has_length()
        ):  # the end of the connection is the answer's end
            self._complete(exchange)
            return
        self.exchange = None
        self._forget_answer()
        if self.stage == SENT and self.is_reused:
            fail(exchange, Failure.STALE, "the connection was closed before the answer")
        else:
            when = "in the middle of its answer" if self.stage > SENT else "before it answered"
            fail(exchange, Failure.BROKEN, f"The model's process closed the connection {when}.")

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes after a complete answer: this connection cannot be trusted
            if self in self.peer.idle:
                self.peer.idle.remove(self)
            self.abort()
            return
        if self.stage == SENT:
            self.stage = TOUCHED
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError:  # ours
            log.exception("an answer could not be taken")
            self.break_off(Failure.OURS, "")
            return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.stage != FINISHED:
                if self.parts:
                    self._take_body()
                self.break_off(Failure.BROKEN, f"The model's process did not answer in HTTP ({error}).")
                return
            self.is_spoilt = True
        body = self._take_body() if self.parts else 0
        if self.stage == FINISHED and self.trouble is None:
            self._complete(exchange)
        else:
            self._came_in_part(exchange, len(data), body)

    def _came_in_part(self, exchange: Exchange, number: int, body: int) -> None:
        """Part of an answer has come, with so many bytes of its body: bound what is kept of it."""
        if self.stage == HEAD:
            self.framing = framing_after(self.framing, number, body)
        if self.stage == TOUCHED:
            self.unread += number
            if self.unread > MOST_UNREAD_HEAD:
                self.trouble = Failure.HEADERS_TOO_LARGE
        elif self.framing > MAX_FRAMING:
            self.break_off(Failure.BROKEN, TOO_MUCH_FRAMING)
            return
        elif self.trouble is None and self.size > self.counted and not exchange.is_over:
            if exchange.hold(self.size - self.counted):
                self.counted = self.size
            else:
                self.trouble = Failure.NO_ROOM
        if self.trouble is not None:
            self.break_off(self.trouble, "")

    def _complete(self, exchange: Exchange) -> None:
        """Give the connection back, unless it cannot be used again, and the answer to who waits for it."""
        self.exchange = exchange.connection = None
        fields, body, status, streaming = self.fields, self.body, self.status, self.streaming
        self.body = None  # an idle connection keeps no answer
        if self.keeps_alive and not self.is_spoilt:
            self.rest()
        else:
            self.close()
        if exchange.is_over:
            return
        exchange.is_over = True
        if streaming:
            exchange.stream_ended()
        else:
            if self.counted:  # the rest is here already, whether there is room or not
                exchange.hold(self.size - self.counted)
            exchange.answered(status, fields, whole(body))

    def _has_length(self) -> bool:
        names = [name.lower() for name in self.fields[::2]]
        return b"content-length" in names or b"transfer-encoding" in names

    # The parser

    def on_message_begin(self) -> None:
        if self.stage == FINISHED:  # a second answer to one request
            self.is_spoilt = True
        else:
            self.fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.stage == TOUCHED:  # else trailers
            self.fields += name, value

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self.stage == FINISHED:
            return
        status = self.status = self.parser.get_status_code()
        if status < 200:  # the answer itself is still to come
            return
        self.stage = HEAD
        fields = self.fields
        if sum(map(len, fields)) + 2 * len(fields) > self.peer.limits.head:
            self.trouble = Failure.HEADERS_TOO_LARGE
        elif exchange.is_bodiless:
            self.stage = FINISHED
            self.keeps_alive = False
        elif exchange.is_streamed:
            self.streaming = exchange.stream_began(status, fields)

    def _take_body(self) -> int:
        """Take what has come of the body in this read; return how many bytes that are."""
        parts, exchange = self.parts, self.exchange
        number = len(parts)
        if number > MANY:
            self._rest()
        part = parts.pop() if number == 1 else taken(parts)
        if self.stage == FINISHED:  # an answer to HEAD has no body, and a request no second answer
            self.is_spoilt = True
        elif exchange is None or exchange.is_over or self.trouble is not None:
            pass
        elif self.streaming:
            exchange.stream_part(part)
        else:
            self.size += len(part)
            if self.size > self.peer.limits.body:
                self.trouble = Failure.TOO_LARGE
            else:
                self.body = part if self.body is None else joined(self.body, part)
        return len(part)

    def on_message_complete(self) -> None:
        if self.stage == HEAD:
            if self.parts:
                self._take_body()
            self.stage = FINISHED
            self.keeps_alive = self.parser.should_keep_alive()  # the parser forgets it when it returns
