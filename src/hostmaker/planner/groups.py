"""How many instances of what an endpoint should have now: of the live fleet, and in a deployment of green."""

from __future__ import annotations

from dataclasses import dataclass

from hostmaker.domain.deployment import Deployment, Phase
from hostmaker.domain.endpoint import Endpoint, Member, Recorded, fleet_key


@dataclass(frozen=True, slots=True)
class Group:
    """Instances of one variant that are kept at a number.

    `fleets` are those whose instances count, `source` the one that new instances come from (None: no new ones come).
    `awaits`: its instances wait for traffic when they are healthy, up to `active` of them have it.
    """

    variant: str
    fleets: tuple[int, ...]
    count: int
    source: int | None
    awaits: bool = False
    active: int = 0

    @property
    def key(self) -> str:
        """Name under which its failures and replacements are counted."""
        return fleet_key(self.fleets[0] if self.source is None else self.source, self.variant)

    def holds(self, member: Member) -> bool:
        """Tell whether an instance is one of these."""
        return member.variant == self.variant and member.fleet in self.fleets

    def alive(self, recorded: Recorded) -> list[Member]:
        """Give its instances that are meant to run on, oldest first."""
        return sorted((m for m in recorded.members if self.holds(m) and m.is_alive), key=lambda m: m.ordinal)


def groups(endpoint: Endpoint) -> tuple[Group, ...]:
    """Give every group of an endpoint; an instance that is in none of them has to go."""
    recorded = endpoint.recorded
    deployment = recorded.deployment
    if deployment is None:
        live = (recorded.live,)
        return tuple(Group(v.name, live, v.instances, recorded.live) for v in recorded.live_fleet.variants)
    if deployment.phase is Phase.STUCK:
        return _held(deployment)
    return (*_blue(deployment, recorded), *_green(deployment))


def _blue(deployment: Deployment, recorded: Recorded) -> list[Group]:
    source = None if deployment.is_switched else recorded.live
    wanted = blue_wanted(deployment)
    return [Group(variant, deployment.blue, count, source) for variant, count in wanted.items()]


def blue_wanted(deployment: Deployment) -> dict[str, int]:
    """Give how many instances of blue, by variant, the deployment wants to be there.

    Forward, blue leaves only after a step has baked: until then there are as many as the step before has left. On the
    way back they are launched first.
    """
    step = deployment.current
    is_leaving = deployment.phase is Phase.TERMINATING or deployment.is_switched
    if deployment.cause is None and not is_leaving:
        if deployment.step == 0:
            return deployment.blue_sizes
        step = deployment.plan.steps[deployment.step - 1]
    return {variant: step.targets[variant].blue if variant in step.targets else 0 for variant in deployment.blue_sizes}


def _green(deployment: Deployment) -> list[Group]:
    number, targets = deployment.number, deployment.current.targets
    found = []
    for variant in deployment.plan.sizes:
        active = deployment.active.get(variant, 0)
        if deployment.cause is None:
            found.append(Group(variant, (number,), targets[variant].green, number, awaits=True, active=active))
        else:
            found.append(Group(variant, (number,), _green_on_the_way_back(deployment, variant), None, awaits=True))
    return found


def _green_on_the_way_back(deployment: Deployment, variant: str) -> int:
    """Green leaves only after traffic has left it; no instance of it comes any more, and none gets traffic."""
    if deployment.phase is Phase.TERMINATING:
        return deployment.current.targets[variant].green
    if deployment.step > 0:
        return deployment.course.steps[deployment.step - 1].targets[variant].green
    return deployment.plan.sizes[variant]


def _held(deployment: Deployment) -> tuple[Group, ...]:
    """What served when the way back failed is kept as it is."""
    found = []
    for key, count in deployment.held.items():
        fleet, _, variant = key.partition("/")
        found.append(Group(variant, (int(fleet),), count, int(fleet)))
    return tuple(found)
