"""Asks a model through the private socket of a gateway: HTTP/1.1, several requests under way on a connection.

Both ends are ours: an answer has a Content-Length. A connection that is closed ends what the gateway does for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MOST_HEAD = 65_536
SEND_BUFFER = 1 << 20  # bytes that the kernel may hold, so that the model's records are on their way at once


class NoGatewayError(Exception):
    """The gateway cannot be reached, or has broken the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `outcome` is how the gateway fared; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def outcome(self) -> bytes:
        """`answered` by an instance, `moved` or `failed`."""
        return self.headers.get(b"x-hostmaker-outcome", b"")

    @property
    def content_type(self) -> str:
        """Content-Type, as the instance gave it."""
        return self.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")


class Lane:
    """One connection to a gateway's private socket.

    A request may be sent before the one before it is answered: it waits in the gateway, and goes to the model as soon
    as that is free. So answers come in the order of the requests.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: deque[bytes] = deque()  # requests that are not answered
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._has_answered = False  # on this connection
        self.free_since = 0.0  # for who measures: a reading of a clock, when the last answer came

    async def send(self, target: bytes, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a request, whole; raises NoGatewayError."""
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (target, len(body), lines)
        self._pending.append(head + body)
        if self._writer is None:
            await self._connect()
        else:
            await self._write(self._pending[-1])

    async def receive(self) -> Answer:
        """Give the answer to the earliest request that has none; raises NoGatewayError."""
        answer = await self._read()
        if answer is None and self._has_answered:  # a gateway that ends closes after an answer, and takes new ones
            await self._connect()
            answer = await self._read()
        if answer is None:
            raise NoGatewayError("the gateway has closed the connection")
        self._pending.popleft()
        self._has_answered = True
        return answer

    def close(self) -> None:
        """Break the connection off, and with it what is under way."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = self._reader = None

    async def _connect(self) -> None:
        """Make a connection, and send on it whatever is not answered."""
        self.close()
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=MOST_HEAD)
        except OSError as error:
            raise NoGatewayError(f"the gateway cannot be reached: {error}") from error
        self._has_answered = False
        self._writer.transport.set_write_buffer_limits(0)  # drained means written
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        for request in self._pending:
            await self._write(request)

    async def _write(self, request: bytes) -> None:
        assert self._writer is not None
        with suppress(ConnectionError):  # whoever waits for the answer is told
            self._writer.write(request)
            await self._writer.drain()

    async def _read(self) -> Answer | None:
        """Give the next answer; None when the connection was closed before any byte of it."""
        if self._reader is None:
            return None
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            fields = (line.partition(b":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            body = await self._reader.readexactly(int(headers[b"content-length"]))
            return Answer(int(first.split(b" ")[1]), headers, body)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise NoGatewayError("the gateway has closed the connection in the middle of an answer") from error
            return None
        except ConnectionError:
            return None
        except (asyncio.LimitOverrunError, ValueError, KeyError, IndexError) as error:
            raise NoGatewayError(f"the gateway has answered what cannot be read: {error}") from error


def inside(region: str, endpoint: str, variant: str, config: str) -> bytes:
    """Give the path on which a gateway asks a variant under one config."""
    return (
        f"/_hostmaker/inside/{'/'.join(quote(each, safe='') for each in (region, endpoint, variant, config))}".encode()
    )
