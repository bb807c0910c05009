"""Alarms that have the state they are told to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from hostmaker.domain.alarm import AlarmReading, AlarmState


class FakeAlarms:
    """Implements `ports.Alarms`. They outlive control, as those of a database do."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._readings: dict[tuple[str, str], AlarmReading] = {}

    def put(self, region: str, name: str, state: AlarmState, reason: str = "") -> None:
        """Give an alarm a state; one that did not exist exists from now on."""
        self._readings[region, name] = AlarmReading(state, self._now(), reason or f"set to {state.value}")

    def delete(self, region: str, name: str) -> None:
        """Delete an alarm."""
        self._readings.pop((region, name), None)

    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        """Give what is known of alarms by name; one that does not exist is not in it."""
        return {name: self._readings[region, name] for name in names if (region, name) in self._readings}
