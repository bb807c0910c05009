"""One invocation of a variant with an explainer, which answers in the model's place and calls the model itself.

The request is counted in no instance here: the calls that the explainer makes are, as they come in (`inside`). Each
explanation has a connection of its own, so that whichever process of the explainer is free takes it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError, InternalFailure, ServiceUnavailable, ValidationError
from hostmaker.gateway.core import MOST_ATTEMPTS, Choice
from hostmaker.gateway.exchange import AnswerLimits, cancel
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.heads import returned
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import HttpPeer
from hostmaker.gateway.whole import WholeExchange

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

log = logging.getLogger("hostmaker.gateway")
ANSWER_LIMITS = AnswerLimits(head=16 * 1024, body=6_291_456)
GRACE_S = 1.0  # for the explainer to say itself that the time is over, and how far it has come
ENABLE = b"x-amzn-sagemaker-enable-explanations"
# What the explainer gets of a client's headers. Everything else stays here, `x-hostmaker-` above all.
SENT = {
    b"content-type": b"Content-Type",
    b"accept": b"Accept",
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    b"x-amzn-sagemaker-inference-id": b"X-Amzn-SageMaker-Inference-Id",
    ENABLE: b"X-Amzn-SageMaker-Enable-Explanations",
}
NUMBER = re.compile(rb"[0-9]{1,15}")
MOST_STATUS = 999
AWAY = "The process that explains takes no connection at the moment ({}). Try again."
ENDED = "The process that explains ended in the middle of this explanation; it starts again by itself. Try again."


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of an invocation besides its request.

    `target` is the variant that it names, `began` a reading of the meter's clock; `go_plainly` sends it to an instance,
    by a choice that is counted, until a reading of the loop's clock.
    """

    target: str | None
    began: float
    go_plainly: Callable[[Choice[HttpPeer], float], None]


def no_explainer(endpoint: str) -> ValidationError:
    """Give the error for who asks for explanations where nobody explains."""
    text = f"Endpoint {endpoint} has no explainer: its config has no ExplainerConfig."
    return ValidationError(text, {"ErrorCode": "EXPLANATIONS_NOT_SUPPORTED"})


