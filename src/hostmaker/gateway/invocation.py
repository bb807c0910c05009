"""One invocation, carried to an instance and its answer back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ValidationError
from hostmaker.gateway import answers
from hostmaker.gateway.core import Choice
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import Exchange, Headers, HttpPeer

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

MOST_ANSWER = 6_291_456
MOST_ANSWER_HEADERS = 4096
STREAM_LIMIT_S = 480.0
STREAM_TIMED_OUT = "Your model primary did not complete sending the inference response in the allotted time."
EVENT_STREAM = b"Content-Type: application/vnd.amazon.eventstream\r\n"
UNSUPPORTED_HERE = "not supported by this version of Hostmaker"

TOP = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nX-Amzn-RequestId: %b\r\n"
RETURNED = {
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    b"x-amzn-sagemaker-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-new-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id",
}
# What the caller asks for and this version does not do: refused by name, never ignored.
UNSUPPORTED = {
    b"x-amzn-sagemaker-target-model": (
        "Endpoint {} is not a multi-model endpoint and does not support target model header.",
        "TARGET_MODEL_HEADER_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-inference-component": (
        f"Endpoint {{}} has no inference components; they are {UNSUPPORTED_HERE}.",
        "INFERENCE_COMPONENT_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-target-container-hostname": (
        f"Endpoint {{}} has one container; TargetContainerHostname is {UNSUPPORTED_HERE}.",
        "TARGET_CONTAINER_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-enable-explanations": (
        f"Endpoint {{}} has no explainer; explanations are {UNSUPPORTED_HERE}.",
        "EXPLANATIONS_NOT_SUPPORTED",
    ),
    b"x-amzn-sagemaker-session-id": (
        f"Endpoint {{}} has no sessions; they are {UNSUPPORTED_HERE}.",
        "SESSIONS_NOT_SUPPORTED",
    ),
}


class Invocation:
    """One invocation: chosen, sent, perhaps tried again, answered."""

    __slots__ = ("_choice", "_exchange", "_has_begun", "_is_streamed", "_region", "_request", "_shared", "_turns")

    def __init__(self, turns: Turns, shared: Shared, request: Request, region: str) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._region = region
        self._choice: Choice[HttpPeer] | None = None
        self._exchange: Exchange | None = None
        self._is_streamed = request.operation == "InvokeEndpointWithResponseStream"
        self._has_begun = False  # the head of a streamed answer has gone to the client

    def start(self) -> None:
        """Choose an instance and send; raises ValidationError and ServiceUnavailable."""
        request, headers, core = self._request, self._request.headers, self._shared.core
        if not request.operation:
            route = request.target.decode("latin-1")[:200]
            raise ValidationError(f"POST {route} is {UNSUPPORTED_HERE}, or no operation of the runtime API.")
        endpoint = core.find(self._region, request.endpoint)
        variant = None
        if request.shape.has_api_names:
            self._shared.check_headers(request.operation, headers)
            _refuse_unsupported(request)
            target = headers.get(b"x-amzn-sagemaker-target-variant")
            variant = target.decode("latin-1") if target else None
        if request.operation == "InvokeEndpointAsync":
            raise _no_async(request.endpoint)
        self._choice = core.begin(endpoint, variant)
        self._send(self._choice)

    def _send(self, choice: Choice[HttpPeer]) -> None:
        shared, body = self._shared, self._request.whole_body()
        deadline = shared.steady() + shared.invocation_limit_s
        exchange = Exchange(self, self._head(len(body)), body, deadline, MOST_ANSWER, MOST_ANSWER_HEADERS)
        exchange.is_streamed = self._is_streamed
        self._exchange = exchange
        choice.instance.peer.send(exchange, choice.fresh)

    def _head(self, length: int) -> bytes:
        request, headers = self._request, self._request.headers
        lines = [TOP % (length, request.ident.encode())]
        for name, line in request.shape.forwarded_to_streams if self._is_streamed else request.shape.forwarded:
            lines += line, headers[name], b"\r\n"
        lines.append(b"\r\n")
        return b"".join(lines)

    # The instance

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Take the instance's answer."""
        choice = self._release()
        if not 200 <= status < 300:
            error = self._shared.core.model_error(choice, status, body)
            self._turns.answer_error(error, _variant_field(choice))
        else:
            self._turns.answer(200, _returned(headers, choice, b"Content-Type"), body)

    def failed(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        """Try again where that is right, or answer with the error."""
        choice, core = self._choice, self._shared.core
        if choice is None:
            return
        if self._has_begun:
            self._release()
            code = "ModelInvocationTimeExceeded" if failure is Failure.TIMED_OUT else "StreamBroken"
            self._turns.send_part(answers.stream_exception(code, detail or STREAM_TIMED_OUT))
            self._turns.end_stream()
        elif core.retry(choice, failure):
            self._send(choice)
        else:
            error = core.failed(choice, failure, detail)
            self._release()
            self._turns.answer_error(error, _variant_field(choice))

    def stream_began(self, exchange: Exchange, status: int, headers: Headers) -> bool:
        """Begin the stream to the client when the instance has answered 2xx."""
        if not 200 <= status < 300 or self._choice is None:
            return False
        self._has_begun = True
        exchange.deadline = self._shared.steady() + STREAM_LIMIT_S
        self._turns.begin_stream(EVENT_STREAM + _returned(headers, self._choice, b"X-Amzn-SageMaker-Content-Type"))
        return True

    def stream_part(self, exchange: Exchange, part: bytes) -> None:
        """Pass a part on, as a frame of its own."""
        self._turns.send_part(answers.payload_part(part))

    def stream_ended(self, exchange: Exchange) -> None:
        """The instance has said everything."""
        self._release()
        self._turns.end_stream()

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    # The client

    def cancel(self) -> None:
        """The client is gone: so is the reason to wait for the instance."""
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        if self._choice is not None:
            self._release()

    def pause(self) -> None:
        """The client reads slowly: read no more from the instance."""
        if self._exchange is not None and self._exchange.connection is not None:
            self._exchange.connection.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self._exchange is not None and self._exchange.connection is not None:
            self._exchange.connection.resume()

    def _release(self) -> Choice[HttpPeer]:
        """Count the invocation no longer, and let go of the exchange, which holds on to us."""
        choice, self._choice, self._exchange = self._choice, None, None
        assert choice is not None
        self._shared.core.end(choice)
        return choice


def _refuse_unsupported(request: Request) -> None:
    if not UNSUPPORTED.keys().isdisjoint(request.headers):
        name = next(name for name in UNSUPPORTED if name in request.headers)
        text, code = UNSUPPORTED[name]
        raise ValidationError(text.format(request.endpoint), {"ErrorCode": code})


def _no_async(endpoint: str) -> ValidationError:
    return ValidationError(
        f"Endpoint {endpoint} is not an asynchronous endpoint and does not support the InvokeEndpointAsync operation: "
        f"asynchronous inference is {UNSUPPORTED_HERE}."
    )


def _variant_field(choice: Choice[HttpPeer]) -> bytes:
    return b"x-Amzn-Invoked-Production-Variant: %b\r\n" % choice.variant.name_bytes


def _returned(headers: Headers, choice: Choice[HttpPeer], content_type_name: bytes) -> bytes:
    """Give the header lines that the client gets of the instance's."""
    content_type, others = b"application/octet-stream", b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name in RETURNED:
            others += b"%b: %b\r\n" % (RETURNED[name], value)
    return b"%b: %b\r\n%b%b" % (content_type_name, content_type, others, _variant_field(choice))
