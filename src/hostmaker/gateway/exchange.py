"""What the gateway does for one request: an invocation carried to an instance, or a management call to control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ServiceUnavailable, ValidationError
from hostmaker.gateway import answers
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import Exchange, Headers

if TYPE_CHECKING:
    from hostmaker.gateway.core import Choice
    from hostmaker.gateway.front import Front
    from hostmaker.gateway.shared import Shared

MOST_ANSWER = 6_291_456
MOST_ANSWER_HEADERS = 4096
MOST_MANAGEMENT_ANSWER = 64 * 1024 * 1024
MANAGEMENT_LIMIT_S = 60.0
STREAM_LIMIT_S = 480.0

# What a model's process gets to see, by the name it came under. Everything else stays here: signatures, cookies.
FORWARDED = (
    (b"content-type", b"Content-Type"),
    (b"accept", b"Accept"),
    (b"x-amzn-sagemaker-custom-attributes", b"X-Amzn-SageMaker-Custom-Attributes"),
    (b"x-amzn-sagemaker-target-model", b"X-Amzn-SageMaker-Target-Model"),
    (b"x-amzn-sagemaker-target-variant", b"X-Amzn-SageMaker-Target-Variant"),
    (b"x-amzn-sagemaker-inference-id", b"X-Amzn-SageMaker-Inference-Id"),
    (b"x-amzn-sagemaker-session-id", b"X-Amzn-SageMaker-Session-Id"),
)
STREAMED_ACCEPT = (b"x-amzn-sagemaker-accept", b"Accept")
RETURNED = {
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    b"x-amzn-sagemaker-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-new-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id",
}
UNSUPPORTED = {
    b"x-amzn-sagemaker-target-model": (
        "Endpoint {} is not a multi-model endpoint and does not support target model header.",
        "TARGET_MODEL_HEADER_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-inference-component": (
        "Endpoint {} has no inference components; this version of Hostmaker does not support them.",
        "INFERENCE_COMPONENT_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-target-container-hostname": (
        "Endpoint {} has one container; TargetContainerHostname is not supported by this version of Hostmaker.",
        "TARGET_CONTAINER_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-enable-explanations": (
        "Endpoint {} has no explainer; explanations are not supported by this version of Hostmaker.",
        "EXPLANATIONS_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-session-id": (
        "Endpoint {} has no sessions; they are not supported by this version of Hostmaker.",
        "SESSIONS_NOT_SUPPORTED",
    ),
}


class Invocation:
    """One invocation: chosen, sent, perhaps tried again, answered."""

    __slots__ = ("choice", "exchange", "front", "is_streamed", "region", "request", "shared")

    def __init__(self, front: Front, shared: Shared, request: Request, region: str) -> None:
        self.front = front
        self.shared = shared
        self.request = request
        self.region = region
        self.choice: Choice | None = None
        self.exchange: Exchange | None = None
        self.is_streamed = request.operation == "InvokeEndpointWithResponseStream"

    def start(self) -> None:
        """Choose an instance and send; raises ValidationError and ServiceUnavailable."""
        request, headers = self.request, self.request.headers
        if not request.operation:
            raise ValidationError(f"{request.target.decode('latin-1')[:200]} is not an operation of the runtime API.")
        self.shared.check_headers(request.operation, headers)
        target = headers.get(b"x-amzn-sagemaker-target-variant")
        self.choice = self.shared.core.begin(
            self.region, request.endpoint, target.decode("latin-1") if target else None
        )
        try:
            self._refuse_unsupported(headers)
        except ValidationError:
            self._release()
            raise
        self._send()

    def _refuse_unsupported(self, headers: dict[bytes, bytes]) -> None:
        """Refuse by name what this version does not do; nothing is ignored."""
        if self.request.operation == "InvokeEndpointAsync":
            raise ValidationError(
                f"Endpoint {self.request.endpoint} is not an asynchronous endpoint and does not support the "
                "InvokeEndpointAsync operation."
            )
        for name, (text, code) in UNSUPPORTED.items():
            if name in headers:
                raise ValidationError(text.format(self.request.endpoint), {"ErrorCode": code})

    def _send(self) -> None:
        assert self.choice is not None
        shared, body = self.shared, self.request.whole_body()
        limit_s = STREAM_LIMIT_S if self.is_streamed else shared.invocation_limit_s
        deadline = shared.steady() + limit_s
        self.exchange = Exchange(self, self._head(len(body)), body, deadline, MOST_ANSWER, MOST_ANSWER_HEADERS)
        self.exchange.is_streamed = self.is_streamed
        shared.busy_peers.add(self.choice.instance.peer)
        self.choice.instance.peer.send(self.exchange, self.choice.fresh)

    def _head(self, length: int) -> bytes:
        headers = self.request.headers
        lines = [
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nX-Amzn-RequestId: %b\r\n"
            % (length, self.request.ident.encode())
        ]
        for name, sent_as in FORWARDED:
            value = headers.get(name)
            if value is not None:
                lines.append(b"%b: %b\r\n" % (sent_as, value))
        if self.is_streamed and (value := headers.get(STREAMED_ACCEPT[0])) is not None:
            lines.append(b"%b: %b\r\n" % (STREAMED_ACCEPT[1], value))
        lines.append(b"\r\n")
        return b"".join(lines)

    # The instance

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Take the instance's answer."""
        choice = self._release()
        if not 200 <= status < 300:
            self.front.answer_error(self.shared.core.model_error(choice, status, body))
        elif self.is_streamed:  # the instance answered in one piece
            self._begin_stream(headers)
            self.front.stream(answers.payload_part(body))
            self.front.end_stream()
        else:
            self.front.answer(200, _returned(headers, choice.variant.name_bytes, b"Content-Type"), body)

    def failed(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        """Try again where that is right, or answer with the error."""
        choice = self.choice
        if choice is None:
            return
        if self.is_streamed and exchange.is_streamed is False:  # the stream had begun
            self._release()
            code = "ModelInvocationTimeExceeded" if failure is Failure.TIMED_OUT else "StreamBroken"
            told = detail or "Your model primary did not complete sending the inference response in the allotted time."
            self.front.stream(answers.stream_exception(code, told))
            self.front.end_stream()
        elif self.shared.core.retry(choice, failure):
            self._send()
        else:
            error = self.shared.core.failed(choice, failure, detail)
            self._release()
            self.front.answer_error(error)

    def stream_began(self, exchange: Exchange, status: int, headers: Headers) -> bool:
        """Begin the stream to the client when the instance has answered 2xx."""
        if not 200 <= status < 300:
            return False
        exchange.is_streamed = False  # from here on a failure is told within the stream
        self._begin_stream(headers)
        return True

    def stream_part(self, exchange: Exchange, part: bytes) -> None:
        """Pass a part on, as a frame of its own."""
        self.front.stream(answers.payload_part(part))

    def stream_ended(self, exchange: Exchange) -> None:
        """The instance has said everything."""
        self._release()
        self.front.end_stream()

    def _begin_stream(self, headers: Headers) -> None:
        assert self.choice is not None or self.front.serving is not None
        variant = self.choice.variant.name_bytes if self.choice is not None else b""
        fields = _returned(headers, variant, b"X-Amzn-SageMaker-Content-Type")
        self.front.begin_stream(b"Content-Type: application/vnd.amazon.eventstream\r\n%b" % fields)

    # The client

    def cancel(self) -> None:
        """The client is gone: so is the reason to wait for the instance."""
        if self.exchange is not None:
            self.exchange.cancel()
        if self.choice is not None:
            self._release()

    def pause(self) -> None:
        """The client reads slowly: read no more from the instance."""
        connection = self.exchange.connection if self.exchange is not None else None
        if connection is not None and connection.transport is not None:
            connection.transport.pause_reading()

    def resume(self) -> None:
        """The client reads again."""
        connection = self.exchange.connection if self.exchange is not None else None
        if connection is not None and connection.transport is not None:
            connection.transport.resume_reading()

    def _release(self) -> Choice:
        """Count the invocation no longer."""
        choice, self.choice = self.choice, None
        assert choice is not None
        self.shared.core.end(choice)
        return choice


class ManagementCall:
    """One call to control, whole in both directions."""

    __slots__ = ("access_key", "exchange", "front", "region", "request", "retried", "shared")

    def __init__(self, front: Front, shared: Shared, request: Request, region: str, access_key: str) -> None:
        self.front = front
        self.shared = shared
        self.request = request
        self.region = region
        self.access_key = access_key
        self.exchange: Exchange | None = None
        self.retried = False

    def start(self) -> None:
        """Send the call to control."""
        body, deadline = self.request.whole_body(), self.shared.steady() + MANAGEMENT_LIMIT_S
        self.exchange = Exchange(self, self._head(len(body)), body, deadline, MOST_MANAGEMENT_ANSWER, 65536)
        self.shared.control.send(self.exchange, self.retried)

    def _head(self, length: int) -> bytes:
        request = self.request
        service = request.scope[1] if request.scope else ""
        dropped = (b"content-length", b"transfer-encoding", b"connection", b"expect", b"host", b"authorization")
        lines = [b"%b %b HTTP/1.1\r\nHost: localhost\r\n" % (request.method.encode(), request.target)]
        lines += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.fields
            if name not in dropped and not name.startswith(b"x-hostmaker-")
        ]
        told = f"x-hostmaker-region: {self.region}\r\nx-hostmaker-request-id: {request.ident}\r\n"
        if service:
            told += f"x-hostmaker-service: {service}\r\n"
        if self.access_key:
            told += f"x-hostmaker-access-key: {self.access_key}\r\n"
        lines.append(b"%bContent-Length: %d\r\n\r\n" % (told.encode("latin-1", "replace"), length))
        return b"".join(lines)

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Pass control's answer on."""
        dropped = (b"content-length", b"transfer-encoding", b"connection", b"date", b"server", b"x-amzn-requestid")
        fields = b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers if name not in dropped)
        self.front.answer(status, fields, body)

    def failed(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        """Say that control is away; what it may have begun to do is not repeated."""
        if failure is Failure.STALE and not self.retried and self.request.method == "GET":
            self.retried = True
            self.start()
            return
        self.front.answer_error(
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

    def cancel(self) -> None:
        """The client is gone; control goes on with what it has begun."""
        if self.exchange is not None:
            self.exchange.is_over = True

    def pause(self) -> None:
        """The answer is whole before it is written: nothing to hold."""

    def resume(self) -> None:
        """The answer is whole before it is written: nothing to let go."""


def _returned(headers: Headers, variant: bytes, content_type_name: bytes) -> bytes:
    """Give the header lines that the client gets of the instance's."""
    content_type, others = b"application/octet-stream", b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name in RETURNED:
            others += b"%b: %b\r\n" % (RETURNED[name], value)
    return b"%b: %b\r\nx-Amzn-Invoked-Production-Variant: %b\r\n%b" % (content_type_name, content_type, variant, others)
