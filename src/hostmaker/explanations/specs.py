"""Reads explainers that control has kept, by the digest that the routing table names; remembers the last ones."""

from __future__ import annotations

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

    def read(self, digest: str) -> Prepared:
        """Give an explainer, ready to explain; raises OSError and ValueError."""
        prepared = self._known.get(digest)
        if prepared is None:
            kept = json.loads((self._directory / f"{digest}.json").read_text())
            prepared = self._known[digest] = prepare(kept["config"], kept["baseline"])
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(digest)
        return prepared
