"""The front door: reads what one client sends, strictly, and lets nothing grow without bound."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import cast

import httptools

from hostmaker.domain.errors import ApiError
from hostmaker.gateway import admission, answers
from hostmaker.gateway.framing import MAX_FRAMING, framing_after
from hostmaker.gateway.giving_way import Holder, address_of
from hostmaker.gateway.heads import MOST_FIELDS, shape_of
from hostmaker.gateway.line import QUEUE, STORE, Line, Phase
from hostmaker.gateway.pieces import MANY, taken
from hostmaker.gateway.request import Request
from hostmaker.gateway.routes import Kind
from hostmaker.gateway.shared import Shared
from hostmaker.gateway.slow import body_holder, relay_holder, too_slow
from hostmaker.gateway.store_call import StoreCall
from hostmaker.gateway.store_errors import SlowDown
from hostmaker.gateway.turns import Turns

log = logging.getLogger("hostmaker.gateway")
MOST_DISCARDED = 16 * 1024 * 1024
MOST_PIPELINED = 1000  # reading stops at the first that waits: these stood in what was read with it
WRITE_BUFFER = 256 * 1024
TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n\r\n"
    b"This server has as many connections as it can have"
)


class Deaf(Exception):
    """Nothing is read any more on this connection."""


class Front(asyncio.Protocol):
    """One connection. `is_private`: the caller is one of us, nothing is verified."""

    __slots__ = (
        "_body_bytes", "_chunk", "_current", "_discarded", "_first_chunk", "_framing", "_head_bytes", "_in_head",
        "_line", "_names", "_parser", "_parts", "_raw", "_routes", "_shape", "_shared", "_turns", "is_private",
        "on_body",
    )  # fmt: skip

    def __init__(self, shared: Shared, is_private: bool) -> None:
        self._shared = shared
        self.is_private = is_private
        self._routes = shared.private_routes if is_private else shared.routes
        self._parts: list[bytes] = []  # of the body, told in this read
        self.on_body = self._parts.append
        self._parser = httptools.HttpRequestParser(self)
        self._line = Line(shared.steady, shared.outbox)
        # One of us sends the next request before the answer; if it hangs up, that has to be noticed all the same.
        self._turns = Turns(shared, self._line, self._wait, may_wait=1 if is_private else 0)
        self._current: Request | None = None
        self._raw: list[bytes] = []
        self._names: list[bytes] = []
        self._shape = shape_of(())
        self._in_head = False
        self._chunk = self._first_chunk = self._head_bytes = self._discarded = self._body_bytes = self._framing = 0

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._line.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._line.address = address_of(transport.get_extra_info("peername"))
        if not self._shared.admit(self):
            self._line.write(TOO_MANY)
            self._line.close(linger=False)

    def connection_lost(self, exc: Exception | None) -> None:
        line = self._line
        line.closed = line.is_deaf = True
        line.transport = None
        self._current = None
        self._raw = []
        self._parts.clear()
        self._shared.forget(self)
        self._turns.clear()

    def eof_received(self) -> None:
        """The client is gone, and with it the reason to go on: the transport closes itself.

        A client that only closes its sending half cannot be told from one that is gone; no AWS client does that.
        """

    def data_received(self, data: bytes) -> None:
        if self._line.is_deaf:
            self._discard(len(data))
            return
        self._chunk = len(data)
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"Upgrade is not supported here.")
        except httptools.HttpParserCallbackError as error:  # ours
            if isinstance(error.__context__, Deaf):
                return
            log.exception("a request could not be taken")
            self._refuse(500, b"The request could not be taken by a fault of the server; its log has the traceback.")
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is not valid HTTP/1.1: {error}".encode())
        else:
            if self._parts:
                self._body_bytes = self._take_body()
            phase = self._line.phase
            if self._current is not None or phase is Phase.IDLE or phase is Phase.HEAD:
                self._came_in_part()

    def _came_in_part(self) -> None:
        """A request is under way, or (a line end, a piece of a method) about to be."""
        line, request = self._line, self._current
        in_body = request is not None and not self._in_head
        if request is not None and in_body:
            if request.came_at:
                self._framing = framing_after(self._framing, self._chunk, self._body_bytes)
            else:  # its head ended in this read, or one that was taken for another
                self._framing = 0
                request.came_at = line.steady()
                line.sending.restart(request.came_at)
        elif request is None and line.phase is Phase.HEAD:  # else a request may have ended in this read
            self._head_bytes += self._chunk
        if self._head_bytes > admission.MOST_HEAD_BYTES:
            self._refuse(431, b"The head of a request can have 64 KiB.")
        elif self._framing > MAX_FRAMING:
            self._refuse(400, b"The body of a request can have 64 KiB of chunk extensions and trailers.")
        elif line.phase is Phase.IDLE or (line.phase is Phase.HEAD and in_body):
            line.enter(Phase.BODY if in_body else Phase.HEAD)
        elif line.phase is Phase.ANSWER and self._body_bytes:
            line.since = line.steady()
        line.sending.moved += self._body_bytes
        self._body_bytes = 0

    def pause_writing(self) -> None:
        self._line.waits_for_drain = True
        self._line.begin_to_drain()
        self._turns.pause()

    def resume_writing(self) -> None:
        self._line.waits_for_drain = False
        self._turns.resume()

    # The parser

    def on_url(self, url: bytes) -> None:
        if self._current is not None:
            self._current.target += url  # it comes in pieces
        elif self._line.is_deaf:
            raise Deaf
        else:
            request = self._current = Request()
            request.target = url
            self._raw = request.raw
            # The bytes that came with its first one are counted apart: others of them may belong to a body before it.
            self._in_head, self._head_bytes, self._first_chunk = True, 0, self._chunk

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, which nobody here asks for
            self._raw += name, value

    def on_headers_complete(self) -> None:
        request, shared, parser = self._current, self._shared, self._parser
        if request is None:
            return
        names = request.raw[::2]
        if names != self._names:  # else they are those of the request before
            if len(names) > MOST_FIELDS:
                self._refuse(431, b"A request can have %d headers." % MOST_FIELDS)
                return
            self._names, self._shape = names, shape_of(tuple(names))
        request.shape = self._shape
        refusal = admission.examine(request, parser, shared, self._first_chunk + self._head_bytes)
        self._in_head, self._head_bytes = False, 0
        if refusal is not None:
            self._refuse(*refusal)
            return
        admission.admit(request, parser.get_method(), shared, self._routes, self.is_private)
        if request.route.kind is Kind.STORE and self._turns.is_free():
            self._turns.serve(request)
        if request.wants_continue:
            self._meet_expectation(request)

    def _meet_expectation(self, request: Request) -> None:
        """Ask for the body, unless it is not wanted; not in the middle of another answer."""
        if request.error is not None:
            self._answer_early(request)
        elif self._turns.is_free() or self._turns.serving is request:
            request.wants_continue = False
            if not request.size:
                self._line.write(answers.CONTINUE)
            self._line.sending.restart(self._line.steady())

    def _take_body(self) -> int:
        """Take what has come of the body in this read; return how many bytes that are."""
        parts, request = self._parts, self._current
        number = len(parts)
        if number > MANY:
            self._line.rest()
        part = parts.pop() if number == 1 else taken(parts)
        if request is None or self._line.is_deaf:
            return 0
        if request.route.kind is Kind.STORE:
            self._pass_on(request, part)
        elif request.error is None and admission.take_body(request, part, self._shared, self):
            self._turns.held += len(part)
        else:  # read on for a while, so that the client sees the answer rather than a reset
            self._discarded += len(part)
            if self._discarded > MOST_DISCARDED:
                self._answer_early(request)
        return len(part)

    def _pass_on(self, request: Request, part: bytes) -> None:
        if request is not self._turns.serving:
            self._refuse(400, b"A request with a body for the object store cannot be pipelined.")
        elif isinstance(self._turns.work, StoreCall):
            self._turns.work.body(part)

    def on_message_complete(self) -> None:
        if self._parts:
            self._take_body()
        request, self._current = self._current, None
        if request is None or self._line.is_deaf:
            return
        request.is_through = True
        self._discarded = 0
        turns = self._turns
        if turns.serving is None and not turns.queue and not self._line.waits_for_drain:
            turns.serve(request)
        elif request is not turns.serving:
            is_queued = turns.take(request)
            if len(turns.queue) > MOST_PIPELINED:
                self._refuse(400, b"Too many requests wait on this connection.")
            elif is_queued and not turns.hold_queued(request):
                self._refuse(503, b"The server holds as many bytes of requests as it may. Try again.")
        elif isinstance(turns.work, StoreCall):
            turns.work.end()

    # What is not served

    def _refuse(self, status: int, message: bytes) -> None:
        """Read no more; say why when the requests before have been answered, then close."""
        if self._line.is_deaf:
            return
        self._line.is_deaf = True
        half_read, self._current = self._current, None
        turns = self._turns
        if half_read is not None and half_read is turns.serving:  # the store has a part of it
            if turns.has_begun:
                turns.break_off()
                return
            turns.drop()
        request = Request()
        request.refusal, request.keep_alive = (status, message), False
        turns.take(request)

    def _answer_early(self, request: Request) -> None:
        """Answer a request that is not through, and read no more."""
        self._line.is_deaf = True
        self._current = None
        request.keep_alive = False
        self._turns.take(request)

    def _give_up(self, error: ApiError) -> None:
        """Answer the request whose body is under way with an error, and read no more."""
        request, turns = self._current, self._turns
        if request is None:
            return
        if request is turns.serving:  # the store has a part of it
            if turns.has_begun:
                self._current = None
                turns.break_off()
                return
            turns.drop()
        turns.let_go(request)
        request.error = error
        self._answer_early(request)

    def _discard(self, number: int) -> None:
        self._discarded += number
        if self._discarded > 2 * MOST_DISCARDED:
            self._line.break_off()

    # Waiting

    def _wait(self) -> None:
        """Every request so far is answered: wait for the next one, or for the rest of it."""
        request = self._current
        line = self._line
        if request is None:
            line.phase, line.since = Phase.IDLE, line.steady()
            return
        line.enter(Phase.HEAD if self._in_head else Phase.BODY)
        if request.wants_continue and not self._in_head:
            self._meet_expectation(request)

    @property
    def idle_since(self) -> float:
        """Steady second since when nothing is under way; infinity when something is."""
        is_idle = self._line.phase is Phase.IDLE and not self._line.closed
        return self._line.since if is_idle and self._current is None else math.inf

    def close_if_idle(self) -> None:
        """Close unless a request is under way."""
        if self._turns.is_free() and self._current is None:
            self._line.close(linger=False)

    def sweep(self, now: float) -> None:
        """End what has taken too long."""
        line, limits = self._line, self._shared.limits
        request = self._current
        if request is not None and not self._in_head:
            if line.stops & (QUEUE | STORE) or request.wants_continue:  # it is not the client who is waited for
                line.sending.restart(now)
            elif not line.sending.is_kept(now, limits.body_s, limits.min_rate):
                self._give_up(too_slow(request, limits))
                return
        if line.is_taken_too_slowly(now, limits):
            line.break_off()
        elif not line.is_overdue(now, limits):
            return
        elif line.phase is Phase.IDLE:
            line.close(linger=False)
        elif line.phase is Phase.HEAD:
            self._refuse(408, b"The head of the request did not come within %.0f seconds." % limits.head_s)
        else:
            line.break_off()

    # Room for others

    def make_room(self, request: Request, number: int) -> bool:
        """Count so many bytes of a body if others give way."""
        now = self._line.steady()
        asker = Holder(self._line.address, request.held + number, now - (request.came_at or now), request.is_proven)
        return self._shared.make_room(number, asker, besides=self)

    def holder(self, now: float) -> Holder | None:
        """Return what could be free for others if this client gave way; None where nothing waits for the client."""
        return body_holder(self._line, self._turns, self._current, now)

    def relay_holder(self, now: float) -> Holder | None:
        """Return what could be free for other relays to the store; None where none waits for a client that lags."""
        return relay_holder(self._line, self._turns, self._current, self._shared, now)

    def give_way(self) -> None:
        """Free what a holder has said: refuse the body under way, or end an answer that nobody takes."""
        request = self._current
        if request is not None and isinstance(self._turns.work, StoreCall):
            self._give_up(SlowDown("Please reduce your request rate."))
        elif request is not None and request.held:
            self._give_up(admission.no_room())
        else:
            self._line.break_off()
            self._turns.clear()

    @property
    def address(self) -> str:
        """What stands for the client among others."""
        return self._line.address

    @property
    def is_trusted(self) -> bool:
        """Whether a request of this connection has been let in."""
        return self._line.is_trusted

    @property
    def is_waiting(self) -> bool:
        """Whether the client has to send something before anything is answered."""
        return not self._line.closed and self._turns.is_free()

    def turn_away(self) -> None:
        """Close, with a word about why, for the sake of a newcomer."""
        self._line.write(TOO_MANY)
        self._line.close(linger=False)
