"""From the bytes of a management request to a `Call`. The signature has been verified by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hostmaker.domain.errors import UnknownOperationException, ValidationError, ValidationException
from hostmaker.domain.permissions import wrong_service
from hostmaker.kit.json_value import Json
from hostmaker.wire import json_protocol, query, rpc_cbor
from hostmaker.wire.body import unpack
from hostmaker.wire.service_model import Operation, Protocol, Service, management_services
from hostmaker.wire.validate import find_violations, sentence

__all__ = ["Call", "Protocol", "parse", "protocol_of", "service_of"]

_TARGET = "x-amz-target"
Permit = Callable[[str, str, Mapping[str, Json]], None]
"""Raises an ApiError for what a caller may not do: service, operation, and its input before it is judged."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is valid by the model: timestamps are float epoch seconds, blobs base64 text."""

    service: str
    operation: str
    protocol: Protocol
    input: dict[str, Json]


def parse(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    scope_service: str | None,
    extra_instance_types: frozenset[str] = frozenset(),
    permit: Permit = lambda service, operation, sent: None,
) -> Call:
    """Give the call that a request makes. Header names are lower-case; `scope_service` is the signature's, if any.

    Routes by `X-Amz-Target`, then by a path of RPC v2, then by the scope, then by `Action=`. Raises
    UnknownOperationException, SerializationException, and ValidationException (Query: ValidationError) in AWS's
    sentences; AuthError for a signature that is scoped to another service than the one called; what `permit` raises.
    """
    if _TARGET in headers:
        service, operation, protocol, sent = _read_json(method, path, headers, body, scope_service)
    elif target := rpc_cbor.target_of(path):
        service, operation, protocol, sent = _read_cbor(method, target, headers, body, scope_service)
    elif path == "/" and method in ("GET", "POST"):
        service, operation, protocol, sent = _read_query(query, headers, body, scope_service)
    else:
        raise UnknownOperationException(f"{method} {path} names no operation. Management requests are POST /.")
    permit(service.name, operation.name, sent)
    # Instance types stand in what SageMaker is asked alone, and SageMaker is asked in JSON.
    extra = extra_instance_types if protocol in (Protocol.JSON_1_0, Protocol.JSON_1_1) else frozenset[str]()
    if found := find_violations(operation.input, sent, extra) if operation.input else ():
        raise (ValidationError if protocol is Protocol.QUERY else ValidationException)(sentence(found))
    return Call(service.name, operation.name, protocol, sent)


def protocol_of(
    method: str, path: str, query: str, headers: Mapping[str, str], scope_service: str | None = None
) -> Protocol:
    """Give the protocol to answer an error in, also for a request that cannot be parsed."""
    content_type = headers.get("content-type", "")
    if _TARGET not in headers and rpc_cbor.target_of(path):
        return Protocol.RPC_V2_CBOR
    if _TARGET in headers or content_type.startswith("application/x-amz-json"):
        return Protocol.JSON_1_0 if content_type.startswith("application/x-amz-json-1.0") else Protocol.JSON_1_1
    if path.startswith("/endpoints/"):
        return Protocol.REST_JSON
    if content_type.startswith("application/x-www-form-urlencoded") or "Action=" in query:
        return Protocol.QUERY
    service = _by_scope(scope_service)
    return service.protocol if service else Protocol.JSON_1_1


def service_of(headers: Mapping[str, str], scope_service: str | None, path: str = "/") -> str | None:
    """Give the name of the service that is asked, as `error_answer` wants it; None when that cannot be told."""
    prefix = headers.get(_TARGET, "").rpartition(".")[0]
    if not prefix and (target := rpc_cbor.target_of(path)):
        prefix = target[0]
    service = _by_target(prefix) if prefix else _by_scope(scope_service)
    return service.name if service else None


_Read = tuple[Service, Operation, Protocol, dict[str, Json]]


