"""The command line's pages of deployments, as JSON: their records, and orders for the one under way."""

from __future__ import annotations

import json
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostmaker.control.orders import Orders
from hostmaker.control.services import Services
from hostmaker.control.updates import Updates
from hostmaker.domain.deployment import OrderKind, Phase
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.errors import ApiError, ValidationException
from hostmaker.kit.codec import encode
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext
from hostmaker.wire.request import parse


def deployment_routes(services: Services) -> list[Route]:
    """Give the routes of the pages."""
    orders, updates = Orders(services), Updates(services)

    async def deployments(request: Request) -> Response:
        region, name = request.path_params["region"], request.path_params["endpoint"]
        endpoint = services.store.endpoint(region, name)
        found = list(services.store.deployments(region, name))
        if endpoint is None and not found:
            return _refusal(f'There is no endpoint "{name}" in region {region}, and no deployment of one.')
        under_way = endpoint.recorded.deployment if endpoint is not None else None
        if under_way is not None and under_way.phase is not Phase.STUCK:  # a stuck one has ended, and stands there
            found.append(under_way)
        state = _state(endpoint) if endpoint is not None else {"status": None}
        now = services.now().isoformat()
        return JSONResponse({**state, "now": now, "deployments": [encode(each) for each in found]})

    async def order(request: Request) -> Response:
        region, name = request.path_params["region"], request.path_params["endpoint"]
        try:
            deployment = orders.give(region, name, OrderKind(request.path_params["order"]))
        except ValidationException as error:
            return _refusal(error.message)
        except ValueError:
            return _refusal(f"An order is one of {', '.join(kind.value for kind in OrderKind)}.")
        return JSONResponse({"deployment": encode(deployment)})

    async def plan(request: Request) -> Response:
        asked = await request.json()
        ctx = CallContext(asked["region"], services.account, "", "plan")
        try:
            # Through the wire, so that it is refused what UpdateEndpoint is refused.
            body = json.dumps(asked["request"]).encode()
            call = parse("POST", "/", "", {"x-amz-target": "SageMaker.UpdateEndpoint"}, body, None)
            shown = await updates.plan(ctx, call.input)
            whole = cast("dict[str, Json]", encode(shown))
            told = {"stops": shown.stops, "notes": shown.notes}  # also when there are none
            return JSONResponse({"plan": {**whole, **told}})
        except ApiError as error:
            return _refusal(error.message)

    path = "/_hostmaker/deployments/{region}/{endpoint}"
    return [
        Route("/_hostmaker/plan", plan, methods=["POST"]),
        Route(path, deployments),
        Route(path + "/{order}", order, methods=["POST"]),
    ]


def _state(endpoint: Endpoint) -> dict[str, Json]:
    """Give what tells whether the newest request went well; records of an endpoint before it began before `created`."""
    recorded = endpoint.recorded
    return {
        "status": recorded.status.value,
        "failure_reason": recorded.failure_reason,
        "created": endpoint.desired.created.isoformat(),
        "newest": recorded.begun,
    }


def _refusal(message: str) -> Response:
    return JSONResponse({"error": message}, status_code=400)
