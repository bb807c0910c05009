"""One call of a model from inside the server: the explainer asks, on the private socket, what a variant predicts.

It goes to an instance of exactly that variant under exactly that config, counted as a request inside it like any other.
Nothing is metered: the client's one invocation is. Answers are told plainly, by `x-hostmaker-outcome`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError, ValidationError
from hostmaker.gateway.core import Choice
from hostmaker.gateway.exchange import cancel
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.heads import returned
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import HttpPeer
from hostmaker.gateway.whole import WholeExchange

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
ANSWERED = b"x-hostmaker-outcome: answered\r\n"
ENDED = "The model's process closed the connection before it answered, and takes no other."
MOVED = b"x-hostmaker-outcome: moved\r\n"


class Inside(WholeExchange):
    """One call: chosen, sent, perhaps tried again under the same config, answered."""

    _limit_at = 0.0
    _was_closed = False  # a connection was, before any byte of the answer
    _choice: Choice[HttpPeer] | None = None

    def __init__(self, turns: Turns, shared: Shared, request: Request) -> None:
        super().__init__(turns)
        self._shared = shared
        self._request = request

    def start(self) -> None:
        """Choose an instance and send, or say that there is none; raises ValidationError for a limit that is none."""
        shared, exact = self._shared, self._request.route.exact
        self._limit_at = shared.steady() + self._limit_s()
        self._choice = choice = shared.core.begin_exact(exact.region, exact.endpoint, exact.variant, exact.config)
        if choice is None:
            self._tell_moved()
        else:
            self._send(choice)

    def _limit_s(self) -> float:
        """Give the seconds that this call may take."""
        text = self._request.header(b"x-hostmaker-limit-s")
        if text is None:
            return self._shared.invocation_limit_s
        if SECONDS.fullmatch(text) is None:
            raise ValidationError("x-hostmaker-limit-s is a decimal number of seconds.")
        return float(text)

    def _send(self, choice: Choice[HttpPeer]) -> None:
        request = self._request
        self.body = request.whole_body()
        ident = request.header(b"x-hostmaker-request-id") or request.ident
        self.head = request.shape.forwarded.head(len(self.body), ident, request.raw)
        self.deadline = self._limit_at
        self.is_over = False
        choice.instance.peer.send(self, choice.fresh)

    # The instance

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Pass on what the instance has answered, whatever it was."""
        self._release()
        self._turns.answer(status, returned(fields, b"Content-Type", ANSWERED), body)

    def failed(self, failure: Failure, detail: str) -> None:
        """Try again where that is right, or tell what has failed."""
        choice, core = self._choice, self._shared.core
        if choice is None:
            return
        if core.retry(choice, failure):
            self._was_closed |= failure is Failure.STALE
            self._send(choice)
            return
        self._release()
        if failure is Failure.REFUSED and self._was_closed:  # it has ended of this call, as like as not
            failure, detail = Failure.BROKEN, ENDED
        if failure is Failure.REFUSED and not core.is_served(choice):
            self._tell_moved()
        else:
            status = 504 if failure is Failure.TIMED_OUT else 503
            self._turns.answer(status, failure_lines(failure), detail.encode(errors="replace"))

    # The explainer

    def cancel(self) -> None:
        """Nobody waits any more: nor does the instance have to be waited for."""
        cancel(self)
        if self._choice is not None:
            self._release()

    def _tell_moved(self) -> None:
        exact = self._request.route.exact
        text = f"Variant {exact.variant} of endpoint {exact.endpoint} is not served under config {exact.config}."
        self._turns.answer(503, TEXT + MOVED, text.encode(errors="replace"))

    def _release(self) -> None:
        """Count the call no longer."""
        choice, self._choice = self._choice, None
        assert choice is not None
        self._shared.core.end(choice)


def failure_lines(failure: Failure) -> bytes:
    """Give the header lines of a call that has failed."""
    return b"%bx-hostmaker-outcome: failed\r\nx-hostmaker-failure: %b\r\n" % (TEXT, failure.value.encode())


def inside_error(error: ApiError) -> tuple[int, bytes, bytes]:
    """Give status, header lines and body of what the gateway found itself: no room for the body, or our own fault."""
    return 503, failure_lines(Failure.NO_ROOM if error.status == 503 else Failure.OURS), error.message.encode()
