"""Control's end of the links: gateways and nodes connect, say who they are, and are told what they should have.

The adapters of the ports `Node` and `Routes`. What was sent is remembered whole, so whoever comes back is told again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from hostmaker.domain.fleet import Known, Unknown
from hostmaker.domain.messages import (
    GATEWAY_MESSAGES,
    HELLOS,
    NODE_MESSAGES,
    DesiredInstances,
    GatewayHello,
    NodeFacts,
    NodeHello,
    NodeUsage,
    TableAck,
    TablePush,
)
from hostmaker.domain.routing import RoutingTable, TableChange
from hostmaker.kit.codec import CodecError, decode_tagged, encode, encode_tagged
from hostmaker.kit.counts import Counts
from hostmaker.kit.files import lock_holder, write_atomically
from hostmaker.kit.json_value import Json
from hostmaker.kit.links import MAX_LINE_BYTES, Link


class Hub:
    """Listens on a unix socket for the roles of this machine."""

    def __init__(self, run_dir: Path, counts: Counts, now: Callable[[], datetime]) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.take_usage: Callable[[NodeUsage], None] = lambda usage: None
        self._run_dir = run_dir
        self._counts = counts
        self._now = now
        self._node: Link | None = None
        self._facts: Known | Unknown = Unknown(now())
        self._desired: DesiredInstances | None = None
        self._gateways: dict[int, Link] = {}
        self._acknowledged: dict[int, int] = {}
        self._published = 0

    async def serve(self) -> None:
        """Listen for ever."""
        path = self._run_dir / "link.sock"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._accept, path, limit=MAX_LINE_BYTES)
        async with server:
            await server.serve_forever()

    # Port `Node`

    def put(self, desired: DesiredInstances) -> None:
        """Send the whole set that should run; kept for a node that comes later."""
        self._desired = desired
        if self._node is not None:
            self._node.send(encode_tagged(desired))

    def seen(self) -> Known | Unknown:
        """Give the facts the node told last."""
        return self._facts

    # Port `Routes`

    def publish(self, table: RoutingTable, change: TableChange) -> None:
        """Write the table file, then send the change to every gateway."""
        write_atomically(self._run_dir / "table.json", json.dumps(encode(table)).encode())
        self._published = table.version
        for link in self._gateways.values():
            link.send(encode_tagged(TablePush(change)))

    def acknowledged(self) -> int | None:
        """Give the lowest version served; a gateway that lives but has not said so serves version 0."""
        return min((self._acknowledged.get(index, 0) for index in self._living()), default=None)

    def is_served(self) -> bool:
        """Whether every living gateway, and there is one, serves the newest table."""
        served = self.acknowledged()
        return served is not None and served >= self._published > 0

    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        """Give the requests inside instances, over all living gateways."""
        living = self._living()
        return {slot: count for slot in slots if (count := self._counts.outstanding(slot, living))}

    def _living(self) -> list[int]:
        locks = (self._run_dir / "gateways").glob("*.lock")
        return [int(lock.stem) for lock in locks if lock_holder(lock) is not None]

    # Links

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer)
        documents = link.receive()
        try:
            with suppress(StopAsyncIteration, CodecError):
                document = await anext(documents)
                hello = decode_tagged(HELLOS, document)
                if isinstance(hello, GatewayHello):
                    await self._serve_gateway(hello, link)
                elif isinstance(hello, NodeHello):
                    await self._serve_node(hello, link)
        finally:
            link.close()

    async def _serve_gateway(self, hello: GatewayHello, link: Link) -> None:
        self._gateways[hello.index] = link
        self._acknowledged[hello.index] = hello.version
        if hello.version != self._published:
            # It read the table file before the newest was there; a base that it cannot have makes it read again.
            link.send(encode_tagged(TablePush(TableChange(base=-1, version=self._published))))
        self.wake()
        try:
            async for document in link.receive():
                message = decode_tagged(GATEWAY_MESSAGES, document)
                if isinstance(message, TableAck):
                    self._acknowledged[hello.index] = message.version
                    self.wake()
        finally:
            if self._gateways.get(hello.index) is link:
                del self._gateways[hello.index]
                self._acknowledged.pop(hello.index, None)
            self.wake()

    async def _serve_node(self, hello: NodeHello, link: Link) -> None:
        if self._node is not None:
            self._node.close()
        self._node = link
        if self._desired is not None:
            link.send(encode_tagged(self._desired))
        try:
            async for document in link.receive():
                self._hear(document)
        finally:
            if self._node is link:
                self._node = None
                self._facts = Unknown(self._now() - timedelta(seconds=link.silent_s()))
                self.wake()

    def _hear(self, document: Json) -> None:
        message = decode_tagged(NODE_MESSAGES, document)
        if isinstance(message, NodeFacts):
            self._facts = Known(message.generation, {fact.instance_id: fact for fact in message.instances})
            self.wake()
        elif isinstance(message, NodeUsage):
            self.take_usage(message)
