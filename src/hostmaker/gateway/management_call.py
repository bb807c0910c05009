"""One call to the management API, relayed to control whole in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ServiceUnavailable
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import AnswerLimits, UpstreamConnection

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

ANSWER_LIMITS = AnswerLimits(head=65536, body=64 * 1024 * 1024)
LIMIT_S = 60.0
OURS = b"x-hostmaker-"
HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"content-length"))
NOT_SENT = HOP | {b"expect", b"host", b"authorization"}
NOT_RETURNED = HOP | {b"date", b"server", b"x-amzn-requestid"}


class ManagementCall:
    """One call to control. What it may have begun to do is not repeated, save what only reads."""

    head = body = b""
    deadline = 0.0
    connection: UpstreamConnection | None = None
    is_over = False
    is_streamed = False

    def __init__(self, turns: Turns, shared: Shared, request: Request, region: str, access_key: str) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._region = region
        self._access_key = access_key
        self.is_bodiless = request.route.method == "HEAD"
        self._is_repeated = False

    def start(self) -> None:
        """Send the call to control."""
        self.body = self._request.whole_body()
        self.head = self._head(len(self.body))
        self.deadline = self._shared.steady() + LIMIT_S
        self.is_over = False
        self._shared.control.send(self, self._is_repeated)

    def _head(self, length: int) -> bytes:
        request = self._request
        told = {
            b"region": self._region,
            b"request-id": request.ident.decode(),
            b"service": request.route.scope[1] if request.route.scope else "",
            b"access-key": self._access_key,
        }
        lines = [b"%b %b HTTP/1.1\r\nHost: localhost\r\n" % (request.route.method.encode(), request.target)]
        lines += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.fields()
            if name not in NOT_SENT and not name.startswith(OURS)
        ]
        lines += [
            b"%b%b: %b\r\n" % (OURS, name, text.encode("latin-1", "replace")) for name, text in told.items() if text
        ]
        return b"%bContent-Length: %d\r\n\r\n" % (b"".join(lines), length)

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Pass control's answer on."""
        pairs = zip(fields[::2], fields[1::2], strict=True)
        lines = [b"%b: %b\r\n" % (name, value) for name, value in pairs if name.lower() not in NOT_RETURNED]
        self._turns.answer(status, b"".join(lines), body)

    def failed(self, failure: Failure, detail: str) -> None:
        """Say that control is away."""
        if failure is Failure.STALE and not self._is_repeated and self._request.route.method in ("GET", "HEAD"):
            self._is_repeated = True
            self.start()
            return
        self._turns.answer_error(
            ServiceUnavailable(
                f"The control plane does not answer ({detail or failure.value}); it is being started again. "
                "Invocations go on meanwhile. Try again."
            )
        )

    def stream_began(self, status: int, fields: list[bytes]) -> bool:
        """Nothing is streamed here."""
        return False

    def stream_part(self, part: bytes) -> None:
        """Nothing is streamed here."""

    def stream_ended(self) -> None:
        """Nothing is streamed here."""

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    def cancel(self) -> None:
        """The client is gone; control goes on with what it has begun."""
        self.is_over = True

    def pause(self) -> None:
        """The answer is whole before it is written: nothing to hold."""

    def resume(self) -> None:
        """The answer is whole before it is written: nothing to let go."""
