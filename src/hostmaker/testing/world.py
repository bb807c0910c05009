"""The simulated world: the true control, planner, reconciler, instance lives and gateway core, on a virtual clock.

Hours pass in milliseconds, and the same seed gives the same hours. The world kills roles and instances, delays and
loses messages, fills the disk, and looks after every event whether anything that must never happen has happened.

    world = World(seed=7)
    world.create_endpoint("fraud", instances=2)
    world.traffic("fraud", per_second=20)
    world.until(lambda: world.status("fraud") == "InService")
    world.kill(world.instances("fraud")[0])
    world.run(30)
    assert world.lost == 0
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from hostmaker.domain.actions import Action, SetStatus
from hostmaker.domain.alarm import StateChange
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.planner.endpoint import Limits
from hostmaker.ports import Store, StoreUnavailableError
from hostmaker.reconciler.loop import Hands
from hostmaker.testing import ending
from hostmaker.testing.alarms import FakeAlarms
from hostmaker.testing.clock import VirtualClock
from hostmaker.testing.control import ACCOUNT, STORE_RETRY_S, ControlLife
from hostmaker.testing.crash import Crash, CrashPoints
from hostmaker.testing.faulty_store import FaultyStore
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.gateways import FakeGateways
from hostmaker.testing.hub import FakeHub, Link
from hostmaker.testing.invariants import Invariants
from hostmaker.testing.machine import Course
from hostmaker.testing.objects import MemoryObjects
from hostmaker.testing.store import MemoryStore
from hostmaker.testing.telemetry import WorldTelemetry
from hostmaker.testing.users import Users

INVOCATION_LIMIT_S = 60.0
BROKEN = Course(exits=(0.1, 0.1))
MOST_AT_ONE_INSTANT = 2000  # steps; a world that needs more turns in a circle


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from a least to a most, drawn from the seed: of a message, of the return of a role that was killed."""

    message_s: tuple[float, float] = (0.001, 0.03)
    restart_s: tuple[float, float] = (0.2, 1.0)


