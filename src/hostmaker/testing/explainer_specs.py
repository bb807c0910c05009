"""Explainers kept in memory."""

from __future__ import annotations

import hashlib


class MemoryExplainerSpecs:
    """Implements `ports.ExplainerSpecs`; `kept` are the contents by digest."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def keep(self, content: bytes) -> str:
        """Keep a content, and give its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.kept[digest] = content
        return digest
