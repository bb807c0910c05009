"""What must never happen, looked at after every event of a simulated world."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from hostmaker.domain.actions import Action, Activate, Admit, Forget, Launch, SetStatus, Withdraw
from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Endpoint, EndpointStatus, fleet_key
from hostmaker.planner.groups import groups
from hostmaker.planner.limits import Limits
from hostmaker.testing.gateways import Outcome

if TYPE_CHECKING:
    from hostmaker.testing.world import World

MINUTE_S = 60.0
ALLOWED = {
    EndpointStatus.CREATING: {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED},
    EndpointStatus.IN_SERVICE: {EndpointStatus.OUT_OF_SERVICE},
    EndpointStatus.OUT_OF_SERVICE: {EndpointStatus.IN_SERVICE},
}


class Invariants:
    """Remembers what it needs to judge; `check` raises AssertionError with the line that replays the run."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._withdrawn_at: dict[str, float] = {}
        self._launches: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._activated_at: dict[tuple[str, int, int], float] = {}  # by uid, deployment and step
        self._file_version = 0
        self._versions: dict[int, tuple[int, int]] = {}
        self._broken: list[str] = []

    def saw(self, endpoint: Endpoint, action: Action, world: World) -> None:
        """Take note of an action that was decided and recorded."""
        status, at = endpoint.recorded.status, world.clock.seconds
        match action:
            case Withdraw(ident):
                self._withdrawn_at.setdefault(ident, at)
            case Launch(variant):
                if status in (EndpointStatus.FAILED, EndpointStatus.DELETING):
                    self._broken.append(f"an instance is launched for an endpoint that is {status.value}")
                if action.is_replacement:
                    self._count_launch(endpoint, variant, action.fleet, at)
            case Admit(ident):
                if (directory := world.fleet.directories.get(ident)) is not None and directory.health is None:
                    self._broken.append(f"{ident} is given traffic, and has never been healthy")
            case Activate():
                if (deployment := endpoint.recorded.deployment) is not None and deployment.cause is None:
                    self._saw_step(endpoint.desired.uid, deployment, at)
            case Forget(ident):
                if ident in world.fleet.directories:
                    self._broken.append(f"{ident} is forgotten, and something is left of it")
            case SetStatus(after):
                if after not in ALLOWED.get(status, set()):
                    self._broken.append(f"{status.value} becomes {after.value}")
            case _:
                pass

    def _saw_step(self, uid: str, deployment: Deployment, at: float) -> None:
        """No step before the bake of the step before it is over, unless a person has said so."""
        number, step = deployment.number, deployment.step
        self._activated_at[uid, number, step] = at
        before = self._activated_at.get((uid, number, step - 1))
        if before is None or deployment.is_promoted:
            return  # nobody has seen that one: control died between its record and the telling
        bake_s = deployment.plan.steps[step - 1].bake.total_seconds()
        if at - before < bake_s:
            self._broken.append(f"step {step + 1} came {at - before:.3f} s after one that bakes {bake_s:g} s")

    def _count_launch(self, endpoint: Endpoint, variant: str, fleet: int, at: float) -> None:
        launches = self._launches[endpoint.desired.uid, fleet_key(fleet, variant)]
        launches.append(at)
        while launches[0] <= at - MINUTE_S:
            launches.popleft()
        wanted = max((group.count for group in groups(endpoint) if group.source == fleet), default=0)
        most = max(self._limits.starts_a_minute, wanted)
        if len(launches) > most:
            self._broken.append(f"{len(launches)} replacements of {variant} within a minute, {most} are allowed")

    def check(self, world: World) -> None:
        """Look at everything; raises AssertionError."""
        if lost := world.gateways.outcomes[Outcome.LOST]:
            self._broken.append(f"{lost} invocations were inside an instance that was stopped")
        self._check_stopped(world)
        self._check_slots(world)
        self._check_versions(world)
        if self._broken:
            raise AssertionError(f"{self._broken[0]}\nReplay: {world.replay}\n{world.story()}")

    def _check_stopped(self, world: World) -> None:
        """No gateway sends to an instance that we have stopped, unless it kept us waiting for the drain limit."""
        stopped = {
            ident: directory.process
            for ident, directory in world.fleet.directories.items()
            if directory.process is not None and directory.process.was_stopped
        }
        if not stopped:
            return
        for gateway in world.gateways.living.values():
            for ident in stopped.keys() & gateway.routed:
                waited_s = world.clock.seconds - self._withdrawn_at.get(ident, world.clock.seconds)
                if waited_s < self._limits.drain_s:
                    self._broken.append(f"gateway-{gateway.index} routes to {ident}, which is being stopped")

    def _check_slots(self, world: World) -> None:
        """A slot counts the requests of one instance, over all gateways that live."""
        owners: dict[int, str] = {}
        for gateway in world.gateways.living.values():
            for slot, ident in gateway.slots.items():
                other = owners.setdefault(slot, ident)
                if other != ident and not self._is_over(ident, world) and not self._is_over(other, world):
                    self._broken.append(f"slot {slot} counts for {other} and for {ident}")

    def _is_over(self, ident: str, world: World) -> bool:
        """A gateway that did not answer for the drain limit is not waited for."""
        at = self._withdrawn_at.get(ident)
        return at is not None and world.clock.seconds - at >= self._limits.drain_s

    def _check_versions(self, world: World) -> None:
        version = world.gateways.file.version
        if version < self._file_version:
            self._broken.append(f"the table file goes back from version {self._file_version} to {version}")
        self._file_version = version
        for gateway in world.gateways.living.values():
            life, before = self._versions.get(gateway.index, (0, 0))
            if life == id(gateway) and gateway.table.version < before:
                self._broken.append(f"gateway-{gateway.index} goes back to version {gateway.table.version}")
            self._versions[gateway.index] = (id(gateway), gateway.table.version)
