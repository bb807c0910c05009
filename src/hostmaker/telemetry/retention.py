"""How long cells are kept, and into which coarser ones they are rolled then.

Source: CloudWatch user guide, "Metrics retention": under 60 s 3 hours, 60 s 15 days, 300 s 63 days, 3600 s 455 days.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
FORGOTTEN_AFTER_S = 455 * DAY_S


@dataclass(frozen=True, slots=True)
class Roll:
    """Cells of `period_s` seconds are kept for `kept_s`, then rolled into cells of `coarser_s`; None: dropped."""

    period_s: int
    kept_s: int
    coarser_s: int | None

    def before(self, now: float, oldest: int, most: int) -> int:
        """Give the start before which cells are rolled at `now`: a multiple of the coarser period.

        From `oldest` on, about `most` cells at a time. When that is not after `oldest`, nothing is to be done.
        """
        step = self.coarser_s or self.period_s
        cells = max(step, most * self.period_s // step * step)
        return min(int(now - self.kept_s) // step * step, oldest // step * step + cells)


LONG = (
    Roll(MINUTE_S, 15 * DAY_S, 300),
    Roll(300, 63 * DAY_S, HOUR_S),
    Roll(HOUR_S, FORGOTTEN_AFTER_S, None),
)
# Seconds that clients put.
THEIRS = (Roll(1, 3 * HOUR_S, MINUTE_S), *LONG)
# Of our own there are many, and no client may expect finer ones than of 10 s: seconds are for alarms.
OURS = (Roll(1, 15 * MINUTE_S, 10), Roll(10, 3 * HOUR_S, MINUTE_S), *LONG)


def rolls_of(namespace: str) -> tuple[Roll, ...]:
    """Give the rolls of a series, finest first."""
    return OURS if namespace.lower().startswith(("aws/", "/aws/")) else THEIRS
