"""Links between roles: JSON documents, one a line, over a unix socket.

Each side sends an empty line every second. A side that hears nothing for `SILENT_AFTER_S` ends the link: a peer that
hangs is as far away as one that has ended, and what it said last is no longer known to be true.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from hostmaker.kit.json_value import Json
from hostmaker.kit.silence import Silence

MAX_LINE_BYTES = 64 * 1024 * 1024
BEAT = b"\n"
BEAT_EVERY_S = 1.0
SILENT_AFTER_S = 5.0


class Link:
    """One connection; `send` never waits for the other side, `receive` ends when it is gone or silent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._silence = Silence.begin(self._loop.time(), BEAT_EVERY_S)
        self._timer = self._loop.call_later(BEAT_EVERY_S, self._beat)

    def send(self, document: Json) -> None:
        """Queue one document; a link that is broken drops it (the other side asks again when it is back)."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> AsyncIterator[Json]:
        """Give the documents that arrive until the other side ends the link, or is silent for `SILENT_AFTER_S`."""
        try:
            while line := await self._reader.readline():
                self._silence = self._silence.heard(self._loop.time())
                if line != BEAT:
                    yield json.loads(line)
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    def silent_s(self) -> float:
        """Return for how many seconds nothing has been heard."""
        return self._loop.time() - self._silence.heard_at

    def close(self) -> None:
        """End the link."""
        self._timer.cancel()
        self._writer.close()

    def _beat(self) -> None:
        if self._writer.is_closing():
            return
        self._silence = self._silence.look(self._loop.time())
        if self._silence.seconds() >= SILENT_AFTER_S:
            self._writer.transport.abort()
            return
        self._writer.write(BEAT)
        self._timer = self._loop.call_later(BEAT_EVERY_S, self._beat)


async def connect(path: str) -> Link:
    """Open a link to the role that listens at `path`; raises OSError."""
    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
    return Link(reader, writer)