class Explained(WholeExchange):
    """One invocation, handed to the explainer, begun anew when what it explains is served no more, answered."""

    _attempts = 1
    _model_us = 0  # spent in calls of the model, over all attempts
    _is_counted = False  # by the meter

    def __init__(self, turns: Turns, shared: Shared, request: Request, choice: Choice[HttpPeer], asked: Asked) -> None:
        """`choice` is counted no more: it says which variant, not which instance."""
        super().__init__(turns)
        self._shared = shared
        self._request = request
        self._choice = choice
        self._asked = asked
        self._limit_at = shared.steady() + shared.invocation_limit_s

    def start(self) -> None:
        """Send the request to the explainer."""
        self.body = self._request.whole_body()
        self.head = self._head(self._limit_at - self._shared.steady())
        self.deadline = self._limit_at + GRACE_S
        self.is_over = False
        self._shared.explainer.send(self, fresh=True)

    def _head(self, left_s: float) -> bytes:
        """Give the head by hand: names are ours, values of clients have no line ends in them, or the parser lied."""
        request, variant, endpoint = self._request, self._choice.variant, self._choice.endpoint
        told = (
            (b"region", endpoint.region.encode()),
            (b"endpoint", endpoint.name.encode()),
            (b"variant", variant.name.encode()),
            (b"config", variant.config.encode()),
            (b"explainer", variant.explainer.encode()),
            (b"instances", b"%d" % len(variant.instances)),
            (b"workers", b"%d" % variant.workers),
            (b"gateway", b"%d" % self._shared.index),
            (b"request-id", request.ident),
            (b"limit-s", b"%.3f" % max(0.0, left_s)),
        )
        lines = [b"POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(self.body)]
        lines += [b"%b: %b\r\n" % (SENT[name], value) for name in SENT if (value := request.header(name)) is not None]
        lines += [b"x-hostmaker-%b: %b\r\n" % line for line in told]
        return b"%b\r\n" % b"".join(lines)

    # The explainer

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Take what it has come to."""
        told = {name.lower(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}
        outcome = told.get(b"x-hostmaker-outcome", b"") if status == 200 else b""
        self._model_us += _number(told.get(b"x-hostmaker-model-us")) or 0
        core, choice, text = self._shared.core, self._choice, body.decode(errors="replace")
        match outcome:
            case b"explained":
                self._pass_on(fields, told, body)
            case b"model-error" if (code := _number(told.get(b"x-hostmaker-status"))) is not None:
                self._count(code=min(code, MOST_STATUS))
                self._turns.answer_error(core.model_error(choice, code, body), choice.variant.field)
            case b"failed" if (failure := _failure(told.get(b"x-hostmaker-failure"))) is not None:
                self._end(core.failed(choice, failure, text), failure)
            case b"moved":
                self._begin_anew()
            case b"unavailable":
                self._end(ServiceUnavailable(text), Failure.NO_ROOM)
            case b"internal":
                self._end(InternalFailure(text), Failure.OURS)
            case _:
                log.error("the explainer answered %d with outcome %r", status, outcome)
                self._end(InternalFailure(ENDED), Failure.OURS)

    def failed(self, failure: Failure, detail: str) -> None:
        """There is no answer."""
        match failure:
            case Failure.REFUSED:
                self._end(ServiceUnavailable(AWAY.format(detail)), Failure.NO_ROOM)
            case Failure.TIMED_OUT | Failure.TOO_LARGE | Failure.NO_ROOM | Failure.OURS:
                self._end(self._shared.core.failed(self._choice, failure, detail), failure)
            case Failure.BROKEN | Failure.STALE | Failure.HEADERS_TOO_LARGE:
                log.error("an explanation of endpoint %s got no answer: %s", self._choice.endpoint.name, failure.value)
                self._end(InternalFailure(ENDED), Failure.OURS)

    def _pass_on(self, fields: list[bytes], told: dict[bytes, bytes], body: bytes) -> None:
        """Answer with the explanation."""
        self._count(records=_number(told.get(b"x-hostmaker-records")) or 0)
        further = self._choice.variant.field
        if (how := told.get(b"x-hostmaker-explanation")) is not None:
            further += b"x-hostmaker-explanation: %b\r\n" % how
        self._turns.answer(200, returned(fields, b"Content-Type", further), body)

    def _begin_anew(self) -> None:
        """The variant is served under its config no more: choose again, within the time that is left."""
        core, choice = self._shared.core, self._choice
        if self._attempts >= MOST_ATTEMPTS:
            text = f"Variant {choice.variant.name} of endpoint {choice.endpoint.name} moves too fast. Try again."
            self._end(ServiceUnavailable(text), Failure.NO_ROOM)
        elif self._shared.steady() >= self._limit_at:
            self._end(core.failed(choice, Failure.TIMED_OUT, ""), Failure.TIMED_OUT)
        else:
            self._attempts += 1
            try:
                newer = core.begin(choice.endpoint.region, choice.endpoint.name, self._asked.target)
            except (ServiceUnavailable, ValidationError) as error:  # it has no instance, or there is no endpoint
                self._end(error, Failure.NO_ROOM)
            else:
                self._go_on(newer)

    def _go_on(self, choice: Choice[HttpPeer]) -> None:
        """Go where the new choice says."""
        self._choice = choice
        if choice.variant.explainer:
            self._shared.core.end(choice)
            self.start()
        elif self._request.header(ENABLE) is not None:
            self._shared.core.end(choice)
            self._end(no_explainer(choice.endpoint.name), Failure.NO_ROOM)
        else:
            self._is_counted = True  # it will be, as an ordinary invocation
            self._asked.go_plainly(choice, self._limit_at)

    def _end(self, error: ApiError, failure: Failure) -> None:
        """Answer with an error, counted as such a failure."""
        self._count(failure=failure)
        self._turns.answer_error(error, self._choice.variant.field)

    def _count(self, code: int = 0, failure: Failure | None = None, records: int | None = None) -> None:
        """Write the one record: the time in calls of the model, and all other time. `records` were explained."""
        if self._is_counted:
            return
        self._is_counted = True
        meter, began = self._shared.meter, self._asked.began
        sent = max(began, meter.clock() - self._model_us / 1e6)
        if failure is not None:
            meter.failed(self._choice, failure, began, sent)
        elif records is not None:
            meter.explained(self._choice, began, sent, records)
        else:
            meter.answered(self._choice, code, began, sent)

    # The client

    def cancel(self) -> None:
        """The client is gone: the end of its connection tells the explainer."""
        cancel(self)
        if not self._is_counted:
            self._is_counted = True
            self._shared.meter.left(self._choice, self._asked.began)


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and NUMBER.fullmatch(text) else None


def _failure(text: bytes | None) -> Failure | None:
    told = (text or b"").decode("latin-1")
    return next((each for each in Failure if each.value == told), None)
