"""The front door: one connection of a client. Reads strictly, answers in order, and lets nothing grow without bound."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import assert_never, cast

import httptools

from hostmaker.domain.errors import ApiError, InternalFailure, ServiceUnavailable, ValidationError
from hostmaker.gateway import answers
from hostmaker.gateway.exchange import Invocation, ManagementCall
from hostmaker.gateway.request import Kind, Request, endpoint_of, kind_of
from hostmaker.gateway.shared import Shared
from hostmaker.gateway.store_relay import StoreRelay

MOST_HEAD_BYTES = 64 * 1024
MOST_FIELDS = 100
MOST_INVOCATION_BODY = 6_291_456  # InvokeEndpoint page, "Body"
MOST_MANAGEMENT_BODY = 5 * 1024 * 1024
MOST_DISCARDED = 16 * 1024 * 1024
MOST_PIPELINED = 16
WRITE_BUFFER = 256 * 1024
WRITE_TOGETHER = 65536
# Seconds; the sweep compares them with how long a connection has been in a state.
IDLE_S, HEAD_S, BODY_S, ANSWER_S = 75.0, 10.0, 60.0, 1200.0
ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-amz-date", b"content-type"))


class Front(asyncio.Protocol):
    """One connection. `is_private`: the caller is one of us, nothing is verified."""

    __slots__ = (
        "busy", "closed", "current", "discarded", "head_bytes", "held", "is_private", "limit_s", "parser", "queue",
        "relay", "serving", "shared", "since", "transport", "waits_for_drain", "work",
    )  # fmt: skip

    def __init__(self, shared: Shared, is_private: bool) -> None:
        self.shared = shared
        self.is_private = is_private
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.current: Request | None = None  # being read
        self.serving: Request | None = None  # being answered
        self.queue: deque[Request] = deque()
        self.work: Invocation | ManagementCall | None = None
        self.relay: StoreRelay | None = None
        self.busy = self.closed = self.waits_for_drain = False
        self.head_bytes = self.discarded = self.held = 0
        self.limit_s, self.since = IDLE_S, shared.steady()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.shared.connections.discard(self)
        self.shared.release(self.held)
        self.held = 0
        if self.work is not None:
            self.work.cancel()
            self.work = None
        if self.relay is not None:
            self.relay.abort()

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        if self.limit_s is IDLE_S:
            self._enter(HEAD_S)
        if self.current is None or self.limit_s is HEAD_S:
            self.head_bytes += len(data)
        else:
            self.since = self.shared.steady()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"Upgrade is not supported here.")
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is not valid HTTP/1.1: {error}".encode())
        else:
            if self.limit_s is HEAD_S and self.head_bytes > MOST_HEAD_BYTES:
                self._refuse(431, b"The head of a request can have 64 KiB.")

    def eof_received(self) -> bool:
        return self.busy  # a client that has only closed its sending side still gets its answer

    def pause_writing(self) -> None:
        self.waits_for_drain = True
        if self.relay is not None:
            self.relay.pause_answer()
        if self.work is not None:
            self.work.pause()

    def resume_writing(self) -> None:
        self.waits_for_drain = False
        if self.relay is not None:
            self.relay.resume_answer()
        if self.work is not None:
            self.work.resume()
        if not self.busy:
            self._next()

    # The parser

    def on_message_begin(self) -> None:
        self.current = Request()

    def on_url(self, url: bytes) -> None:
        assert self.current is not None
        self.current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self.current
        assert request is not None
        lower = name.lower()
        if lower in request.headers and lower in ONCE:
            return self._refuse(400, b"The header %b comes twice." % lower)
        request.raw.append((name, value))
        request.fields.append((lower, value))
        request.headers[lower] = value
        if len(request.raw) > MOST_FIELDS:
            return self._refuse(431, b"A request can have 100 headers.")
        return None

    def on_headers_complete(self) -> None:
        request = self.current
        if request is None or self.closed:
            return
        self.head_bytes = 0
        self._enter(BODY_S)
        request.method = self.parser.get_method().decode("latin-1")
        request.keep_alive = self.parser.should_keep_alive()
        if (trouble := self._framing(request)) is not None:
            self._refuse(400, trouble)
            return
        if (foreign := self.shared.doors.refusal(request.headers)) is not None:
            self._refuse(403, foreign)
            return
        self._classify(request)
        if request.kind is Kind.STORE:
            self._begin_store(request)
        else:
            self._admit(request)
        if self.closed:
            return
        if request.headers.get(b"expect", b"").lower() == b"100-continue":
            if request.error is not None:
                self._answer_early(request)
            elif self.transport is not None:
                self.transport.write(answers.CONTINUE)

    def on_body(self, part: bytes) -> None:
        request = self.current
        if request is None or self.closed:
            return
        if request.kind is Kind.STORE:
            if self.relay is not None:
                self.relay.body(part)
            return
        if request.error is not None:
            self._discard(request, len(part))
            return
        request.size += len(part)
        limit = MOST_INVOCATION_BODY if request.kind is Kind.INVOKE else MOST_MANAGEMENT_BODY
        if request.size > limit:
            request.body = None
            request.error = ValidationError(f"Request {request.ident} has oversize body.")
            return
        if request.verification is not None:
            request.verification.update(part)
        if not self._hold(request, len(part)):
            return
        if request.body is None:
            request.body = part
        elif isinstance(request.body, list):
            request.body.append(part)
        else:
            request.body = [request.body, part]

    def on_message_complete(self) -> None:
        request, self.current = self.current, None
        if request is None or self.closed:
            return
        if request.kind is Kind.STORE:
            if self.relay is not None:
                self.relay.end()
            return
        if self.busy or self.waits_for_drain:
            self.queue.append(request)
            if self.transport is not None:
                self.transport.pause_reading()
            if len(self.queue) > MOST_PIPELINED:
                self._refuse(400, b"Too many requests wait on this connection.")
        else:
            self._serve(request)

    # Reading

    def _framing(self, request: Request) -> bytes | None:
        """Say what is wrong with the framing; llhttp has refused what no reader may take."""
        headers, version = request.headers, self.parser.get_http_version()
        if b"host" not in headers:
            return b"A request must have a Host header."
        if b"transfer-encoding" in headers:
            if version == "1.0":
                return b"HTTP/1.0 knows no Transfer-Encoding."
            if b"content-length" in headers:
                return b"Content-Length and Transfer-Encoding exclude each other."
            if headers[b"transfer-encoding"].lower() != b"chunked":
                return b"The only Transfer-Encoding here is chunked."
        return None

    def _classify(self, request: Request) -> None:
        headers = request.headers
        query = request.target.partition(b"?")[2].decode("latin-1")
        if b"authorization" in headers or "X-Amz-Credential" in query:
            request.scope = self.shared.scope_of(headers, query)
        service = request.scope[1] if request.scope else None
        request.kind = kind_of(request.method, request.target, headers, service)

    def _admit(self, request: Request) -> None:
        """Note what is wrong with a request for an endpoint or for control; it is answered when its body is through."""
        shared = self.shared
        request.ident = shared.new_id()
        try:
            length = request.headers.get(b"content-length")
            if request.kind is Kind.INVOKE:
                request.endpoint, request.operation = endpoint_of(request.target)
                if length is not None and int(length) > MOST_INVOCATION_BODY:
                    raise ValidationError(f"Request {request.ident} has oversize body.")
            elif length is not None and int(length) > MOST_MANAGEMENT_BODY:
                raise ValidationError(f"Request {request.ident} has oversize body.")
            if shared.authenticator is not None and not self.is_private and not _is_open(request):
                request.verification = shared.authenticator.begin(
                    request.method, request.target, request.fields, shared.real_time()
                )
        except ApiError as error:
            request.error = error

    def _hold(self, request: Request, number: int) -> bool:
        if not self.shared.hold(number):
            request.body = None
            request.error = ServiceUnavailable("The server holds as many bytes of requests as it may. Try again.")
            return False
        self.held += number
        return True

    def _discard(self, request: Request, number: int) -> None:
        """Read on for a while, so that the client sees the answer rather than a reset."""
        self.discarded += number
        if self.discarded > MOST_DISCARDED and not self.busy:
            self._answer_early(request)

    def _answer_early(self, request: Request) -> None:
        request.keep_alive = False
        self.current = None
        if self.busy:
            self.queue.append(request)
        else:
            self._serve(request)

    # Serving

    def _serve(self, request: Request) -> None:
        self.busy, self.serving, self.discarded = True, request, 0
        self._enter(ANSWER_S)
        shared = self.shared
        try:
            if request.error is not None:
                raise request.error
            region, access_key = shared.default_region, ""
            if request.verification is not None:
                identity = request.verification.finish()
                region, access_key = identity.region, identity.access_key_id
            elif request.scope is not None:
                region = request.scope[0]
            match request.kind:
                case Kind.INVOKE:
                    self.work = Invocation(self, shared, request, region)
                case Kind.MANAGE:
                    self.work = ManagementCall(self, shared, request, region, access_key)
                case Kind.STORE:
                    raise InternalFailure("a request for the store is relayed while it is read")
                case _:
                    assert_never(request.kind)
            self.work.start()
        except ApiError as error:
            self.answer_error(error)

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """Send an answer, and go on to the next request. `fields` are whole header lines."""
        request, transport = self.serving, self.transport
        if request is None or transport is None or self.closed:
            return
        keep = request.keep_alive and not self.shared.is_ending
        top = answers.head(status, len(body), b"%b%b" % (fields, self._own_fields(request)), keep)
        if len(body) < WRITE_TOGETHER:
            transport.write(top + body)
        else:
            transport.writelines((top, body))
        self.done(keep)

    def answer_error(self, error: ApiError) -> None:
        """Answer with an error, in the form of the protocol that was spoken."""
        request = self.serving
        if request is None:
            return
        if request.kind is Kind.MANAGE:
            status, fields, body = self.shared.management_error(request, error)
        else:
            fields, body = answers.runtime_error(error)
            status = error.status
        if error.status == 503:
            fields += b"Retry-After: 1\r\n"
        self.answer(status, fields, body)

    def begin_stream(self, fields: bytes) -> None:
        """Send the head of an answer whose parts follow by `stream`."""
        request = self.serving
        if request is None or self.transport is None:
            return
        own = self._own_fields(request)
        close = b"" if request.keep_alive else b"Connection: close\r\n"
        self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%b%b%b\r\n" % (fields, own, close))

    def stream(self, part: bytes) -> None:
        """Send a part of a streamed answer."""
        if self.transport is not None and not self.closed:
            self.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.since = self.shared.steady()

    def end_stream(self) -> None:
        """End a streamed answer, and go on to the next request."""
        if self.transport is not None and self.serving is not None and not self.closed:
            self.transport.write(b"0\r\n\r\n")
            self.done(self.serving.keep_alive)

    def done(self, keep_alive: bool) -> None:
        """The answer is through."""
        self.busy, self.work, self.serving = False, None, None
        self.shared.release(self.held)
        self.held = 0
        if not keep_alive:
            self.close()
            return
        self._enter(HEAD_S if self.current is not None else IDLE_S)
        if not self.waits_for_drain:
            self._next()

    def close(self) -> None:
        """Close when everything written is through."""
        self.closed = True
        if self.transport is not None:
            self.transport.close()

    def close_if_idle(self) -> None:
        """Close unless a request is under way."""
        if not self.busy and self.current is None:
            self.close()

    def sweep(self, now: float) -> None:
        """End what has taken too long."""
        if self.closed or now - self.since <= self.limit_s:
            return
        if self.limit_s is IDLE_S:
            self.close()
        elif self.transport is not None and self.busy:
            self.transport.abort()
        else:
            self._refuse(408, b"The request took too long to arrive.")

    def _own_fields(self, request: Request) -> bytes:
        return b"x-amzn-RequestId: %b\r\nx-hostmaker-time: %b\r\n" % (request.ident.encode(), self.shared.time_field())

    def _next(self) -> None:
        if self.queue and not self.closed:
            request = self.queue.popleft()
            if not self.queue and self.transport is not None:
                self.transport.resume_reading()
            self._serve(request)

    def _enter(self, limit_s: float) -> None:
        self.limit_s, self.since = limit_s, self.shared.steady()

    def _refuse(self, status: int, message: bytes) -> None:
        """Answer what is not worth reading on, and close."""
        if self.closed:
            return
        self.closed = True
        self.current = None
        if self.transport is not None:
            top = answers.head(status, len(message), b"Content-Type: text/plain\r\n", False)
            self.transport.write(top + message)
            self.transport.close()
        if self.work is not None:
            self.work.cancel()
            self.work = None

    # The object store

    def _begin_store(self, request: Request) -> None:
        if self.busy:  # pipelined behind another: nobody does this to S3, and order would have to be kept
            self._refuse(400, b"Requests for the object store cannot be pipelined.")
            return
        self.busy, self.serving = True, request
        self._enter(ANSWER_S)
        if self.relay is None or not self.relay.is_usable:
            self.relay = StoreRelay(self.shared.store_address, self, self._release_relay)
        self.relay.begin(request.method, request.target, request.raw, b"transfer-encoding" in request.headers)

    def _release_relay(self, relay: StoreRelay) -> None:
        if self.relay is relay and not self.busy:
            self.relay = None

    def store_bytes(self, data: bytes) -> None:
        """Pass bytes of the store's answer on."""
        if self.transport is not None and not self.closed:
            self.transport.write(data)
            self.since = self.shared.steady()

    def store_done(self, keep_alive: bool) -> None:
        """The store's answer is through."""
        self.done(keep_alive and self.serving is not None and self.serving.keep_alive)

    def store_failed(self, began: bool, detail: str) -> None:
        """The store does not answer, or not to the end."""
        self.relay = None
        if began or self.serving is None:
            if self.transport is not None:
                self.transport.abort()
            return
        self.serving.keep_alive = False
        fields, body = answers.s3_error("ServiceUnavailable", f"The object store does not answer: {detail}. Try again.")
        self.answer(503, fields, body)

    def pause_body(self) -> None:
        """The store takes no more of the body for now."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_body(self) -> None:
        """The store takes more."""
        if self.transport is not None and not self.closed:
            self.transport.resume_reading()
            self.since = self.shared.steady()


def _is_open(request: Request) -> bool:
    """The one page that strangers may see: whether the server lives."""
    return request.target == b"/_hostmaker/health" and request.method == "GET"
