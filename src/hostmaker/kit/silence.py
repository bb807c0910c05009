"""How long somebody has been silent, less the time in which we ourselves stood still. Pure.

Whoever listens may be held up as well: the machine sleeps, a container is paused, a debugger holds the listener. What
was said meanwhile is not read yet, so a look that comes late judges nobody by the time it missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Silence:
    """When somebody was last heard, and when we last looked, in steady seconds. Looks come every `every_s` seconds."""

    heard_at: float
    looked_at: float
    every_s: float

    @classmethod
    def begin(cls, now: float, every_s: float) -> Silence:
        """Return the silence of somebody who is heard now."""
        return cls(now, now, every_s)

    def heard(self, now: float) -> Silence:
        """Return the silence after a sign of life."""
        return replace(self, heard_at=max(self.heard_at, now))

    def look(self, now: float) -> Silence:
        """Return the silence after a look: by as much as the look is late, the last sign of life moves forward."""
        late_s = now - self.looked_at - self.every_s
        missed_s = late_s if late_s > self.every_s else 0.0
        return replace(self, looked_at=now, heard_at=min(now, self.heard_at + missed_s))

    def seconds(self) -> float:
        """Return the length of the silence at the last look, in seconds; never negative."""
        return max(0.0, self.looked_at - self.heard_at)
