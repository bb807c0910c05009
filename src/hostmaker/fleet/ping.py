"""Asks an instance for its health: GET /ping over its unix socket, within two seconds.

A model can have a gate: an invocation that must succeed, too. Its environment names it, HOSTMAKER_GATE_BODY and
HOSTMAKER_GATE_CONTENT_TYPE, since only its author knows what a good one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_S = 2.0  # developer guide, "How your container should respond to health check (ping) requests"
REQUEST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
EVIDENCE_BYTES = 300
GATE_TIMEOUT_S = 10.0
GATE_BODY, GATE_CONTENT_TYPE = "HOSTMAKER_GATE_BODY", "HOSTMAKER_GATE_CONTENT_TYPE"
INVOCATION = (
    "POST /invocations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    "Content-Type: {}\r\nContent-Length: {}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, or None when there was none; `detail` says what was answered or what went wrong."""

    status: int | None
    detail: str


async def probe(socket: str, environment: Mapping[str, str]) -> Answer:
    """Ping once and, where the environment names a gate, invoke once; never raises."""
    answer = await ping(socket)
    if answer.status != 200 or GATE_BODY not in environment:
        return answer
    body = environment[GATE_BODY].encode()
    head = INVOCATION.format(environment.get(GATE_CONTENT_TYPE, "application/json"), len(body)).encode()
    gate = await ping(socket, GATE_TIMEOUT_S, head + body)
    if gate.status is not None and 200 <= gate.status < 300:
        return answer
    return Answer(gate.status, f"/ping answered 200, and the gate's invocation was not answered well: {gate.detail}")


async def ping(socket: str, timeout_s: float = TIMEOUT_S, request: bytes = REQUEST) -> Answer:
    """Send one request; never raises."""
    head: list[bytes] = []
    body = b""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(request)
                head.append(await reader.readline())
                if _status(head[0]) != 200:
                    while (await reader.readuntil(b"\r\n")) != b"\r\n":
                        pass  # headers, as many as come in time
                    body = await reader.read(EVIDENCE_BYTES)
            finally:
                writer.close()
    except TimeoutError:
        trouble = f"no answer within {timeout_s:g} s"
    except (FileNotFoundError, ConnectionRefusedError):
        trouble = "nothing listens yet"
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        trouble = "an answer that is not HTTP"
    except OSError as error:
        trouble = f"a broken connection ({error.strerror or error})"
    else:
        trouble = "an answer that is not HTTP"
    status = _status(head[0]) if head else None
    return Answer(status, trouble) if status is None else Answer(status, _words(status, body))


def _status(line: bytes) -> int | None:
    words = line.split(b" ")
    is_http = len(words) >= 2 and words[0].startswith(b"HTTP/1.") and len(words[1].strip()) == 3
    return int(words[1]) if is_http and words[1].strip().isdigit() else None


def _words(status: int, body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return f"{status}: {text}" if text else str(status)
