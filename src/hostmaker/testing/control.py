"""One life of control in a simulated world: the true operations and the true reconciler over simulated ports."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar, cast

from hostmaker.control.app import operations
from hostmaker.control.orders import Orders
from hostmaker.control.services import Services
from hostmaker.control.updates import Updates
from hostmaker.kit.clock import Clock
from hostmaker.kit.json_value import Json
from hostmaker.planner.endpoint import Limits
from hostmaker.planner.preview import Preview
from hostmaker.ports import Alarms, CallContext, Handler, Objects, Output, Store, StoreUnavailableError
from hostmaker.reconciler.loop import Hands, Reconciler, Timeline
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs
from hostmaker.testing.faulty_store import FaultyStore
from hostmaker.testing.hub import FakeHub
from hostmaker.wire.request import Call, parse

T = TypeVar("T")

ACCOUNT, REGION = "123456789012", "us-east-1"
STORE_RETRY_S = 1.0


class ControlGone(Exception):
    """Nobody answered: control is away, or died before its answer. What was asked may have been done."""


class ControlLife:
    """Control from a start to its end. `look_at` is the steady second at which the reconciler looks next."""

    def __init__(
        self,
        store: FaultyStore,
        objects: Objects,
        hub: FakeHub,
        clock: Clock,
        limits: Limits,
        new_id: Callable[[], str],
        told: Timeline,
        between: Callable[[Hands], Hands],
        alarms: Alarms,
    ) -> None:
        self.hub = hub
        self.store = store
        self.look_at: float | None = None
        self._clock = clock
        typed = cast("Store", store)
        hub.wake = self.wake
        services = Services(
            store=typed,
            objects=objects,
            specs=MemoryExplainerSpecs(),
            now=clock.now,
            new_id=new_id,
            wake=self.wake,
            facts=hub.seen,
            warn=lambda region, endpoint, members: None,
            alarms=alarms,
            account=ACCOUNT,
        )
        self._handlers = operations(services)
        self._updates = Updates(services)
        self.orders = Orders(services)
        self._reconciler = Reconciler(between(Hands(typed, hub, hub, clock, told, alarms)), limits, ACCOUNT, "boot")

    def begin(self) -> None:
        """Tell the world what the records say; raises StoreUnavailableError."""
        self._reconciler.start()
        self.wake()

    def wake(self) -> None:
        """Look soon."""
        self.look_at = self._clock.steady()

    def look(self) -> None:
        """Have the reconciler decide."""
        self.look_at = None
        try:
            delay = self._reconciler.turn()
        except StoreUnavailableError:
            delay = STORE_RETRY_S
        if delay is not None and self.look_at is None:
            self.look_at = self._clock.steady() + delay

    def call(self, operation: str, request: dict[str, Json]) -> dict[str, object]:
        """Carry out a SageMaker call, as it is by the model; raises ApiError and StoreUnavailableError."""
        return carry_out(self._handlers["sagemaker", operation], f"SageMaker.{operation}", "1.1", request)

    def plan(self, request: dict[str, Json]) -> Preview:
        """Show what an UpdateEndpoint would do; raises ApiError."""
        call = _parsed("SageMaker.UpdateEndpoint", "1.1", request)
        return _answer(self._updates.plan(CallContext(REGION, ACCOUNT, "", "r"), call.input))


def carry_out(handler: Handler, target: str, version: str, request: Mapping[str, Json]) -> dict[str, object]:
    """Check and carry out a call of a JSON protocol, as it is by the model."""
    output = handler(CallContext(REGION, ACCOUNT, "", "r"), _parsed(target, version, request).input)
    answered: Output = _answer(output) if inspect.isawaitable(output) else output
    return dict(answered or {})


def _parsed(target: str, version: str, request: Mapping[str, Json]) -> Call:
    headers = {"x-amz-target": target, "content-type": f"application/x-amz-json-{version}"}
    return parse("POST", "/", "", headers, json.dumps(request).encode(), None)


def _answer(output: Awaitable[T]) -> T:
    """Run a handler to its end: nothing that it asks of a simulated world has to be waited for."""
    running = output.__await__()
    try:
        next(running)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("a simulated world has kept a handler waiting")
