"""Which endpoints that should answer do not: what a server that starts waits for before it says that it is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostmaker.domain.endpoint import Endpoint, EndpointStatus, MemberPhase
from hostmaker.domain.fleet import InstanceState, Known, Unknown

SERVED = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK)


def serving_routes(
    endpoints: Callable[[], Sequence[Endpoint]],
    facts: Callable[[], Known | Unknown],
    is_routed: Callable[[], bool],
) -> list[Route]:
    """Return the route of the page; `is_routed`: whether every gateway serves the newest table."""

    async def serving(request: Request) -> Response:
        return JSONResponse({"is_routed": is_routed(), "unserved": list(unserved(endpoints(), facts()))})

    return [Route("/_hostmaker/serving", serving)]


def unserved(endpoints: Sequence[Endpoint], node: Known | Unknown) -> Iterator[str]:
    """Return, in words, each variant of an endpoint in service none of whose instances is known to answer."""
    for endpoint in endpoints:
        recorded = endpoint.recorded
        if recorded.status not in SERVED:
            continue
        for variant in recorded.live_fleet.variants:
            members = [m for m in recorded.members if m.variant == variant.name and m.is_alive]
            answering = [m for m in members if m.phase is MemberPhase.IN_SERVICE and _answers(m.instance_id, node)]
            if variant.share_weight > 0 and not answering:
                name = f"{endpoint.desired.name} ({endpoint.desired.region}), variant {variant.name}"
                yield f"{name}: none of {len(members)} instances answers"


def _answers(instance_id: str, node: Known | Unknown) -> bool:
    fact = node.facts.get(instance_id) if isinstance(node, Known) else None
    return fact is not None and fact.state is InstanceState.HEALTHY
