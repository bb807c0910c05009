"""From plain values, or an error, to the bytes of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from hostmaker.domain.errors import ApiError, ValidationError, ValidationException
from hostmaker.domain.permissions import AccessDenied, ObjectAccessDenied
from hostmaker.wire import json_protocol, query, rpc_cbor
from hostmaker.wire.request import Call
from hostmaker.wire.service_model import Protocol, Service, load_service


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, whole: Content-Length is among the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def answer(call: Call, output: Mapping[str, object] | None, request_id: str) -> HttpAnswer:
    """Give the success of `call`; members of `output` that are None are left out, `{}` and `[]` stay.

    Times may be `datetime` or epoch seconds, blobs `bytes` or base64. An operation without output has an empty body.
    """
    service = load_service(call.service)
    operation = service.operations[call.operation]
    match call.protocol:
        case Protocol.QUERY:
            body = query.write_answer(operation, output, service.xml_namespace, request_id)
        case Protocol.JSON_1_0 | Protocol.JSON_1_1 | Protocol.REST_JSON:
            body = json_protocol.write_body(operation.output, output or {}) if operation.output else b""
        case Protocol.RPC_V2_CBOR:
            body = rpc_cbor.write_body(operation.output, output or {}) if operation.output else b""
        case _:
            assert_never(call.protocol)
    return _answer(200, call.protocol, request_id, body)


def error_answer(protocol: Protocol, error: ApiError, request_id: str, service: str | None = None) -> HttpAnswer:
    """Give the answer for `error` in `protocol`; `service` lets modelled codes and the XML namespace be used."""
    asked = load_service(service) if service else None
    code, status = _code_and_status(asked, error, protocol)
    match protocol:
        case Protocol.QUERY:
            namespace = asked.xml_namespace if asked else None
            body = query.write_error(code, error.message, error.members, status >= 500, namespace, request_id)
        case Protocol.JSON_1_0 | Protocol.JSON_1_1:
            body = json_protocol.write_error(code, error.message, error.members)
        case Protocol.REST_JSON:
            body = json_protocol.dump({**error.members, "Message": error.message})
        case Protocol.RPC_V2_CBOR:
            body = rpc_cbor.write_error(code, error.message, error.members)
        case _:
            assert_never(protocol)
    extra = (("x-amzn-ErrorType", code), *(() if protocol is Protocol.QUERY else query_error_headers(asked, error)))
    return _answer(status, protocol, request_id, body, extra)


def query_error_headers(service: Service | None, error: ApiError) -> tuple[tuple[str, str], ...]:
    """Give the header from which clients of a service that once spoke Query take the code; none for others."""
    if service is None or not service.is_query_compatible:
        return ()
    code, status = _code_and_status(service, error, Protocol.QUERY)
    return (("x-amzn-query-error", f"{code};{'Receiver' if status >= 500 else 'Sender'}"),)


def _code_and_status(service: Service | None, error: ApiError, protocol: Protocol) -> tuple[str, int]:
    """Give code and status as `protocol` has them: the code of Query may differ from the name of the exception's shape.

    An error of a service that speaks Query and others may carry either.
    """
    if protocol is not Protocol.QUERY and not (service and service.is_query_compatible):
        return error.code, error.status
    if protocol is Protocol.QUERY and error.code == ValidationException.code:
        return ValidationError.code, error.status
    if protocol is Protocol.QUERY and error.code == AccessDenied.code:
        return ObjectAccessDenied.code, ObjectAccessDenied.status
    shape = service.error_shape(error.code) if service else None
    if shape is None:
        return error.code, error.status
    code = shape.error_code or shape.name if protocol is Protocol.QUERY else shape.name
    return code, shape.error_status or error.status


def _answer(
    status: int, protocol: Protocol, request_id: str, body: bytes, extra: tuple[tuple[str, str], ...] = ()
) -> HttpAnswer:
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", _CONTENT_TYPES[protocol])]
    if protocol is Protocol.RPC_V2_CBOR:
        # Clients refuse an answer without the first; a type without a body would be of no document at all.
        headers = [headers[0], (rpc_cbor.HEADER, rpc_cbor.NAME), *(headers[1:] if body else ())]
    return HttpAnswer(status, (*headers, ("Content-Length", str(len(body))), *extra), body)


_CONTENT_TYPES = {
    Protocol.JSON_1_0: "application/x-amz-json-1.0",
    Protocol.JSON_1_1: "application/x-amz-json-1.1",
    Protocol.QUERY: "text/xml",
    Protocol.REST_JSON: "application/json",
    Protocol.RPC_V2_CBOR: "application/cbor",
}
