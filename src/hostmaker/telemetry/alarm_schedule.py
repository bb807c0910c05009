"""Says when alarms are evaluated: at the ends of minutes, of ten seconds or of seconds, a little later."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hostmaker.domain.alarm import AlarmKey

AT_ONCE = -math.inf
HOUR_S, DAY_S = 3600, 86_400
_HAIR = 1e-6  # of a step: what sums of decimal fractions may lack


@dataclass(frozen=True, slots=True)
class Pace:
    """Evaluation each `step_s` seconds of platform time, `delay_s` after they ended: that late may data come."""

    step_s: int
    delay_s: float

    def end(self, now: float) -> int:
        """Give the end of what may be looked at now."""
        return math.floor((now - self.delay_s) / self.step_s + _HAIR) * self.step_s

    def next(self, now: float) -> float:
        """Give the next moment of evaluation after `now`."""
        return self.end(now) + self.step_s + self.delay_s


@dataclass(frozen=True, slots=True)
class Cadence:
    """How late after its end a stretch is evaluated, and how long a state that was set by hand stays at least."""

    minute_delay_s: float = 5.0
    ten_seconds_delay_s: float = 1.0
    second_delay_s: float = 0.25
    hold_s: float = 10.0

    def pace(self, period_s: int, span_s: int) -> Pace:
        """Return the pace of an alarm whose periods together are `span_s`; multi-day alarms are evaluated hourly.

        Source: CloudWatch user guide, "Using Amazon CloudWatch alarms", on alarms that span more than a day.
        """
        if span_s > DAY_S:
            return Pace(HOUR_S, self.minute_delay_s)
        if period_s >= 60:
            return Pace(60, self.minute_delay_s)
        if period_s >= 10:
            return Pace(10, self.ten_seconds_delay_s)
        return Pace(1, self.second_delay_s)


class Schedule:
    """Which alarms are due: each at its pace, if it has one, and beside at single moments."""

    def __init__(self) -> None:
        self._paces: dict[AlarmKey, Pace] = {}
        self._members: dict[Pace, set[AlarmKey]] = {}
        self._next: dict[Pace, float] = {}
        self._single: dict[AlarmKey, float] = {}

    def follow(self, key: AlarmKey, pace: Pace, now: float) -> None:
        """Evaluate an alarm at a pace from now on, instead of the one before."""
        self._leave_pace(key)
        self._paces[key] = pace
        self._members.setdefault(pace, set()).add(key)
        self._next.setdefault(pace, pace.next(now))

    def also(self, key: AlarmKey, moment: float = AT_ONCE) -> None:
        """Evaluate an alarm once at a moment, too."""
        self._single[key] = moment

    def forget(self, key: AlarmKey) -> None:
        """Never evaluate an alarm again."""
        self._leave_pace(key)
        self._single.pop(key, None)

    def take(self, now: float) -> set[AlarmKey]:
        """Return the alarms to evaluate now, which are not due any more: `also` makes one that was not due again."""
        due = {key for key, moment in self._single.items() if moment <= now}
        for key in due:
            del self._single[key]
        for pace, moment in self._next.items():
            if moment <= now:
                due |= self._members[pace]
                self._next[pace] = pace.next(now)
        return due

    def wait(self, now: float) -> float | None:
        """Give the seconds until the next evaluation; None when there is none."""
        moments = [*self._next.values(), *self._single.values()]
        return max(min(moments) - now, 0.0) if moments else None

    def _leave_pace(self, key: AlarmKey) -> None:
        pace = self._paces.pop(key, None)
        if pace is None:
            return
        self._members[pace].discard(key)
        if not self._members[pace]:
            del self._members[pace], self._next[pace]
