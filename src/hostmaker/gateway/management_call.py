"""One call to the management API, relayed to control whole in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ServiceUnavailable
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import Exchange, Headers

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

MOST_ANSWER = 64 * 1024 * 1024
MOST_ANSWER_HEADERS = 65536
LIMIT_S = 60.0
OURS = b"x-hostmaker-"
HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"content-length"))
NOT_SENT = HOP | {b"expect", b"host", b"authorization"}
NOT_RETURNED = HOP | {b"date", b"server", b"x-amzn-requestid"}


class ManagementCall:
    """One call to control. What it may have begun to do is not repeated, save what only reads."""

    __slots__ = ("_access_key", "_exchange", "_is_repeated", "_region", "_request", "_shared", "_turns")

    def __init__(self, turns: Turns, shared: Shared, request: Request, region: str, access_key: str) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._region = region
        self._access_key = access_key
        self._exchange: Exchange | None = None
        self._is_repeated = False

    def start(self) -> None:
        """Send the call to control."""
        body, deadline = self._request.whole_body(), self._shared.steady() + LIMIT_S
        exchange = Exchange(self, self._head(len(body)), body, deadline, MOST_ANSWER, MOST_ANSWER_HEADERS)
        exchange.is_bodiless = self._request.method == "HEAD"
        self._exchange = exchange
        self._shared.control.send(exchange, self._is_repeated)

    def _head(self, length: int) -> bytes:
        request = self._request
        told = {
            b"region": self._region,
            b"request-id": request.ident,
            b"service": request.scope[1] if request.scope else "",
            b"access-key": self._access_key,
        }
        lines = [b"%b %b HTTP/1.1\r\nHost: localhost\r\n" % (request.method.encode(), request.target)]
        lines += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.fields()
            if name not in NOT_SENT and not name.startswith(OURS)
        ]
        lines += [
            b"%b%b: %b\r\n" % (OURS, name, text.encode("latin-1", "replace")) for name, text in told.items() if text
        ]
        return b"%bContent-Length: %d\r\n\r\n" % (b"".join(lines), length)

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Pass control's answer on."""
        fields = b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers if name not in NOT_RETURNED)
        self._turns.answer(status, fields, body)

    def failed(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        """Say that control is away."""
        if failure is Failure.STALE and not self._is_repeated and self._request.method in ("GET", "HEAD"):
            self._is_repeated = True
            self.start()
            return
        self._turns.answer_error(
            ServiceUnavailable(
                f"The control plane does not answer ({detail or failure.value}); it is being started again. "
                "Invocations go on meanwhile. Try again."
            )
        )

    def stream_began(self, exchange: Exchange, status: int, headers: Headers) -> bool:
        """Nothing is streamed here."""
        return False

    def stream_part(self, exchange: Exchange, part: bytes) -> None:
        """Nothing is streamed here."""

    def stream_ended(self, exchange: Exchange) -> None:
        """Nothing is streamed here."""

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    def cancel(self) -> None:
        """The client is gone; control goes on with what it has begun."""
        if self._exchange is not None:
            self._exchange.is_over = True

    def pause(self) -> None:
        """The answer is whole before it is written: nothing to hold."""

    def resume(self) -> None:
        """The answer is whole before it is written: nothing to let go."""
