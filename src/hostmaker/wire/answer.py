"""From plain values, or an error, to the bytes of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from hostmaker.domain.errors import ApiError
from hostmaker.wire import json_protocol, query
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
        case _:
            assert_never(call.protocol)
    return _answer(200, call.protocol, request_id, body)


def error_answer(protocol: Protocol, error: ApiError, request_id: str, service: str | None = None) -> HttpAnswer:
    """Give the answer for `error` in `protocol`; `service` lets modelled codes and the XML namespace be used."""
    asked = load_service(service) if service else None
    code, status = error.code, error.status
    match protocol:
        case Protocol.QUERY:
            code, status = _query_code(asked, error)
            namespace = asked.xml_namespace if asked else None
            body = query.write_error(code, error.message, error.members, status >= 500, namespace, request_id)
        case Protocol.JSON_1_0 | Protocol.JSON_1_1:
            body = json_protocol.write_error(code, error.message, error.members)
        case Protocol.REST_JSON:
            body = json_protocol.dump({**error.members, "Message": error.message})
        case _:
            assert_never(protocol)
    extra = (("x-amzn-ErrorType", code), *(() if protocol is Protocol.QUERY else query_error_headers(asked, error)))
    return _answer(status, protocol, request_id, body, extra)


def _query_code(service: Service | None, error: ApiError) -> tuple[str, int]:
    """Give code and status as the Query protocol has them: they may differ from the name of the exception's shape."""
    shape = service.error_shape(error.code) if service else None
    if shape is None:
        return error.code, error.status
    return shape.error_code or error.code, shape.error_status or error.status


def query_error_headers(service: Service | None, error: ApiError) -> tuple[tuple[str, str], ...]:
    """Give the header from which clients of a service that once spoke Query take the code; none for others."""
    if service is None or not service.is_query_compatible:
        return ()
    code, _ = _query_code(service, error)
    return (("x-amzn-query-error", f"{code};{'Receiver' if error.status >= 500 else 'Sender'}"),)


def _answer(
    status: int, protocol: Protocol, request_id: str, body: bytes, extra: tuple[tuple[str, str], ...] = ()
) -> HttpAnswer:
    headers = (
        ("x-amzn-RequestId", request_id),
        ("Content-Type", _CONTENT_TYPES[protocol]),
        ("Content-Length", str(len(body))),
        *extra,
    )
    return HttpAnswer(status, headers, body)


_CONTENT_TYPES = {
    Protocol.JSON_1_0: "application/x-amz-json-1.0",
    Protocol.JSON_1_1: "application/x-amz-json-1.1",
    Protocol.QUERY: "text/xml",
    Protocol.REST_JSON: "application/json",
}