class World(Users):
    """A machine with one control, one node, some gateways, and callers. `crash_at` numbers the points to die at."""

    def __init__(
        self,
        seed: int = 0,
        *,
        crash_at: Collection[int] = (),
        gateways: int = 2,
        course: Callable[[InstanceSpec], Course] = lambda _: Course(),
        limits: Limits | None = None,
        times: Times | None = None,
        between: Callable[[Hands], Hands] = lambda hands: hands,
        disk: Store | None = None,
    ) -> None:
        """`between` may stand between the reconciler and what it reaches the world with, for a test of the tests.

        `disk` is the store that outlives control; one in memory when left out.
        """
        self.replay = f"World(seed={seed}, crash_at={tuple(sorted(crash_at))})"
        self.chance = random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
        self.clock = VirtualClock()
        self.alarms = FakeAlarms(self.clock.now)
        self.points = CrashPoints(crash_at, self.clock.steady)
        self.timeline: list[tuple[float, str]] = []
        self.limits = limits or Limits()
        self._times = times or Times()
        self._course = course
        self.broken: set[str] = set()
        self._between = between
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ids = count(1)
        self._cut: set[str] = set()
        self._at_this_instant = 0
        self.disk: Store = MemoryStore() if disk is None else disk
        self.objects = MemoryObjects()
        self.is_full = False
        self.fleet = FakeFleet(self.clock, self._course_of, self._node_changed, self._log, self.points)
        self.telemetry = WorldTelemetry(
            self.clock, ACCOUNT, self.alarms, lambda: self.disk.endpoints(), self._rang, lambda _: self._wake()
        )
        self.gateways = FakeGateways(
            gateways, ACCOUNT, self.fleet, self.chance, self.clock, self.limits.drain_s, self.telemetry.ring
        )
        self.control: ControlLife | None = None
        self.invariants = Invariants(self.limits)
        self._start_control()

    # The world's accidents

    def kill(self, what: str) -> None:
        """SIGKILL `control`, `node`, `keeper`, `gateway-0` ..., or an instance; roles come back by themselves."""
        self.tell(f"{what} is killed")
        if what == "control":
            self._end_control()
            self.after(self._draw(self._times.restart_s), self._start_control)
        elif what == "node":
            self.fleet.crash()
            self._with_hub(lambda hub: hub.lose_node())
            self.after(self._draw(self._times.restart_s), self._start_node)
        elif what == "keeper":
            self.fleet.kill_keeper()
        elif what.startswith("gateway-"):
            self._kill_gateway(int(what.removeprefix("gateway-")))
        else:
            self.fleet.kill(what)

    def hang(self, what: str) -> None:
        """SIGSTOP a gateway or an instance."""
        self.tell(f"{what} hangs")
        if what.startswith("gateway-"):
            self.gateways.living[int(what.removeprefix("gateway-"))].hangs = True
        else:
            self.fleet.hang(what)

    def recover(self, what: str) -> None:
        """SIGCONT it."""
        self.tell(f"{what} goes on")
        if what.startswith("gateway-"):
            gateway = self.gateways.living[int(what.removeprefix("gateway-"))]
            gateway.hangs = False
            self._with_hub(lambda hub: hub.meet_gateway(gateway))
        else:
            self.fleet.recover(what)

    def cut(self, what: str, for_s: float) -> None:
        """Cut the link between control and `node` or a gateway for some seconds."""
        self.tell(f"the link to {what} is cut")
        self._cut.add(what)

        def mend() -> None:
            self._cut.discard(what)
            self.tell(f"the link to {what} is back")
            self._connect(what)

        if what == "node":
            self._with_hub(lambda hub: hub.lose_node())
        elif (gateway := self.gateways.living.get(int(what.removeprefix("gateway-")))) is not None:
            self._with_hub(lambda hub: hub.lose_gateway(gateway))
        self.after(for_s, mend)

    def fill_disk(self, for_s: float) -> None:
        """Let every write of the store fail for some seconds."""
        self.tell("the disk is full")
        self.is_full = True

        def free() -> None:
            self.tell("the disk has room again")
            self.is_full = False

        self.after(for_s, free)

    def jump(self, by: timedelta) -> None:
        """Set the machine's clock forward or back."""
        self.tell(f"the clock jumps by {by}")
        self.clock.jump(by)

    # Time

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done later."""
        heapq.heappush(self._due, (self.clock.seconds + seconds, next(self._order), do))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.clock.seconds + seconds
        while (at := self._next_at()) is not None and at <= end:
            self._step(at)
        self.clock.go_to(end)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass; the same words move the clock of a real server (`hostmaker.testing.Server.advance`)."""
        self.run(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds())

    def until(self, condition: Callable[[], bool], within_s: float = 600.0) -> None:
        """Let time pass until something is true; raises AssertionError when it does not become so."""
        end = self.clock.seconds + within_s
        while not condition():
            at = self._next_at()
            if at is None or at > end:
                raise AssertionError(f"{self.replay}: it did not happen within {within_s:g} s\n{self.story()}")
            self._step(at)

    def settle(self, within_s: float = 900.0) -> None:
        """Let time pass until every endpoint is where it is going to stay."""
        self.until(self.is_settled, within_s)

    def is_settled(self) -> bool:
        """Tell whether nothing is under way that would change an endpoint."""
        return self.control is not None and ending.has_come(self.disk.endpoints(), self.fleet, self.gateways)

    def end_state(self) -> dict[str, object]:
        """Give what must be the same at the end, whoever has died on the way."""
        return ending.state(self.disk.endpoints())

    def story(self, last: int = 60) -> str:
        """Give the timeline as text."""
        return "\n".join(f"{at:10.3f} s  {text}" for at, text in self.timeline[-last:])

    def tell(self, text: str) -> None:
        """Add a line to the timeline."""
        self.timeline.append((self.clock.seconds, text))

    # How time passes

    def _next_at(self) -> float | None:
        times = [self._due[0][0] if self._due else None, self.gateways.next_at()]
        if self.fleet.is_up or self.fleet.directories:
            times.append(self.fleet.next_at())
        if self.control is not None:
            times += (self.control.look_at, self.telemetry.next_at())
        return min((at for at in times if at is not None), default=None)

    def _step(self, at: float) -> None:
        before = self.clock.seconds
        self.clock.go_to(max(at, before))
        now = self.clock.seconds
        self._at_this_instant = self._at_this_instant + 1 if now == before else 0
        if self._at_this_instant > MOST_AT_ONE_INSTANT:
            raise AssertionError(f"It turns in a circle.\nReplay: {self.replay}\n{self.story()}")
        if self._only_measures(now):
            self.telemetry.advance()
            return
        while self._due and self._due[0][0] <= now:
            self._guard(heapq.heappop(self._due)[2])
        self._guard(self.fleet.advance)
        self.gateways.advance(INVOCATION_LIMIT_S)
        if self.control is not None:
            self.telemetry.advance()
        if self.control is not None and self.control.look_at is not None and self.control.look_at <= now:
            self._guard(self.control.look)
        self.invariants.check(self)

    def _only_measures(self, now: float) -> bool:
        """Tell whether nothing is due but what is measured, which changes nothing that could be broken."""
        times = (self._due[0][0] if self._due else None, self.gateways.next_at(), self.fleet.next_at())
        is_quiet = all(at is None or at > now for at in times)
        return is_quiet and self.control is not None and (self.control.look_at is None or self.control.look_at > now)

    def _guard(self, do: Callable[[], None]) -> None:
        """Do something that may be the last thing of a role."""
        try:
            do()
        except Crash as crash:
            self.tell(f"{crash.role} dies {crash.point}")
            self.kill(crash.role)

    # Control

    def _start_control(self) -> None:
        if self.control is not None:
            return
        self.clock.reopen()
        store = FaultyStore(self.disk, self.points, lambda: self.is_full)
        hub = FakeHub(self.fleet, self.gateways, self.clock, self._new_link, self.points)
        control = self.control = ControlLife(
            store, self.objects, hub, self.clock, self.limits, self._new_id, self._told, self._between, self.telemetry
        )
        self.telemetry.begin()
        self._guard(lambda: self._begin_control(control))

    def _begin_control(self, control: ControlLife) -> None:
        try:
            control.begin()
        except StoreUnavailableError:  # the process ends with an error, and is started again
            self._end_control()
            self.after(STORE_RETRY_S, self._start_control)
            return
        for what in ("node", *(f"gateway-{index}" for index in self.gateways.living)):
            self.after(self._message_s(), lambda what=what: self._connect(what))  # type: ignore[misc]

    def _end_control(self) -> None:
        if self.control is not None:
            self.control.hub.end()
            self.control = None

    def _connect(self, what: str) -> None:
        control = self.control
        if control is None or what in self._cut:
            return
        if what == "node":
            if self.fleet.is_up:
                control.hub.meet_node()
        elif (gateway := self.gateways.living.get(int(what.removeprefix("gateway-")))) is not None:
            control.hub.meet_gateway(gateway)

    def _with_hub(self, do: Callable[[FakeHub], None]) -> None:
        if self.control is not None:
            do(self.control.hub)

    # The others

    def _start_node(self) -> None:
        if self.fleet.is_up:
            return
        self._guard(self.fleet.restart)
        if self.fleet.is_up:
            self.after(self._message_s(), lambda: self._connect("node"))

    def _kill_gateway(self, index: int) -> None:
        gateway = self.gateways.living.get(index)
        if gateway is None:
            return
        self.gateways.kill(index)
        self._with_hub(lambda hub: hub.lose_gateway(gateway))

        def start() -> None:
            self.gateways.start(index)
            self.after(self._message_s(), lambda: self._connect(f"gateway-{index}"))

        self.after(self._draw(self._times.restart_s), start)

    def _course_of(self, spec: InstanceSpec) -> Course:
        return BROKEN if spec.endpoint in self.broken else self._course(spec)

    def _node_changed(self) -> None:
        self._with_hub(lambda hub: hub.hear_node())

    def _log(self, spec: InstanceSpec, line: str) -> None:
        self.tell(f"{spec.endpoint}/{spec.variant} {spec.instance_id[:6]}: {line}")

    def _told(self, endpoint: Endpoint, action: Action) -> None:
        self.invariants.saw(endpoint, action, self)
        name, what = endpoint.desired.name, type(action).__name__
        subject = getattr(action, "instance_id", getattr(action, "variant", ""))
        if isinstance(action, SetStatus):
            subject = action.status.value
        self.tell(f"{name}: {what} {subject[:6] if subject.startswith('i-') else subject} ({action.because})")

    def _rang(self, change: StateChange) -> None:
        self.tell(f"alarm {change.name} is {change.after.value} ({change.reason})")
        self._wake()

    def _wake(self) -> None:
        if self.control is not None:
            self.control.wake()

    def _message_s(self) -> float:
        return self._draw(self._times.message_s)

    def _new_link(self) -> Link:
        return Link(lambda at, do: heapq.heappush(self._due, (at, next(self._order), do)), self._message_s, self.clock)

    def _new_id(self) -> str:
        return f"uid-{next(self._ids)}"

    def _draw(self, between: tuple[float, float]) -> float:
        return self.chance.uniform(*between)
