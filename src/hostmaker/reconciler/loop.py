"""The loop: look, ask the planner, record, tell. Nothing is decided here, and nothing is waited for.

A tick reads the facts once, records what was decided in the store (if the desired generation still holds), and then
projects all records onto the world: the node's instance set and the gateways' table, each with a generation of its own.
Both are whole states, so telling them again after a crash is harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hostmaker.domain.actions import Action, Remove
from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.endpoint import Endpoint, MemberPhase
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.observed import Observed
from hostmaker.domain.records import Moment, apply, finished
from hostmaker.domain.routing import EndpointRoute, RoutingTable
from hostmaker.kit.clock import Clock
from hostmaker.kit.seldom import Seldom
from hostmaker.planner.endpoint import Limits, decide, timers
from hostmaker.ports import Alarms, EndpointStore, Node, Routes, StoreUnavailableError
from hostmaker.reconciler.ages import Ages
from hostmaker.reconciler.project import Timeouts, newest_awaited, routes, table_change, wanted_instances

PASSES_PER_TURN = 20  # decisions that follow one another; the rest waits for the next turn of the event loop
STORE_RETRY_S = 1.0

log = logging.getLogger("hostmaker.reconciler")


class Timeline(Protocol):
    """Where what was decided is told to people."""

    def __call__(self, endpoint: Endpoint, action: Action) -> None:
        """Tell one action of one endpoint."""
        ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What the reconciler reaches the world with."""

    store: EndpointStore
    node: Node
    routes: Routes
    clock: Clock
    tell: Timeline
    alarms: Alarms


class Reconciler:
    """Drives every endpoint from what is recorded to what is desired."""

    def __init__(
        self, hands: Hands, limits: Limits, account: str, boot_id: str, timeouts: Timeouts | None = None
    ) -> None:
        self._hands = hands
        self._limits = limits
        self._account = account
        self._boot_id = boot_id
        self._timeouts = timeouts or Timeouts()
        self._ages = Ages()
        self._wake = asyncio.Event()
        self._table_version = 0
        self._routes: tuple[EndpointRoute, ...] | None = None
        self._generation = 0
        self._wanted: tuple[InstanceSpec, ...] | None = None
        self._projected: list[Endpoint] = []

    def wake(self) -> None:
        """Look again soon: something has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Look and decide for ever; sleeps until woken, or until the earliest moment that a decision waits for."""
        is_started = False
        complain = Seldom(log.error, self._hands.clock.steady)
        while True:
            self._wake.clear()
            try:
                if not is_started:
                    self.start()
                    is_started = True
                delay = self.turn()
                complain.is_over()
            except StoreUnavailableError as error:
                complain(f"nothing can be recorded, so nothing is decided: {error}")
                delay = STORE_RETRY_S
            if delay == 0:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def start(self) -> None:
        """Tell the world what the records say, under new generations: what an earlier life told is older than this."""
        self._project(self._hands.store.endpoints())

    def turn(self) -> float | None:
        """Decide until nothing follows; gives the seconds to the next look (0: at once, None: when woken)."""
        for _ in range(PASSES_PER_TURN):
            acted, delay = self._pass()
            if not acted:
                return delay
        return 0

    def _pass(self) -> tuple[bool, float | None]:
        endpoints = list(self._hands.store.endpoints())
        seen = self._observe(endpoints)
        next_version = self._table_version + 1
        acted, delays = False, []
        for index, endpoint in enumerate(endpoints):
            decision = decide(endpoint, seen, self._limits)
            if decision.look_again_s is not None:
                delays.append(decision.look_again_s)
            if not decision.actions:
                continue
            acted = True
            after = self._record(endpoint, decision.actions, seen, next_version)
            if after is not None:
                endpoints[index] = after
            seen = replace(seen, taken_slots=_taken(endpoints))
        self._project(endpoints)
        return acted, min(delays, default=None)

    def _observe(self, endpoints: Sequence[Endpoint]) -> Observed:
        taken = _taken(endpoints)
        clock, steady = self._hands.clock, self._hands.clock.steady()
        names = [name for endpoint in endpoints for name in timers(endpoint)]
        return Observed(
            now=clock.now(),
            node=self._hands.node.seen(),
            steady=steady,
            desired_generation=self._generation,
            acknowledged=self._hands.routes.acknowledged(),
            outstanding=self._hands.routes.outstanding(_draining(endpoints)),
            age_s=self._ages.read(names, steady),
            taken_slots=taken,
            alarms=self._alarms(endpoints),
            scale=clock.scale,
        )

    def _alarms(self, endpoints: Sequence[Endpoint]) -> dict[tuple[str, str], AlarmReading]:
        """Read the alarms that deployments under way watch."""
        found: dict[tuple[str, str], AlarmReading] = {}
        for endpoint in endpoints:
            deployment, region = endpoint.recorded.deployment, endpoint.desired.region
            if deployment is not None and deployment.alarms:
                readings = self._hands.alarms.readings(region, deployment.alarms)
                found.update({(region, name): reading for name, reading in readings.items()})
        return found

    def _record(
        self, endpoint: Endpoint, actions: Sequence[Action], seen: Observed, table_version: int
    ) -> Endpoint | None:
        """Keep what was decided; None when the desired state has changed meanwhile, and the decision is void."""
        desired, recorded = endpoint.desired, endpoint.recorded
        moment = Moment(seen.now, seen.steady, table_version, seen.scale)
        ended = None
        for action in actions:
            ended = finished(recorded, action, moment) or ended
            recorded = apply(recorded, action, desired, moment)
        if any(isinstance(action, Remove) for action in actions):
            self._hands.store.forget_endpoint(desired.uid, ended)
        elif not self._hands.store.record(recorded, desired.generation, ended):
            return None
        for action in actions:
            self._hands.tell(endpoint, action)
        return replace(endpoint, recorded=recorded)

    def _project(self, endpoints: Sequence[Endpoint]) -> None:
        """Tell gateways and nodes what the records say, where that is something else than before."""
        is_same = self._wanted is not None and len(endpoints) == len(self._projected)
        if is_same and all(one is other for one, other in zip(endpoints, self._projected, strict=True)):
            return
        table = routes(endpoints)
        if table != self._routes or newest_awaited(endpoints) > self._table_version:
            base, self._table_version = self._table_version, self._hands.store.next_number("table")
            change = table_change(base, self._table_version, self._routes or (), table)
            whole = RoutingTable(self._table_version, self._account, self._boot_id, table)
            self._hands.routes.publish(whole, change)
            self._routes = table
        wanted = wanted_instances(endpoints, self._timeouts, self._wanted or ())
        if wanted != self._wanted:
            self._generation = self._hands.store.next_number("instances")
            self._hands.node.put(DesiredInstances(self._generation, wanted))
            self._wanted = wanted
        self._projected = list(endpoints)


def _draining(endpoints: Sequence[Endpoint]) -> list[int]:
    """Give the slots of those that are withdrawn: of no others it matters what is inside."""
    members = (member for endpoint in endpoints for member in endpoint.recorded.members)
    return [member.slot for member in members if member.phase is MemberPhase.WITHDRAWN]


def _taken(endpoints: Sequence[Endpoint]) -> frozenset[int]:
    return frozenset(member.slot for endpoint in endpoints for member in endpoint.recorded.members)
