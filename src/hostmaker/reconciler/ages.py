"""How long things have been as they are, in real seconds of this process: jumps of the clock change nothing."""

from __future__ import annotations

from collections.abc import Iterable


class Ages:
    """Timers by name. A timer starts when its name first appears and is dropped when the name no longer does."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def read(self, names: Iterable[str], steady: float) -> dict[str, float]:
        """Give the age of each named timer in seconds at `steady`, starting new ones and dropping all others."""
        self._started = {name: self._started.get(name, steady) for name in names}
        return {name: steady - started for name, started in self._started.items()}
