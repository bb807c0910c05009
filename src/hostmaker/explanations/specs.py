"""Reads explainers that control has kept, by the digest that the routing table names; remembers the last ones."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from pathlib import Path

from hostmaker.clarify.prepared import Prepared, prepare

MOST = 64


class Specs:
    """The explainers of a server. What a digest names never changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: OrderedDict[str, Prepared] = OrderedDict()

    async def get(self, digest: str) -> Prepared:
        """Give an explainer, ready to explain; raises OSError and ValueError."""
        prepared = self._known.get(digest)
        if prepared is None:
            prepared = await asyncio.to_thread(self._read, digest)
        self._known[digest] = prepared
        self._known.move_to_end(digest)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return prepared

    def _read(self, digest: str) -> Prepared:
        """Read one; what cuts texts is loaded then, too, which may take a second."""
        kept = json.loads((self._directory / f"{digest}.json").read_text())
        return prepare(kept["config"], kept["baseline"])
