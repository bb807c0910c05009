"""Sends the same request again and again over a few kept connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httptools


@dataclass
class Left:
    """How many requests are still to be begun, and answered."""

    begun: int
    answered: int
    done: asyncio.Future[None]


class Caller(asyncio.Protocol):
    """One connection: the next request follows the answer."""

    def __init__(self, request: bytes, left: Left) -> None:
        self.request = request
        self.left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.left.done.done():
            self.left.done.set_exception(ConnectionError("the connection was closed"))

    def ask(self) -> None:
        if self.left.begun:
            self.left.begun -= 1
            self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() != 200 and not self.left.done.done():
            self.left.done.set_exception(RuntimeError(f"answered {self.parser.get_status_code()}"))
        self.left.answered -= 1
        if not self.left.answered and not self.left.done.done():
            self.left.done.set_result(None)
        self.ask()


async def send(port: int, request: bytes, count: int, connections: int) -> None:
    """Have `count` requests answered with 200; raises when one is not."""
    loop = asyncio.get_running_loop()
    left = Left(count, count, loop.create_future())
    made = [await loop.create_connection(lambda: Caller(request, left), "127.0.0.1", port) for _ in range(connections)]
    async with asyncio.timeout(30):
        await left.done
    for transport, _ in made:
        transport.abort()
