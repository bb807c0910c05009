"""Settings of the decisions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the decisions, in real seconds; `alarm_poll_s` in platform seconds."""

    drain_s: float = 60.0
    replace_first_s: float = 1.0
    replace_longest_s: float = 60.0
    starts_a_minute: int = 10  # replacements of a variant; at least as many as it has instances: each can be lost once
    settled_s: float = 10.0  # in service, after which a failure is the first one again
    out_of_service_s: float = 300.0
    alarm_poll_s: float = 300.0  # between two looks at alarms, beside what they tell by themselves at once
