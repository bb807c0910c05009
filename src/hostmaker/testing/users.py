"""What users do with a simulated world, and what they see of it: the half of `World` that needs no accidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from hostmaker.domain.alarm import AlarmState
from hostmaker.domain.deployment import Deployment, OrderKind
from hostmaker.domain.endpoint import Endpoint, MemberPhase
from hostmaker.domain.errors import ApiError, UnknownOperationException
from hostmaker.domain.names import EndpointKey
from hostmaker.kit.json_value import Json
from hostmaker.planner.preview import Preview
from hostmaker.ports import Store, StoreUnavailableError
from hostmaker.reconciler.project import green_share
from hostmaker.testing import client
from hostmaker.testing.alarms import FakeAlarms
from hostmaker.testing.clock import VirtualClock
from hostmaker.testing.control import REGION, ControlGone, ControlLife, carry_out
from hostmaker.testing.crash import Crash
from hostmaker.testing.gateways import FakeGateways, Outcome
from hostmaker.testing.telemetry import WorldTelemetry

CLOUDWATCH = "GraniteServiceVersion20100801"


class Users(Protocol):
    """The people around a world. The world itself gives what they reach, and lets time pass."""

    control: ControlLife | None
    disk: Store
    clock: VirtualClock
    alarms: FakeAlarms
    gateways: FakeGateways
    telemetry: WorldTelemetry
    broken: set[str]  # endpoints of which nothing that is launched goes well

    def kill(self, what: str) -> None: ...
    def run(self, seconds: float) -> None: ...
    def after(self, seconds: float, do: Callable[[], None]) -> None: ...
    def tell(self, text: str) -> None: ...

    # What users do

    def call(self, operation: str, **request: Json) -> dict[str, object]:
        """Make one SageMaker call with boto3's names and shapes; raises ApiError, and ControlGone for no answer."""
        if self.control is None:
            raise ControlGone(f"{operation}: control is away")
        try:
            return self.control.call(operation, request)
        except Crash as crash:
            self.kill(crash.role)
            raise ControlGone(f"{operation}: control died") from crash

    def cloudwatch(self, operation: str, **request: Json) -> dict[str, object]:
        """Make one CloudWatch call with boto3's names and shapes (times as Unix seconds); raises as `call`.

        Metrics are counted and alarms judged from the first one on.
        """
        if self.control is None:
            raise ControlGone(f"{operation}: control is away")
        self.telemetry.collect()
        handler = self.telemetry.handlers().get(("cloudwatch", operation))
        if handler is None:
            raise UnknownOperationException(f"{operation} is not an operation of CloudWatch that is served here.")
        return carry_out(handler, f"{CLOUDWATCH}.{operation}", "1.0", request)

    def ask(self, operation: str, **request: Json) -> dict[str, object]:
        """Make a call again and again until it is answered, as AWS's clients do; raises ApiError."""
        while True:
            try:
                return self.call(operation, **request)
            except (ControlGone, StoreUnavailableError):
                self.run(0.1)

    def create_endpoint(
        self, name: str, instances: int = 1, variants: dict[str, float] | None = None, **container: Json
    ) -> None:
        """Create model, config and endpoint; `variants` gives their weights, one called AllTraffic when left out."""
        client.create_endpoint(
            self.ask, name, instances, variants or {"AllTraffic": 1.0}, {"Image": client.IMAGE, **container}
        )

    def create_config(
        self, name: str, instances: int = 1, variants: dict[str, float] | None = None, **container: Json
    ) -> None:
        """Create a model and a config of that name, for a `plan`."""
        client.create_config(
            self.ask, name, instances, variants or {"AllTraffic": 1.0}, {"Image": client.IMAGE, **container}
        )

    def update_endpoint(
        self,
        name: str,
        config: str,
        instances: int = 1,
        deployment: Mapping[str, Json] | None = None,
        variants: dict[str, float] | None = None,
        **container: Json,
    ) -> None:
        """Create a model and a config, both called `config`, and update an endpoint; see `testing.policies`."""
        weights = variants or {"AllTraffic": 1.0}
        listed = {"Image": client.IMAGE, **container}
        client.update_endpoint(self.ask, name, config, instances, weights, listed, deployment)

    def plan(self, name: str, config: str, deployment: Mapping[str, Json] | None = None) -> Preview:
        """Show what UpdateEndpoint would do with a config that is there; raises ApiError where it would refuse."""
        if self.control is None:
            raise ControlGone("plan: control is away")
        request: dict[str, Json] = {"EndpointName": name, "EndpointConfigName": config}
        return self.control.plan(request | ({"DeploymentConfig": dict(deployment)} if deployment is not None else {}))

    def order(self, name: str, kind: str) -> None:
        """Pause, resume, promote or rollback the deployment of an endpoint by hand; raises ApiError, ControlGone."""
        if self.control is None:
            raise ControlGone(f"{kind}: control is away")
        try:
            self.control.orders.give(REGION, name, OrderKind(kind))
        except Crash as crash:
            self.kill(crash.role)
            raise ControlGone(f"{kind}: control died") from crash

    def insist(self, name: str, kind: str) -> None:
        """Give an order again and again until it is answered; that it was carried out already is an answer, too."""
        while True:
            try:
                self.order(name, kind)
            except (ControlGone, StoreUnavailableError):
                self.run(0.1)
            except ApiError:
                return
            else:
                return

    def scale(self, name: str, instances: int, variant: str = "AllTraffic") -> None:
        """UpdateEndpointWeightsAndCapacities."""
        wanted: list[Json] = [{"VariantName": variant, "DesiredInstanceCount": instances}]
        request: dict[str, Json] = {"EndpointName": name, "DesiredWeightsAndCapacities": wanted}
        client.change(self.ask, "UpdateEndpointWeightsAndCapacities", name, request)

    def break_launches(self, name: str) -> None:
        """Let every instance of an endpoint that is launched from now on fail, whatever it is."""
        self.tell(f"{name}: what is launched fails")
        self.broken.add(name)

    def mend_launches(self, name: str) -> None:
        """Let instances start again."""
        self.tell(f"{name}: what is launched goes well")
        self.broken.discard(name)

    def put_alarm(self, name: str, state: str = "OK", reason: str = "") -> None:
        """Have a CloudWatch alarm that is in this state until it is put again; deployments that watch it are told.

        One that is judged by what is measured comes from `cloudwatch("PutMetricAlarm", ...)`.
        """
        self.tell(f"alarm {name} is {state}")
        self.alarms.put(REGION, name, AlarmState(state), reason)
        if self.control is not None:
            self.control.wake()

    def delete_endpoint(self, name: str) -> None:
        """Delete an endpoint, its config and its model."""
        client.delete_endpoint(self.ask, name)

    def traffic(self, name: str, per_second: float, takes_s: float = 0.1, for_s: float | None = None) -> None:
        """Have callers invoke an endpoint from now on, evenly; each invocation is inside an instance for `takes_s`."""
        ends_at = None if for_s is None else self.clock.seconds + for_s

        def invoke() -> None:
            if ends_at is not None and self.clock.seconds >= ends_at:
                return
            self.gateways.invoke(EndpointKey(REGION, name), takes_s)
            self.after(1 / per_second, invoke)

        self.after(1 / per_second, invoke)

    # What users see

    def endpoint(self, name: str) -> Endpoint | None:
        """Give an endpoint as it is recorded."""
        return self.disk.endpoint(REGION, name)

    def describe(self, name: str) -> dict[str, Any]:
        """Give what DescribeEndpoint answers."""
        return self.ask("DescribeEndpoint", EndpointName=name)

    def deployments(self, name: str) -> list[Deployment]:
        """Give the records of the deployments that have ended, the oldest first."""
        return list(self.disk.deployments(REGION, name))

    def share_of_green(self, name: str, variant: str = "AllTraffic") -> Fraction:
        """Give the part of a variant's traffic that the fleet of the deployment under way has."""
        endpoint = self.endpoint(name)
        if endpoint is None or endpoint.recorded.deployment is None:
            return Fraction(0)
        return green_share(endpoint, variant)

    def status(self, name: str) -> str | None:
        """Give its EndpointStatus, or None when there is none of that name."""
        endpoint = self.endpoint(name)
        return endpoint.recorded.status.value if endpoint is not None else None

    def instances(self, name: str, variant: str | None = None) -> list[str]:
        """Name its instances in service."""
        endpoint = self.endpoint(name)
        members = endpoint.recorded.members if endpoint is not None else ()
        return [
            member.instance_id
            for member in members
            if member.phase is MemberPhase.IN_SERVICE and variant in (None, member.variant)
        ]

    @property
    def lost(self) -> int:
        """Count the invocations that were lost by our doing; always 0, or the world has complained already."""
        return self.gateways.outcomes[Outcome.LOST]
