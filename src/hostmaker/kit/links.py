"""Links between roles: JSON documents, one a line, over a unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from hostmaker.kit.json_value import Json

MAX_LINE_BYTES = 64 * 1024 * 1024


class Link:
    """One connection; `send` never waits for the other side, `receive` ends when it is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, document: Json) -> None:
        """Queue one document; a link that is broken drops it (the other side asks again when it is back)."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> AsyncIterator[Json]:
        """Give the documents that arrive until the other side ends the link."""
        try:
            while line := await self._reader.readline():
                yield json.loads(line)
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    def close(self) -> None:
        """End the link."""
        self._writer.close()


async def connect(path: str) -> Link:
    """Open a link to the role that listens at `path`; raises OSError."""
    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
    return Link(reader, writer)
