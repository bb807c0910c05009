"""Asks an instance for its health: GET /ping over its unix socket, within two seconds."""

from __future__ import annotations

import asyncio

from hostmaker.fleet.instance import Pinged

TIMEOUT_S = 2.0  # developer guide, "How your container should respond to health check (ping) requests"
REQUEST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def ping(socket: str) -> Pinged:
    """Probe once; never raises."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(REQUEST)
                line = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        return Pinged(None, f"no answer within {TIMEOUT_S:g} s")
    except (FileNotFoundError, ConnectionRefusedError):
        return Pinged(None, "nothing listens yet")
    except OSError as error:
        return Pinged(None, f"the connection broke ({error.strerror or error})")
    words = line.split(b" ")
    if len(words) < 2 or not words[1].isdigit():
        return Pinged(None, "the answer is not HTTP")
    return Pinged(int(words[1]))
