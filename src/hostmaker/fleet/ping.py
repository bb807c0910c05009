"""Asks an instance for its health: GET /ping over its unix socket, within two seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

TIMEOUT_S = 2.0  # developer guide, "How your container should respond to health check (ping) requests"
REQUEST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
EVIDENCE_BYTES = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, or None when there was none; `detail` says what was answered or what went wrong."""

    status: int | None
    detail: str


async def ping(socket: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """Probe once; never raises."""
    head: list[bytes] = []
    body = b""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(REQUEST)
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
