"""What VariantStatus says of a variant: one status with its message. Pure.

Source: ProductionVariantStatus page, and the event samples of "Automating Amazon SageMaker with Amazon EventBridge".
"""

from __future__ import annotations

from datetime import datetime

from hostmaker.domain.deployment import Capacity, Deployment, Phase
from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, Member, MemberPhase
from hostmaker.planner.draft import draft

UNHEARD = (
    "Unknown since {}: the node agent, which watches the instances, does not answer. "
    "The instance count is the last one known."
)
LEAVING = (MemberPhase.WITHDRAWN, MemberPhase.STOPPED)


def pending_status(endpoint: Endpoint, wanted: DesiredVariant, deployment: Deployment | None) -> dict[str, object]:
    """Give the status of a variant that is being deployed."""
    name = wanted.name
    if deployment is None:
        if endpoint.recorded.status is EndpointStatus.CREATING:
            return _status("Creating", f"Launching {wanted.instances} instance(s).", endpoint.desired.created)
        return _status("Creating", f"Launching {_first(endpoint, name)} instance(s).", endpoint.recorded.modified)
    if deployment.cause is not None:
        green = sum(m.fleet == deployment.number and m.variant == name for m in endpoint.recorded.members)
        return _status("Deleting", f"Terminating {green} instance(s).", deployment.since)
    step, is_launching = deployment.current, deployment.phase is Phase.LAUNCHING
    before = deployment.plan.steps[deployment.step - 1].targets[name].green if deployment.step else 0
    if is_launching and step.targets[name].green > before:
        return _status("Creating", f"Launching {step.targets[name].green - before} instance(s).", deployment.since)
    active = step.targets[name].active if is_launching else deployment.active.get(name, 0)
    word = _word(step.capacity, active, deployment.plan.sizes[name])
    what = f"{word} capacity of {_number(deployment, name, active)} instance(s)."
    if is_launching or deployment.phase is Phase.ACTIVATING or not step.bake:
        return _status("ActivatingTraffic", f"Activating traffic on {what}", deployment.since)
    bake = f"Baking for {step.bake.total_seconds():.0f} seconds ({step.bake_member}) with traffic enabled on {what}"
    return _status("Baking", bake, deployment.since)


def live_status(endpoint: Endpoint, wanted: DesiredVariant, unheard_since: datetime | None = None) -> dict[str, object]:
    """Give the member VariantStatus of a live variant; nothing when it is idle and its instances are heard of."""
    shown = _under_way(endpoint, wanted)
    if unheard_since is not None:
        shown.append(_status("Updating", UNHEARD.format(unheard_since.isoformat(timespec="seconds")), unheard_since))
    return {"VariantStatus": shown} if shown else {}


def _under_way(endpoint: Endpoint, wanted: DesiredVariant) -> list[dict[str, object]]:
    recorded = endpoint.recorded
    if recorded.scaling is not None:
        return [_scaling(endpoint, wanted)]
    deployment = recorded.deployment
    if deployment is None or recorded.status is EndpointStatus.DELETING:
        return []
    blue = [m for m in recorded.members if m.variant == wanted.name and m.fleet in deployment.blue]
    leaving = [m for m in blue if m.phase in LEAVING]
    launching = [m for m in blue if m.phase is MemberPhase.LAUNCHED]
    shown = []
    if leaving and (deployment.is_switched or deployment.plan.is_rolling):
        since = min(member.since for member in leaving)
        shown.append(_status("Deleting", f"Terminating {len(leaving)} instance(s).", since))
    if launching and deployment.cause is not None:
        shown.append(_launching(launching))
    return shown


def _first(endpoint: Endpoint, variant: str) -> int:
    """Count what the deployment that is about to begin will launch first."""
    desired = endpoint.desired
    blue = {each.name: each.instances for each in endpoint.recorded.live_fleet.variants}
    green = {each.name: each.instances for each in desired.target.variants}
    return draft(desired.guardrails, blue, green).steps[0].targets[variant].green


def _scaling(endpoint: Endpoint, wanted: DesiredVariant) -> dict[str, object]:
    scaling = endpoint.recorded.scaling
    assert scaling is not None
    before = next((variant.instances for variant in scaling.before if variant.name == wanted.name), wanted.instances)
    goes_in = wanted.instances < before if scaling.reason is None else wanted.instances > before
    direction = "in" if goes_in else "out"
    return _status("Updating", f"Scaling {direction} desired instance count to {wanted.instances}.", scaling.started)


def _launching(members: list[Member]) -> dict[str, object]:
    since = min(member.since for member in members)
    return _status("Creating", f"Launching {len(members)} instance(s).", since)


def _word(capacity: Capacity, active: int, size: int) -> str:
    """A variant whose every instance has traffic is at its full capacity, whatever others are at."""
    return capacity.value if capacity is Capacity.BATCH or active < size else Capacity.FULL.value


def _number(deployment: Deployment, name: str, active: int) -> int:
    """Count the instances that get traffic: of a batch its own, else all that have it."""
    if deployment.plan.is_rolling and deployment.step:
        return active - deployment.plan.steps[deployment.step - 1].targets[name].active
    return active


def _status(status: str, message: str, since: object) -> dict[str, object]:
    return {"Status": status, "StatusMessage": message, "StartTime": since}
