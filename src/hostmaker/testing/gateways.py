"""Gateways without sockets: the true core (`gateway.core`) over the true tables, with invocations that take time.

A gateway serves the table it has, takes changes when they come, and goes on while control is away. An invocation is
inside an instance from its beginning to its end; what becomes of it is counted by why.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from hostmaker.domain.errors import ApiError
from hostmaker.domain.messages import TablePush
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import RoutingTable, StaleTableError, apply_change
from hostmaker.gateway.core import Choice, Core
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.meter import Meter, Ring
from hostmaker.gateway.table import CompiledTable
from hostmaker.testing.clock import VirtualClock
from hostmaker.testing.crash import CrashPoints
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.machine import Directory, Process

Steady = Callable[[], float]


class Outcome(Enum):
    """What became of an invocation."""

    ANSWERED = "answered"
    MODEL_ERROR = "answered 500 by the model"
    UNAVAILABLE = "unavailable"  # no instance took it, and the caller may try again
    UNKNOWN_ENDPOINT = "unknown endpoint"
    IN_A_DYING_INSTANCE = "in a dying instance"  # an accident took the instance that it was inside
    IN_A_DYING_GATEWAY = "in a dying gateway"
    TIMED_OUT = "timed out"  # in an instance that hangs
    CUT_OFF = "cut off at the drain limit"  # we stopped its instance, after waiting as long as we may
    LOST = "lost"  # we stopped its instance before that: never


STATUS = {Outcome.ANSWERED: 200, Outcome.MODEL_ERROR: 500}
FAILURES = {
    Outcome.IN_A_DYING_INSTANCE: Failure.BROKEN,
    Outcome.TIMED_OUT: Failure.TIMED_OUT,
    Outcome.CUT_OFF: Failure.BROKEN,
    Outcome.LOST: Failure.BROKEN,
}


class Peer:
    """Reaches an instance; the socket's name tells which."""

    def __init__(self, socket: str) -> None:
        self.instance_id = socket.rpartition("/")[2].removesuffix(".sock")

    def retire(self) -> None:
        """Nothing is kept open."""


@dataclass(slots=True, eq=False)
class Invocation:
    """One request under way."""

    gateway: Gateway
    choice: Choice[Peer]
    process: Process
    began_at: float
    ends_at: float
    error_rate: float = 0.0


class Gateway:
    """One gateway; `row` are the requests it has inside instances, by slot.

    `routed` are the instances that its table names, `slots` the one of each slot.
    """

    def __init__(
        self,
        index: int,
        table: RoutingTable,
        fleet: FakeFleet,
        chance: random.Random,
        steady: Steady,
        meter: Meter[Peer],
    ) -> None:
        self.index = index
        self._read(table)
        self.row: defaultdict[int, int] = defaultdict(int)
        self.inside: list[Invocation] = []
        self.hangs = False
        self._fleet = fleet
        self._steady = steady
        self._meter = meter
        compiled = CompiledTable(table, Peer)
        self._core = Core(compiled, self.row, lambda slot: self.row[slot], chance.random, table.account)

    def take(self, push: TablePush, file: RoutingTable, points: CrashPoints) -> None:
        """Follow a change of the table, as `gateway.control_link` does."""
        try:
            newer = apply_change(self.table, push.change)
        except StaleTableError:
            newer = file
        if newer.version > self.table.version:
            points.around(f"gateway-{self.index}", "serving a table", lambda: self._use(newer))

    def _read(self, table: RoutingTable) -> None:
        instances = [each for route in table.endpoints for variant in route.variants for each in variant.instances]
        self.table = table
        self.routed = frozenset(each.instance_id for each in instances)
        self.slots: Mapping[int, str] = {each.slot: each.instance_id for each in instances}

    def _use(self, table: RoutingTable) -> None:
        self._read(table)
        self._core.table = CompiledTable(table, Peer, self._core.table)
        self._meter.forget_all_but(self._core.table.endpoints.values())

    def begin(self, key: EndpointKey, takes_s: float) -> Invocation | Outcome:
        """Send an invocation to an instance, trying others where that is right."""
        now = self._steady()
        try:
            choice = self._core.begin(key.region, key.name)
        except ApiError as error:
            if error.status != 503:
                return Outcome.UNKNOWN_ENDPOINT
            self._meter.unrouted(self._core.find(key.region, key.name), None)
            return Outcome.UNAVAILABLE
        while (directory := self._directory(choice)) is None or (process := directory.running()) is None:
            if not self._core.retry(choice, Failure.REFUSED):
                self._core.end(choice)
                self._meter.failed(choice, Failure.REFUSED, now, now)
                return Outcome.UNAVAILABLE
        course = self._fleet.course(directory.spec)
        takes_s = takes_s if course.takes_s is None else course.takes_s
        invocation = Invocation(self, choice, process, now, now + takes_s, course.error_rate)
        self.inside.append(invocation)
        return invocation

    def _directory(self, choice: Choice[Peer]) -> Directory | None:
        return self._fleet.directories.get(choice.instance.peer.instance_id)

    def end(self, invocation: Invocation, outcome: Outcome) -> None:
        """The invocation is inside its instance no longer, and counted."""
        self.inside.remove(invocation)
        choice, began = invocation.choice, invocation.began_at
        self._core.end(choice)
        if (status := STATUS.get(outcome)) is not None:
            self._meter.answered(choice, status, began, began)
        else:
            self._meter.failed(choice, FAILURES[outcome], began, began)


