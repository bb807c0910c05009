"""One client's requests in their turn: each is answered before the next is begun, in the order they came."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol, assert_never

from hostmaker.domain.errors import ApiError, InternalFailure
from hostmaker.domain.permissions import wrong_service
from hostmaker.gateway import answers
from hostmaker.gateway.credentials_call import CredentialsCall
from hostmaker.gateway.giving_way import Holder
from hostmaker.gateway.inside import Inside, inside_error
from hostmaker.gateway.invocation import Invocation
from hostmaker.gateway.line import QUEUE, STORE, Line, Phase
from hostmaker.gateway.management_call import ManagementCall
from hostmaker.gateway.request import Request
from hostmaker.gateway.routes import Kind
from hostmaker.gateway.shared import Shared
from hostmaker.gateway.store_call import StoreCall
from hostmaker.gateway.store_relay import StoreRelay
from hostmaker.ports import Identity

log = logging.getLogger("hostmaker.gateway")
WRITE_TOGETHER = 65536
SAGEMAKER = "sagemaker"  # what InvokeEndpoint is signed for, as the service's other operations are
INVOKED_AS = (SAGEMAKER, "")  # unsigned, where signatures are not verified
SPARE = 8  # this part of the room is not for answers: small requests are to find room at any time
QUEUED_BYTES = 2048  # what a request costs that waits, besides its bytes


@functools.lru_cache(maxsize=256)
def _unverified(region: str, service: str) -> Identity:
    """Return who calls where no signature is verified."""
    return Identity("", region, service)


class Work(Protocol):
    """What is done for the request that is being answered."""

    def start(self) -> None: ...
    def cancel(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Turns:
    """The requests of one connection that have been read, and the answers to them."""

    __slots__ = (
        "_is_pumping", "_line", "_may_wait", "_quiet", "_shared", "_undrained", "has_begun", "held", "queue", "relay",
        "serving", "work",
    )  # fmt: skip

    def __init__(self, shared: Shared, line: Line, quiet: Callable[[], None], may_wait: int = 0) -> None:
        """`quiet` is told when every request so far has been answered; `may_wait` requests do not stop the reading."""
        self._shared = shared
        self._line = line
        self._quiet = quiet
        self._may_wait = may_wait
        self._is_pumping = False
        self._undrained = 0  # bytes of answers that the client has not taken yet
        self.queue: deque[Request] = deque()
        self.serving: Request | None = None
        self.work: Work | None = None
        self.relay: StoreRelay | None = None
        self.has_begun = False  # bytes of the present answer are on their way
        self.held = 0

    # Turns

    def is_free(self) -> bool:
        """Tell whether a request would be served at once."""
        return self.serving is None and not self.queue and not self._line.waits_for_drain

    def take(self, request: Request) -> bool:
        """Serve a request, now or when it is its turn; True when it has to wait."""
        if self._line.closed:
            return False
        if self.is_free():
            self.serve(request)
            return False
        self.queue.append(request)
        if len(self.queue) > self._may_wait:
            self._line.stop_reading(QUEUE)
        return True

    def serve(self, request: Request) -> None:
        """Begin to answer; the owner of the request: whatever goes wrong with it becomes an answer here."""
        line = self._line
        self.serving = request
        line.phase, line.since = Phase.ANSWER, line.steady()
        try:
            if request.refusal is not None:
                status, message = request.refusal
                self.answer(status, b"Content-Type: text/plain\r\n", message)
            elif request.error is not None:
                self.answer_error(request.error)
            else:
                self._start(request)
        except ApiError as error:
            self.answer_error(error)
        except Exception:
            request.ident = request.ident or self._shared.new_id()  # one for the store has none until now
            log.exception("request %s failed", request.ident.decode())
            self.answer_error(InternalFailure(f"Request {request.ident.decode()} failed by a fault of the server."))

    def _start(self, request: Request) -> None:
        shared, route = self._shared, request.route
        if request.verification is not None:
            identity = request.verification.finish()
        else:
            identity = _unverified(*(route.scope or (shared.default_region, "")))
        if not self._line.is_trusted:
            self._line.is_trusted = _is_let_in(request, shared)
        match route.kind:
            case Kind.INVOKE:
                if identity.service not in INVOKED_AS:
                    raise wrong_service(SAGEMAKER)
                self.work = Invocation(self, shared, request, identity.region)
            case Kind.MANAGE:
                self.work = ManagementCall(self, shared, request, identity)
            case Kind.CREDENTIALS:
                self.work = CredentialsCall(self, shared, request)
            case Kind.STORE:
                self.work = StoreCall(self, shared, request)
            case Kind.INSIDE:
                self.work = Inside(self, shared, request)
            case _:
                assert_never(route.kind)
        self.work.start()

    def go_on(self) -> None:
        """Go on to what waits, if the client takes what was written."""
        if self._is_pumping:
            return
        line = self._line
        self._is_pumping = True
        while self.queue and self.serving is None and not line.closed and not line.waits_for_drain:
            self.serve(self.queue.popleft())
        self._is_pumping = False
        if line.closed or self.serving is not None:
            return
        if line.waits_for_drain:
            line.enter(Phase.DRAIN)
            return
        line.read_on(QUEUE)
        self._quiet()

    def drop(self) -> None:
        """Answer no more: the client is gone, or has sent what cannot be trusted."""
        if self.work is not None:
            self.work.cancel()
            self.work = None
        self.serving = None

    def clear(self) -> None:
        """The connection has ended."""
        self.drop()
        self.queue.clear()
        if self.relay is not None:
            self.relay.abort()
        self._give(self.held)

    # Answers

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """Send an answer, and go on to the next request. `fields` are whole header lines."""
        request, transport = self.serving, self._line.transport
        if request is None or transport is None or self._line.closed:
            return
        shared = self._shared
        keep = request.keep_alive and request.is_through and not shared.is_ending
        ident = request.ident or shared.new_id()
        top = answers.head(status, len(body), fields, ident, shared.time_field(), keep)
        if request.route.method == "HEAD":
            shared.outbox.put(transport, top)
        elif len(body) < WRITE_TOGETHER:
            shared.outbox.put(transport, top + body)
        else:
            shared.outbox.flush()
            transport.writelines((top, body))
        self.done(keep)

    def answer_error(self, error: ApiError, fields: bytes = b"") -> None:
        """Answer with an error, in the form of the protocol that was spoken."""
        request = self.serving
        if request is None:
            return
        status = error.status
        match request.route.kind:
            case Kind.MANAGE:
                status, own, body = self._shared.management_error(request, error)
            case Kind.INVOKE | Kind.CREDENTIALS:
                own, body = answers.runtime_error(error)
            case Kind.STORE:
                own, body = answers.s3_error(error.code, error.message)
            case Kind.INSIDE:
                status, own, body = inside_error(error)
            case _:
                assert_never(request.route.kind)
        if status == 503:
            own += b"Retry-After: 1\r\n"
        self.answer(status, own + fields, body)

    def begin_stream(self, fields: bytes) -> None:
        """Send the head of an answer whose parts follow by `send_part`, and which `end_stream` ends."""
        request = self.serving
        assert request is not None
        self.has_begun = True
        if request.is_old:  # it knows no chunks: the end of the connection ends the answer
            request.keep_alive = False
        ident, at = request.ident, self._shared.time_field()
        self._line.write(answers.stream_head(fields, ident, at, not request.is_old, request.keep_alive))

    def send_part(self, part: bytes) -> None:
        """Send a part of a streamed answer."""
        if self.serving is not None:
            self.send(part if self.serving.is_old else b"%x\r\n%b\r\n" % (len(part), part))

    def end_stream(self) -> None:
        """End a streamed answer, and go on to the next request."""
        if self.serving is not None:
            if not self.serving.is_old:
                self.send(b"0\r\n\r\n")
            self.done(self.serving.keep_alive)

    def send(self, data: bytes) -> None:
        """Send bytes of an answer as they are."""
        self.has_begun = True
        self._line.write(data)
        self._line.since = self._line.steady()

    def done(self, keep_alive: bool) -> None:
        """The answer is through."""
        request, line = self.serving, self._line
        if request is None:
            return
        self.work = self.serving = None
        self.has_begun = False
        if line.waits_for_drain:
            self._undrained += request.held
        else:
            self._give(request.held)
        if keep_alive and request.is_through and not self._shared.is_ending:
            if self.queue or line.waits_for_drain or line.stops:
                self.go_on()
            else:
                self._quiet()
        else:
            self.queue.clear()
            line.close(linger=line.is_deaf or not request.is_through)

    def break_off(self) -> None:
        """End an answer that cannot be brought to its end."""
        self._line.break_off()

    # Bounds

    def hold(self, number: int) -> bool:
        """Count bytes that are kept for the answer at hand; False when there is no room."""
        serving, shared = self.serving, self._shared
        if serving is None:
            return False
        spare = shared.bodies.most // SPARE
        if not shared.bodies.take(number, spare):
            asker = Holder(self._line.address, serving.held + number, shared.steady() - self._line.since, False)
            if not shared.make_room(number, asker, spare=spare):
                return False
        serving.held += number
        self.held += number
        return True

    def hold_queued(self, request: Request) -> bool:
        """Count a request that waits for its turn; False when there is no room for it."""
        number = QUEUED_BYTES + len(request.target) + sum(map(len, request.raw))
        bodies = self._shared.bodies
        if not bodies.take(number, spare=bodies.most // 2):
            return False
        request.held += number
        self.held += number
        return True

    def let_go(self, request: Request) -> None:
        """Forget the body of a request that is refused."""
        request.body = None
        self._give(request.held)
        request.held = 0

    def _give(self, number: int) -> None:
        if number:
            self.held -= number
            self._shared.bodies.give(number)

    def _hold_untaken(self) -> None:
        """Count what the client has not taken of answers, where it is more than what is counted already.

        What passes between the client and the store is counted by `StoreCall`.
        """
        transport = self._line.transport
        if transport is None or (self.serving is not None and self.serving.route.kind is Kind.STORE):
            return
        number = transport.get_write_buffer_size() - self.held
        if number > 0 and self._shared.bodies.take(number):
            self.held += number
            self._undrained += number
        elif number > 0:
            self._line.break_off()

    def pause(self) -> None:
        """The client reads slowly: fetch no more for it."""
        self._hold_untaken()
        if self.work is not None:
            self.work.pause()

    def resume(self) -> None:
        """The client has taken what was written."""
        self._give(self._undrained)
        self._undrained = 0
        if self.work is not None:
            self.work.resume()
        elif not self._line.closed:
            self.go_on()

    def stop_body(self) -> None:
        """The store takes no more of the body for now."""
        self._line.stop_reading(STORE)

    def resume_body(self) -> None:
        """The store takes more."""
        self._line.since = self._line.steady()
        self._line.read_on(STORE)


def _is_let_in(request: Request, shared: Shared) -> bool:
    """Whether a request that is served shows that its client may ask: open pages and the store are for all to try."""
    is_ours = request.route.kind in (Kind.INVOKE, Kind.MANAGE, Kind.INSIDE)
    return request.verification is not None or (is_ours and request.target not in shared.open_pages)
