"""The management API over HTTP, behind the gateway, which has verified who calls."""

from __future__ import annotations

import inspect
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostmaker.control.deployment_pages import deployment_routes
from hostmaker.control.endpoint_configs import EndpointConfigs
from hostmaker.control.endpoints import Endpoints, list_monitoring_schedules
from hostmaker.control.models import Models
from hostmaker.control.services import Services
from hostmaker.control.status import endpoint_status, node_status
from hostmaker.control.tags import Tags
from hostmaker.control.updates import Updates
from hostmaker.domain.errors import ApiError, InternalFailure, ThrottlingException, UnknownOperationException
from hostmaker.domain.fleet import Known
from hostmaker.domain.permissions import Caller, check_operation
from hostmaker.kit.aside import Aside, parts_of
from hostmaker.kit.json_value import Json
from hostmaker.kit.turns import BusyError
from hostmaker.ports import CallContext, Handler, Output, StoreUnavailableError
from hostmaker.wire.answer import HttpAnswer, answer, error_answer
from hostmaker.wire.body import MAX_UNPACKED_BYTES
from hostmaker.wire.request import Call, parse, protocol_of, service_of

log = logging.getLogger("hostmaker.control")
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

Handlers = Mapping[tuple[str, str], Handler]


async def _no_page() -> str:
    return ""


def management_app(
    services: Services,
    others: Handlers,
    default_region: str,
    instance_types: frozenset[str] = frozenset(),
    prometheus: Callable[[], Awaitable[str]] = _no_page,
    pages: Sequence[Route] = (),
) -> Starlette:
    """Give the application; `others` are the operations of further services, by service and operation.

    `prometheus` gives the page that Prometheus reads; `pages` are further ones below `/_hostmaker/`.
    """
    handlers = {**operations(services), **others}

    aside = Aside()

    async def manage(request: Request) -> Response:
        return await _manage(request, handlers, services.account, default_region, instance_types, aside)

    async def health(request: Request) -> Response:
        known = isinstance(services.facts(), Known)
        return JSONResponse({"role": "control", "pid": os.getpid(), "node": known})

    async def status(request: Request) -> Response:
        node = services.facts()
        shown = [endpoint_status(endpoint, node) for endpoint in services.store.endpoints()]
        return JSONResponse({"endpoints": shown, "node": node_status(node)})

    async def metrics(request: Request) -> Response:
        return Response(await prometheus(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/_hostmaker/health", health),
            Route("/_hostmaker/status", status),
            *deployment_routes(services),
            *pages,
            Route("/{path:path}", manage, methods=METHODS),
        ],
        exception_handlers={StoreUnavailableError: _store_is_away, BusyError: _is_busy},
    )


async def _store_is_away(request: Request, error: Exception) -> Response:
    """Answer for one of our own pages that needs what cannot be read or written now."""
    log.error("%s: %s", request.url.path, error)
    return JSONResponse({"error": str(error)}, status_code=503)


async def _is_busy(request: Request, error: Exception) -> Response:
    """Answer for one of our own pages that takes long while many others do."""
    return JSONResponse({"error": f"{error}; try again"}, status_code=503)


def operations(services: Services) -> dict[tuple[str, str], Handler]:
    """Give the handlers of SageMaker's own operations."""
    models, configs, tags = Models(services), EndpointConfigs(services), Tags(services)
    endpoints, updates = Endpoints(services), Updates(services)
    return {
        ("sagemaker", name): handler
        for name, handler in {
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "DeleteModel": models.delete,
            "ListModels": models.list,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "DeleteEndpointConfig": configs.delete,
            "ListEndpointConfigs": configs.list,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "DeleteEndpoint": endpoints.delete,
            "ListEndpoints": endpoints.list,
            "UpdateEndpoint": updates.update,
            "UpdateEndpointWeightsAndCapacities": updates.scale,
            "AddTags": tags.add,
            "ListTags": tags.list,
            "DeleteTags": tags.delete,
            "ListMonitoringSchedules": list_monitoring_schedules,
        }.items()
    }


async def _manage(
    request: Request,
    handlers: Handlers,
    account: str,
    default_region: str,
    instance_types: frozenset[str],
    aside: Aside,
) -> Response:
    """The owner of a request: whatever goes wrong in it becomes an answer here."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    method, path, query = request.method, request.url.path, request.url.query
    service = headers.get("x-hostmaker-service")
    request_id = headers.get("x-hostmaker-request-id") or str(uuid.uuid4())
    protocol = protocol_of(method, path, query, headers, service)
    try:
        region, role = headers.get("x-hostmaker-region") or default_region, headers.get("x-hostmaker-role")
        ctx = CallContext(region, account, headers.get("x-hostmaker-access-key", ""), request_id, role)
        permit, body = partial(_permit, ctx), await request.body()
        size = len(body) + len(query) if "content-encoding" not in headers else MAX_UNPACKED_BYTES
        call = await aside.call(size, parse, method, path, query, headers, body, service, instance_types, permit)
        output = await _carry_out(handlers, call, ctx)
        return _response(await aside.call(parts_of(output), answer, call, output, request_id))
    except ApiError as error:
        failure = error
    except StoreUnavailableError as error:
        log.error("request %s: %s", request_id, error)
        failure = InternalFailure(f"{error} Nothing was changed; free some disk space and try again.")
    except BusyError as error:
        failure = ThrottlingException(f"Rate exceeded: {error}. Try again.")
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    except Exception:  # ours: the caller gets a 500, the log the traceback
        log.exception("request %s failed", request_id)
        failure = InternalFailure(f"Request {request_id} failed by a fault of the server; its log has the traceback.")
    return _response(error_answer(protocol, failure, request_id, service_of(headers, service, path)))


def _permit(ctx: CallContext, service: str, operation: str, sent: Mapping[str, Json]) -> None:
    if ctx.role is not None:
        check_operation(Caller(ctx.role, ctx.account, ctx.region), service, operation, sent)


async def _carry_out(handlers: Handlers, call: Call, ctx: CallContext) -> Output:
    handler = handlers.get((call.service, call.operation))
    if handler is None:
        raise UnknownOperationException(f"{call.service} {call.operation} is not served by this version of Hostmaker.")
    output = handler(ctx, call.input)
    return await output if inspect.isawaitable(output) else output


def _response(given: HttpAnswer) -> Response:
    response = Response(given.body, given.status)
    response.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.headers]
    return response
