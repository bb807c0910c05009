"""Platform time and steady time: the only places where the clock of the machine is read.

Platform time stands in all stamps; with a scale of 60 it runs 60 times faster than the machine's, from an anchor kept
in a file, and it never runs backwards. Steady time measures durations and is never scaled.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from hostmaker.kit.files import write_atomically


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Platform time: aware, UTC, never backwards."""
        ...

    def steady(self) -> float:
        """Seconds of real time since some fixed moment; for durations."""
        ...


@dataclass(slots=True)
class PlatformClock:
    """Platform time, `scale` times faster than real time, from `anchor_platform` at `anchor_real` (Unix seconds)."""

    scale: float = 1.0
    anchor_real: float = 0.0
    anchor_platform: float = 0.0
    _latest: float = field(default=0.0, init=False)

    def now(self) -> datetime:
        """Platform time: aware, UTC, never backwards."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Platform time in Unix seconds."""
        self._latest = max(self._latest, self.anchor_platform + (time.time() - self.anchor_real) * self.scale)
        return self._latest

    def steady(self) -> float:
        """Seconds of real time since some fixed moment; for durations."""
        return time.monotonic()


def open_clock(path: Path, scale: float) -> PlatformClock:
    """Continue the clock kept at `path`, or begin one; another scale goes on from the present platform time."""
    real = time.time()
    try:
        kept = json.loads(path.read_text())
        clock = PlatformClock(kept["scale"], kept["anchor_real"], kept["anchor_platform"])
    except (FileNotFoundError, ValueError, KeyError):
        clock = PlatformClock(1.0, real, real)
    if clock.scale == scale and path.exists():
        return clock
    clock = PlatformClock(scale, real, max(clock.seconds(), clock.anchor_platform))
    document = {"scale": scale, "anchor_real": clock.anchor_real, "anchor_platform": clock.anchor_platform}
    write_atomically(path, json.dumps(document).encode())
    return clock