class FakeGateways:
    """All gateways of a machine, and the table file that a starting one reads."""

    def __init__(
        self,
        number: int,
        account: str,
        fleet: FakeFleet,
        chance: random.Random,
        clock: VirtualClock,
        drain_s: float,
        ring: Ring,
    ) -> None:
        self.file = RoutingTable(0, account, "")
        self.living: dict[int, Gateway] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self._number = number
        self._fleet = fleet
        self._chance = chance
        self._steady = clock.steady
        self._clock = clock
        self._drain_s = drain_s
        self._ring = ring
        for index in range(number):
            self.start(index)

    def start(self, index: int) -> Gateway:
        """Start a gateway: it serves what the file says."""
        meter = Meter[Peer](self._ring, self._clock.platform_s, self._steady)
        self.living[index] = Gateway(index, self.file, self._fleet, self._chance, self._steady, meter)
        return self.living[index]

    def kill(self, index: int) -> None:
        """Kill one; what is open in it breaks, and its counts are no longer read."""
        gateway = self.living.pop(index)
        self.outcomes[Outcome.IN_A_DYING_GATEWAY] += len(gateway.inside)
        gateway.inside.clear()

    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        """Give the requests inside instances, over all living gateways."""
        sums = {slot: sum(gateway.row.get(slot, 0) for gateway in self.living.values()) for slot in slots}
        return {slot: number for slot, number in sums.items() if number}

    # Invocations

    def invoke(self, key: EndpointKey, takes_s: float) -> None:
        """Begin an invocation at any living gateway; without one, the caller waits at the socket and is not counted."""
        free = [gateway for gateway in self.living.values() if not gateway.hangs]
        if not free:
            return
        begun = self._chance.choice(free).begin(key, takes_s)
        if isinstance(begun, Outcome):
            self.outcomes[begun] += 1

    def next_at(self) -> float | None:
        """Steady second at which an invocation ends, or breaks because its instance has ended."""
        now = self._steady()
        return min((now if each.process.ended else each.ends_at for each in self._inside()), default=None)

    def advance(self, limit_s: float) -> None:
        """End what is due; `limit_s` is how long a model may take."""
        now = self._steady()
        for each in list(self._inside()):
            if each.process.ended is not None:
                self._finish(each, self._why_ended(each))
            elif now >= each.ends_at:
                if not each.process.hangs:
                    is_bad = each.error_rate > 0 and self._chance.random() < each.error_rate
                    self._finish(each, Outcome.MODEL_ERROR if is_bad else Outcome.ANSWERED)
                elif now >= each.began_at + limit_s:
                    self._finish(each, Outcome.TIMED_OUT)
                else:
                    each.ends_at = each.began_at + limit_s

    def _inside(self) -> list[Invocation]:
        return [each for gateway in self.living.values() for each in gateway.inside]

    def _finish(self, invocation: Invocation, outcome: Outcome) -> None:
        invocation.gateway.end(invocation, outcome)
        self.outcomes[outcome] += 1

    def _why_ended(self, invocation: Invocation) -> Outcome:
        if not invocation.process.was_stopped:
            return Outcome.IN_A_DYING_INSTANCE
        waited_s = self._steady() - invocation.began_at
        return Outcome.CUT_OFF if waited_s >= self._drain_s else Outcome.LOST
