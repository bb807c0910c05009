"""Decides about UpdateEndpointWeightsAndCapacities: counts and weights of the live fleet, without guardrails.

What cannot be reached goes back to what was before, and says why.
"""

from __future__ import annotations

from hostmaker.domain.actions import BeginScaling, FinishScaling, RevertScaling
from hostmaker.domain.endpoint import Endpoint, MemberPhase, Scaling
from hostmaker.domain.observed import Observed
from hostmaker.planner.failure import failure_reason
from hostmaker.planner.groups import groups
from hostmaker.planner.limits import Limits
from hostmaker.planner.members import Actions, failed, tend


def begin(endpoint: Endpoint) -> Actions:
    """Take over what is desired."""
    wanted = ", ".join(f"{v.name}: {v.instances} x weight {v.share_weight:g}" for v in endpoint.desired.target.variants)
    yield BeginScaling(wanted)


def proceed(endpoint: Endpoint, scaling: Scaling, seen: Observed, limits: Limits) -> Actions:
    """Launch and admit, or drain and stop, until the counts are those that are wanted."""
    if scaling.reason is None:
        for member in endpoint.recorded.members:
            if (failure := failed(member, seen)) is not None:
                yield RevertScaling(failure_reason(member.variant, failure))
                return
    tended = tuple(tend(endpoint, groups(endpoint), seen, limits, "more instances are wanted"))
    yield from tended
    if not tended and _is_reached(endpoint, scaling):
        yield FinishScaling("reached" if scaling.reason is None else "as before", failure_reason=scaling.reason)


def _is_reached(endpoint: Endpoint, scaling: Scaling) -> bool:
    """Tell whether everything is as wanted; going back does not wait for instances that have been lost meanwhile."""
    members = endpoint.recorded.members
    if any(not member.is_alive for member in members):
        return False
    return scaling.reason is not None or all(
        sum(m.variant == v.name and m.phase is MemberPhase.IN_SERVICE for m in members) == v.instances
        for v in endpoint.recorded.live_fleet.variants
    )
