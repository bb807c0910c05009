"""One invocation, carried to an instance and its answer back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ServiceUnavailable, ValidationError
from hostmaker.gateway import answers
from hostmaker.gateway.core import Choice
from hostmaker.gateway.exchange import AnswerLimits, cancel
from hostmaker.gateway.explained import ENABLE, Asked, Explained, no_explainer
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.heads import returned
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import HttpPeer, UpstreamConnection

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

ANSWER_LIMITS = AnswerLimits(head=4096, body=6_291_456)
STREAM_LIMIT_S = 480.0
STREAM_TIMED_OUT = "Your model primary did not complete sending the inference response in the allotted time."
EVENT_STREAM = b"Content-Type: application/vnd.amazon.eventstream\r\n"
UNSUPPORTED_HERE = "not supported by this version of Hostmaker"
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
    b"x-amzn-sagemaker-session-id": (
        f"Endpoint {{}} has no sessions; they are {UNSUPPORTED_HERE}.",
        "SESSIONS_NOT_SUPPORTED",
    ),
}


class Invocation:
    """One invocation: chosen, sent, perhaps tried again, answered."""

    head = body = b""
    deadline = 0.0
    connection: UpstreamConnection | None = None
    is_over = False
    is_bodiless = False
    is_streamed = False
    _sent = _first = 0.0  # readings of the meter's clock: the last attempt, the first part of a streamed answer
    _has_begun = False  # the head of a streamed answer has gone to the client
    _choice: Choice[HttpPeer] | None = None

    def __init__(self, turns: Turns, shared: Shared, request: Request, region: str) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._region = region
        self._began = shared.meter.clock()

    def start(self) -> None:
        """Choose an instance and send; raises ValidationError and ServiceUnavailable."""
        request, route, core = self._request, self._request.route, self._shared.core
        variant, is_asked = None, False
        if route.operation != "InvokeEndpoint":
            self._look_at_operation(route.operation)
        if request.shape.has_api_names:
            self._shared.check_headers(route.operation, request.headers())
            core.find(self._region, route.endpoint)
            _refuse_unsupported(request)
            target = request.header(b"x-amzn-sagemaker-target-variant")
            variant = target.decode("latin-1") if target else None
            is_asked = ENABLE in request.shape.at
        try:
            self._choice = choice = core.begin(self._region, route.endpoint, variant)
        except ServiceUnavailable:
            self._shared.meter.unrouted(core.find(self._region, route.endpoint), variant)
            raise
        if choice.variant.explainer or is_asked:
            self._explain(choice, variant)
        else:
            self._send(choice)

    def _explain(self, choice: Choice[HttpPeer], target: str | None) -> None:
        """Have the explainer answer, which calls the model itself; raises ValidationError where that cannot be."""
        self._release()
        endpoint = choice.endpoint.name
        if not choice.variant.explainer:
            raise no_explainer(endpoint)
        if self.is_streamed:
            raise ValidationError(
                f"Endpoint {endpoint} has an explainer, and InvokeEndpointWithResponseStream cannot carry what it "
                "answers. Use InvokeEndpoint."
            )
        asked = Asked(target, self._began, self._go_plainly)
        work = Explained(self._turns, self._shared, self._request, choice, asked)
        self._turns.work = work
        work.start()

    def _go_plainly(self, choice: Choice[HttpPeer], limit_at: float) -> None:
        """Go to an instance after all: there is no explainer any more. The time limit is the one of the request."""
        self._turns.work = self
        self._choice = choice
        self._send(choice)
        self.deadline = limit_at

    def _look_at_operation(self, operation: str) -> None:
        if not operation:
            path = self._request.target.decode("latin-1")[:200]
            raise ValidationError(f"POST {path} is {UNSUPPORTED_HERE}, or no operation of the runtime API.")
        if operation == "InvokeEndpointAsync":
            endpoint = self._request.route.endpoint
            self._shared.core.find(self._region, endpoint)
            raise ValidationError(
                f"Endpoint {endpoint} is not an asynchronous endpoint and does not support the InvokeEndpointAsync "
                f"operation: asynchronous inference is {UNSUPPORTED_HERE}."
            )
        self.is_streamed = True

    def _send(self, choice: Choice[HttpPeer]) -> None:
        body = self._request.body
        self.body = body if type(body) is bytes else self._request.whole_body()
        shape = self._request.shape
        forwarded = shape.forwarded_to_streams if self.is_streamed else shape.forwarded
        self.head = forwarded.head(len(self.body), self._request.ident, self._request.raw)
        self.deadline = self._shared.steady() + self._shared.invocation_limit_s
        self.is_over = False
        self._sent = self._shared.meter.clock()
        choice.instance.peer.send(self, choice.fresh)

    # The instance

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Take the instance's answer."""
        choice = self._release()
        self._shared.meter.answered(choice, status, self._began, self._sent)
        if 200 <= status < 300:
            self._turns.answer(200, returned(fields, b"Content-Type", choice.variant.field), body)
        else:
            error = self._shared.core.model_error(choice, status, body)
            self._turns.answer_error(error, choice.variant.field)

    def failed(self, failure: Failure, detail: str) -> None:
        """Try again where that is right, or answer with the error."""
        choice, core = self._choice, self._shared.core
        if choice is None:
            return
        if self._has_begun:
            self._release()
            self._shared.meter.streamed(choice, self._began, self._sent, self._first, broke_off=True)
            code = "ModelInvocationTimeExceeded" if failure is Failure.TIMED_OUT else "StreamBroken"
            self._turns.send_part(answers.stream_exception(code, detail or STREAM_TIMED_OUT))
            self._turns.end_stream()
        elif core.retry(choice, failure):
            self._send(choice)
        else:
            error = core.failed(choice, failure, detail)
            self._release()
            self._shared.meter.failed(choice, failure, self._began, self._sent)
            self._turns.answer_error(error, choice.variant.field)

    def stream_began(self, status: int, fields: list[bytes]) -> bool:
        """Begin the stream to the client when the instance has answered 2xx."""
        if not 200 <= status < 300 or self._choice is None:
            return False
        self._has_begun = True
        self.deadline = self._shared.steady() + STREAM_LIMIT_S
        lines = returned(fields, b"X-Amzn-SageMaker-Content-Type", self._choice.variant.field)
        self._turns.begin_stream(EVENT_STREAM + lines)
        return True

    def stream_part(self, part: bytes) -> None:
        """Pass a part on, as a frame of its own."""
        self._first = self._first or self._shared.meter.clock()
        self._turns.send_part(answers.payload_part(part))

    def stream_ended(self) -> None:
        """The instance has said everything."""
        self._shared.meter.streamed(self._release(), self._began, self._sent, self._first)
        self._turns.end_stream()

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    # The client

    def cancel(self) -> None:
        """The client is gone: so is the reason to wait for the instance."""
        cancel(self)
        if self._choice is not None:
            self._shared.meter.left(self._release(), self._began)

    def pause(self) -> None:
        """The client reads slowly: read no more from the instance."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self.connection is not None:
            self.connection.resume()

    def _release(self) -> Choice[HttpPeer]:
        """Count the invocation no longer."""
        choice, self._choice = self._choice, None
        assert choice is not None
        self._shared.core.end(choice)
        return choice


def _refuse_unsupported(request: Request) -> None:
    if not UNSUPPORTED.keys().isdisjoint(request.shape.at):
        name = next(name for name in UNSUPPORTED if name in request.shape.at)
        text, code = UNSUPPORTED[name]
        raise ValidationError(text.format(request.route.endpoint), {"ErrorCode": code})
