"""Answers of the gateway itself, as bytes: heads, errors of the runtime API and of S3, event-stream frames."""

from __future__ import annotations

import json
import struct
import zlib
from http import HTTPStatus
from xml.sax.saxutils import escape

from hostmaker.domain.errors import ApiError

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {530: b"Internal Dependency"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"


def head(status: int, length: int, fields: bytes, ident: bytes, at: bytes, keep_alive: bool) -> bytes:
    """Give the head of an answer; `fields` are whole header lines, `ident` the request's id, `at` platform time."""
    end = b"\r\n" if keep_alive else CLOSE
    return b"HTTP/1.1 %d %b\r\nContent-Length: %d\r\n%bx-amzn-RequestId: %b\r\nx-hostmaker-time: %b\r\n%b" % (
        status, REASONS.get(status, b"Status"), length, fields, ident, at, end,
    )  # fmt: skip


def stream_head(fields: bytes, ident: bytes, at: bytes, is_chunked: bool, keep_alive: bool) -> bytes:
    """Give the head of an answer whose length is not known yet."""
    coding = b"Transfer-Encoding: chunked\r\n" if is_chunked else b""
    end = b"\r\n" if keep_alive else CLOSE
    return b"HTTP/1.1 200 OK\r\n%b%bx-amzn-RequestId: %b\r\nx-hostmaker-time: %b\r\n%b" % (
        coding, fields, ident, at, end,
    )  # fmt: skip


def runtime_error(error: ApiError) -> tuple[bytes, bytes]:
    """Give header lines and body of an error of the runtime API.

    botocore takes the code from the header; keys of the body are capitalised, as the service has them.
    """
    document = {"Message": error.message, **error.members}
    fields = f"Content-Type: application/json\r\nx-amzn-ErrorType: {error.code}\r\n".encode("latin-1", "replace")
    return fields, json.dumps(document).encode()


def s3_error(code: str, message: str) -> tuple[bytes, bytes]:
    """Give header lines and body of an error in the place of the object store."""
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
    return b"Content-Type: application/xml\r\n", body.encode()


def payload_part(part: bytes) -> bytes:
    """Give an event-stream frame of type PayloadPart around `part`."""
    return _frame(((":message-type", "event"), (":event-type", "PayloadPart"), _OCTETS), part)


def stream_exception(error_code: str, message: str) -> bytes:
    """Give the frame that tells a reader that the stream has failed: ModelStreamError."""
    body = json.dumps({"Message": message, "ErrorCode": error_code}).encode()
    kinds = ((":message-type", "exception"), (":exception-type", "ModelStreamError"))
    return _frame((*kinds, (":content-type", "application/json")), body)


_OCTETS = (":content-type", "application/octet-stream")


def _frame(headers: tuple[tuple[str, str], ...], payload: bytes) -> bytes:
    """Prelude, its CRC, headers, payload, CRC of all; numbers are big-endian. Source: the event stream encoding."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    content = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return content + struct.pack("!I", zlib.crc32(content))
