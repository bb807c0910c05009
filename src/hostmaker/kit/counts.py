"""Outstanding requests in shared memory: a row for each gateway, a column (slot) for each instance.

Each gateway writes its own row alone; everybody reads all. Readers leave out the rows of gateways that do not live.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from hostmaker.kit.slots import SLOTS

ROWS = 64


class Counts:
    """The mapped file; made when it is not there."""

    def __init__(self, path: Path) -> None:
        size = ROWS * SLOTS * 4
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.cells = memoryview(self._map).cast("I")

    def row(self, index: int) -> memoryview:
        """Give the cells of one gateway, set to zero: for its owner, at its start."""
        row = self.cells[index * SLOTS : (index + 1) * SLOTS]
        for slot in range(SLOTS):
            row[slot] = 0
        return row

    def outstanding(self, slot: int, rows: Iterable[int]) -> int:
        """Give the requests inside the instance of a slot, over these gateways."""
        return sum(self.cells[row * SLOTS + slot] for row in rows)
