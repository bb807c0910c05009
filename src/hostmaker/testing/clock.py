"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hostmaker.kit.clock import next_anchor

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
BOOT = "boot"


class VirtualClock:
    """Implements `kit.clock.Clock` with its true rules: the machine's clock can jump, steady time only goes on."""

    def __init__(self, beginning: datetime = BEGINNING, scale: float = 1.0) -> None:
        self.seconds = 0.0
        self.machine = beginning  # what the machine's clock showed at second 0, as it is set now
        self._anchor = next_anchor(None, scale, BOOT, 0.0, beginning.timestamp())

    @property
    def scale(self) -> float:
        """How many seconds of platform time pass in a second."""
        return self._anchor.scale

    def now(self) -> datetime:
        """Platform time: aware, UTC."""
        return datetime.fromtimestamp(self.platform_s(), UTC)

    def platform_s(self) -> float:
        """Platform time in Unix seconds."""
        return self._anchor.seconds(self.seconds)

    def reopen(self) -> None:
        """Do what a process does that starts: go on from the anchor that is kept."""
        real = (self.machine + timedelta(seconds=self.seconds)).timestamp()
        self._anchor = next_anchor(self._anchor, self.scale, BOOT, self.seconds, real)

    def steady(self) -> float:
        """Seconds since the beginning."""
        return self.seconds

    def go_to(self, seconds: float) -> None:
        """Leap to a later steady second."""
        assert seconds >= self.seconds, "steady time never runs backwards"
        self.seconds = seconds

    def jump(self, by: timedelta) -> None:
        """Set the machine's clock forward or back, as someone may do."""
        self.machine += by
