"""One call to the management API, relayed to control whole in both directions; only events come in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ServiceUnavailable
from hostmaker.domain.permissions import Caller, check_page, wrong_service
from hostmaker.gateway.exchange import AnswerLimits, cancel
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import UpstreamConnection
from hostmaker.ports import Identity

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

ANSWER_LIMITS = AnswerLimits(head=65536, body=64 * 1024 * 1024)
LIMIT_S = 60.0
STREAM_LIMIT_S = 60.0  # without a part: control says several times a minute that it is alive
STREAMS = b"/_hostmaker/events"
OUR_PAGES = ("/_hostmaker/", "/metrics")
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
    _has_begun = False  # the head of a streamed answer has gone to the client

    def __init__(self, turns: Turns, shared: Shared, request: Request, identity: Identity) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._identity = identity
        self.is_bodiless = request.route.method == "HEAD"
        self.is_streamed = request.target.partition(b"?")[0] == STREAMS
        self._is_repeated = False

    def start(self) -> None:
        """Send the call to control. Raises AuthError and AccessDenied for one of our own pages."""
        self._check_page()
        self.body = self._request.whole_body()
        self.head = self._head(len(self.body))
        self.deadline = self._shared.steady() + LIMIT_S
        self.is_over = False
        self._shared.control.send(self, self._is_repeated)

    def _check_page(self) -> None:
        """Refuse a page of our own to temporary credentials, and to signatures for another service than SageMaker."""
        path = self._request.target.partition(b"?")[0].decode("latin-1")
        if not path.startswith(OUR_PAGES):
            return
        identity = self._identity
        if identity.role is not None:
            caller = Caller(identity.role, self._shared.account, identity.region)
            check_page(caller, self._request.route.method, path)
        if identity.service not in ("sagemaker", ""):
            raise wrong_service("sagemaker")

    def _head(self, length: int) -> bytes:
        request, identity = self._request, self._identity
        told = {
            b"region": identity.region,
            b"request-id": request.ident.decode(),
            b"service": identity.service,
            b"access-key": identity.access_key_id,
        }
        told = {name: text for name, text in told.items() if text}
        if identity.role is not None:  # also an empty one takes rights away
            told[b"role"] = identity.role
        lines = [b"%b %b HTTP/1.1\r\nHost: localhost\r\n" % (request.route.method.encode(), request.target)]
        lines += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.fields()
            if name not in NOT_SENT and not name.startswith(OURS)
        ]
        lines += [b"%b%b: %b\r\n" % (OURS, name, text.encode("latin-1", "replace")) for name, text in told.items()]
        return b"%bContent-Length: %d\r\n\r\n" % (b"".join(lines), length)

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Pass control's answer on."""
        pairs = zip(fields[::2], fields[1::2], strict=True)
        lines = [b"%b: %b\r\n" % (name, value) for name, value in pairs if name.lower() not in NOT_RETURNED]
        self._turns.answer(status, b"".join(lines), body)

    def failed(self, failure: Failure, detail: str) -> None:
        """Say that control is away."""
        if self._has_begun:  # the end of the stream tells the client to connect again
            self._turns.end_stream()
            return
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
        """Begin the stream to the client when control has begun one."""
        told = dict(zip((name.lower() for name in fields[::2]), fields[1::2], strict=True))
        kind = told.get(b"content-type", b"")
        if status != 200 or not kind.startswith(b"text/event-stream"):
            return False
        self._has_begun = True
        self.deadline = self._shared.steady() + STREAM_LIMIT_S
        self._turns.begin_stream(b"Content-Type: %b\r\nCache-Control: no-store\r\n" % kind)
        return True

    def stream_part(self, part: bytes) -> None:
        """Pass a part on."""
        self.deadline = self._shared.steady() + STREAM_LIMIT_S
        self._turns.send_part(part)

    def stream_ended(self) -> None:
        """Control has said everything."""
        self._turns.end_stream()

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    def cancel(self) -> None:
        """The client is gone; control goes on with what it has begun, and ends a stream."""
        if self._has_begun:
            cancel(self)
        self.is_over = True

    def pause(self) -> None:
        """The client reads slowly: read no more of a stream. Another answer is whole before it is written."""
        if self._has_begun and self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self._has_begun and self.connection is not None:
            self.connection.resume()
