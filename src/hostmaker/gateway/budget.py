"""How many bytes a gateway may keep at once, over all connections."""

from __future__ import annotations


class Budget:
    """Bytes that may be kept, and those that are."""

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self, number: int, spare: int = 0) -> bool:
        """Count bytes that are to be kept; False when there is no room but for `spare` bytes, left to others."""
        if self.taken + number > self.most - spare:
            return False
        self.taken += number
        return True

    def give(self, number: int) -> None:
        """Count them no longer."""
        self.taken -= number
        assert self.taken >= 0
