"""Asks a model through the private socket of a gateway: HTTP/1.1 over kept connections, one request at a time on each.

Both ends are ours: an answer has a Content-Length. A call that is cancelled closes its connection, so that the gateway
ends what it does for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MOST_HEAD = 65_536
MOST_IDLE = 16
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


class Gateway:
    """One gateway's private socket, with the connections to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(
        self,
        target: bytes,
        fields: Iterable[tuple[bytes, bytes]],
        body: bytes,
        sent: Callable[[], None] | None = None,
    ) -> Answer:
        """Send a request, and give its answer; `sent` is called when all is written. Raises NoGatewayError."""
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (
            target,
            len(body),
            b"".join(b"%b: %b\r\n" % field for field in fields),
        )
        while self._idle:
            answer = await self._exchange(*self._idle.pop(), head, body, sent)
            if answer is not None:
                return answer
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MOST_HEAD)
        except OSError as error:
            raise NoGatewayError(f"the gateway cannot be reached: {error}") from error
        writer.transport.set_write_buffer_limits(0)  # drained means written
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        answer = await self._exchange(reader, writer, head, body, sent)
        if answer is None:
            raise NoGatewayError("the gateway has closed the connection")
        return answer

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: bytes,
        body: bytes,
        sent: Callable[[], None] | None,
    ) -> Answer | None:
        """Give the answer on one connection; None when it was closed before any byte of it."""
        is_whole = False
        try:
            writer.write(head + body)
            await writer.drain()
            if sent is not None:
                sent()
            told = await reader.readuntil(b"\r\n\r\n")
            answer = await self._read(reader, told)
            is_whole = True
            return answer
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise NoGatewayError("the gateway has closed the connection in the middle of an answer") from error
            return None
        except ConnectionError:
            return None
        except (asyncio.LimitOverrunError, ValueError, KeyError) as error:
            raise NoGatewayError(f"the gateway has answered what cannot be read: {error}") from error
        finally:
            if is_whole and len(self._idle) < MOST_IDLE:
                self._idle.append((reader, writer))
            else:
                writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, head: bytes) -> Answer:
        first, *lines = head[:-4].split(b"\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers[b"content-length"]))
        return Answer(int(first.split(b" ")[1]), headers, body)


def inside(region: str, endpoint: str, variant: str, config: str) -> bytes:
    """Give the path on which a gateway asks a variant under one config."""
    return (
        f"/_hostmaker/inside/{'/'.join(quote(each, safe='') for each in (region, endpoint, variant, config))}".encode()
    )
