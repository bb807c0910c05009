"""What `hostmaker watch` shows of an endpoint at one moment, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostmaker.control.services import Services
from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.deployment import Deployment, Phase
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.fleet import InstanceState, Known, Unknown
from hostmaker.domain.records import spent
from hostmaker.kit.codec import encode
from hostmaker.kit.json_value import Json
from hostmaker.planner.deployment import in_phase
from hostmaker.planner.groups import groups

Traffic = Callable[[Endpoint], Sequence[Mapping[str, Json]]]
"""Gives what an endpoint's callers have seen lately, by variant and config."""


def watch_routes(services: Services, traffic: Traffic, scale: float) -> list[Route]:
    """Give the route of the page; `scale`: platform seconds a real second."""

    async def watch(request: Request) -> Response:
        region, name = request.path_params["region"], request.path_params["endpoint"]
        endpoint = services.store.endpoint(region, name)
        if endpoint is None:
            return JSONResponse({"error": f'There is no endpoint "{name}" in region {region}.'}, status_code=400)
        watched = endpoint.recorded.deployment.alarms if endpoint.recorded.deployment is not None else ()
        readings = services.alarms.readings(region, watched)
        ended = [encode(each) for each in services.store.deployments(region, name)[-1:]]
        shown = picture(endpoint, services.facts(), readings, services.now(), scale)
        return JSONResponse({**shown, "traffic": list(traffic(endpoint)), "last": ended[0] if ended else None})

    return [Route("/_hostmaker/watch/{region}/{endpoint}", watch)]


def picture(
    endpoint: Endpoint, node: Known | Unknown, alarms: Mapping[str, AlarmReading], now: datetime, scale: float
) -> dict[str, Json]:
    """Give endpoint, deployment, instances and alarms as they are at `now`. Pure."""
    recorded = endpoint.recorded
    deployment = recorded.deployment if recorded.deployment and recorded.deployment.phase is not Phase.STUCK else None
    return {
        "name": endpoint.desired.name,
        "status": recorded.status.value,
        "config": recorded.live_fleet.config_name,
        "failure_reason": recorded.failure_reason,
        "now": now.isoformat(),
        "scale": scale,
        "is_awaited": endpoint.desired.number > recorded.begun,
        "instances": _instances(endpoint, node),
        "deployment": encode(deployment),
        "progress": _progress(deployment, now, scale) if deployment is not None else None,
        "alarms": {
            name: alarms[name].state.value if name in alarms else None
            for name in (deployment.alarms if deployment is not None else ())
        },
    }


def _instances(endpoint: Endpoint, node: Known | Unknown) -> list[Json]:
    """Count what is wanted of each variant, old and new; `healthy` is None while the node is not heard."""
    deployment = endpoint.recorded.deployment
    found: list[Json] = []
    for group in groups(endpoint):
        alive = group.alive(endpoint.recorded)
        facts = [node.facts.get(member.instance_id) for member in alive] if isinstance(node, Known) else None
        healthy = None if facts is None else sum(f is not None and f.state is InstanceState.HEALTHY for f in facts)
        is_new = deployment is not None and deployment.number in group.fleets
        fleet = "new" if is_new else "old" if deployment is not None else "live"
        found.append({"variant": group.variant, "fleet": fleet, "healthy": healthy, "wanted": group.count})
    return found


def _progress(deployment: Deployment, now: datetime, scale: float) -> dict[str, Json]:
    """Give platform seconds: of the phase, of the bake at hand, of all bakes to come, and of the time limit."""
    in_phase_s = in_phase(deployment, now).total_seconds()
    is_baking = deployment.phase is Phase.BAKING
    is_forward = deployment.cause is None and not deployment.is_through
    bake_s = deployment.current.bake.total_seconds() if is_forward else 0.0
    to_come = deployment.plan.steps[deployment.step + 1 :] if is_forward else ()
    bake_left_s = max(0.0, bake_s - in_phase_s) if is_baking else bake_s
    left_s = bake_left_s + sum(step.bake.total_seconds() for step in to_come)
    return {
        "in_phase_s": in_phase_s,
        "bake_s": bake_s,
        "bake_left_s": bake_left_s,
        "left_s": 0.0 if deployment.is_promoted else left_s,
        "limit_left_s": (deployment.maximum_execution - spent(deployment, now, scale)).total_seconds(),
    }