def _read_json(method: str, path: str, headers: Mapping[str, str], body: bytes, scope: str | None) -> _Read:
    target = headers[_TARGET]
    prefix, _, name = target.rpartition(".")
    service = _by_target(prefix)
    if service is None:
        raise UnknownOperationException(f"{_short(target)} is not served here. {_served_targets()}")
    _check_scope(service, scope)
    if (method, path) != ("POST", "/"):
        raise UnknownOperationException(f"{_short(target)} is asked by POST /, not by {method} {_short(path)}.")
    operation = _operation(service, name)
    sent = json_protocol.read_body(operation.input, unpack(body, headers.get("content-encoding", "")))
    return service, operation, protocol_of(method, path, "", headers), sent


def _read_cbor(
    method: str, target: tuple[str, str], headers: Mapping[str, str], body: bytes, scope: str | None
) -> _Read:
    prefix, name = target
    service = _by_target(prefix)
    if service is None or Protocol.RPC_V2_CBOR not in service.protocols:
        raise UnknownOperationException(f"{_short(prefix)} is not served in CBOR here. {_served_in_cbor()}")
    _check_scope(service, scope)
    if method != "POST" or headers.get(rpc_cbor.HEADER) != rpc_cbor.NAME:
        raise UnknownOperationException(
            f"{service.name} {_short(name)} is asked by POST with Smithy-Protocol: {rpc_cbor.NAME}, "
            f"not by {method} with {_short(headers.get(rpc_cbor.HEADER, 'none'))}."
        )
    operation = _operation(service, name)
    sent = rpc_cbor.read_body(operation.input, unpack(body, headers.get("content-encoding", "")))
    return service, operation, Protocol.RPC_V2_CBOR, sent


def _read_query(text: str, headers: Mapping[str, str], body: bytes, scope: str | None) -> _Read:
    form = query.read_form(text, unpack(body, headers.get("content-encoding", "")) if _is_form(headers) else b"")
    name = form.get("Action")
    if name is None:
        raise UnknownOperationException("The request names no operation: neither X-Amz-Target nor Action= is there.")
    service = _by_scope(scope) or _by_action(name)
    if service is None or Protocol.QUERY not in service.protocols:
        where = f" of service {scope}" if scope else ""
        raise UnknownOperationException(f"{_short(name)}{where} is not served here. {_served_actions()}")
    _check_scope(service, scope, is_query=True)
    operation = _operation(service, name)
    return service, operation, Protocol.QUERY, query.read_parameters(operation.input, form)


def _check_scope(service: Service, scope: str | None, is_query: bool = False) -> None:
    if scope is not None and scope != service.signing_name:
        raise wrong_service(service.signing_name, is_query)


def _operation(service: Service, name: str) -> Operation:
    if (operation := service.operations.get(name)) is None:
        served = ", ".join(service.operations)
        raise UnknownOperationException(f"{service.name} {_short(name)} is not served here. Served: {served}.")
    return operation


def _by_target(prefix: str) -> Service | None:
    return next((service for service in management_services() if service.target_prefix == prefix), None)


def _by_scope(scope_service: str | None) -> Service | None:
    if scope_service is None:
        return None
    return next((service for service in management_services() if service.signing_name == scope_service), None)


def _by_action(name: str) -> Service | None:
    return next((service for service in _that_speak(Protocol.QUERY) if name in service.operations), None)


def _is_form(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "")
    return not kind or kind.startswith(("application/x-www-form-urlencoded", "text/plain"))


def _served_targets() -> str:
    served = (service for service in management_services() if service.target_prefix)
    return f"Served: {', '.join(f'{service.name} ({service.target_prefix}.*)' for service in served)}."


def _served_actions() -> str:
    served = (service.name + ": " + ", ".join(service.operations) for service in _that_speak(Protocol.QUERY))
    return "Served: " + "; ".join(served) + "."


def _served_in_cbor() -> str:
    return f"Served: {', '.join(f'{each.target_prefix} ({each.name})' for each in _that_speak(Protocol.RPC_V2_CBOR))}."


def _that_speak(protocol: Protocol) -> Iterator[Service]:
    return (service for service in management_services() if protocol in service.protocols)


def _short(text: str) -> str:
    return text if len(text) <= 256 else text[:256] + "..."
