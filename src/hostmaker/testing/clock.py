"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Implements `kit.clock.Clock`. Platform time can jump; steady time only goes on."""

    def __init__(self, beginning: datetime = BEGINNING) -> None:
        self.seconds = 0.0
        self._beginning = beginning

    def now(self) -> datetime:
        """Platform time: aware, UTC."""
        return self._beginning + timedelta(seconds=self.seconds)

    def steady(self) -> float:
        """Seconds since the beginning."""
        return self.seconds

    def go_to(self, seconds: float) -> None:
        """Leap to a later steady second."""
        assert seconds >= self.seconds, "steady time never runs backwards"
        self.seconds = seconds

    def jump(self, by: timedelta) -> None:
        """Set platform time forward or back, as someone may do to a machine's clock."""
        self._beginning += by
