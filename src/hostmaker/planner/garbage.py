"""Which of the things that are kept for a while have to go, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Kept:
    """Something on disk: what it is called, its size in bytes, when it was last used."""

    name: str
    size: int
    last_used: datetime
    is_in_use: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long something is kept after its last use, and how many bytes all of it may take, what is in use included."""

    keep: timedelta
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """One thing that goes; `why` ends the sentence "removed, because"."""

    name: str
    size: int
    why: str


def collect(kept: Iterable[Kept], bounds: Bounds, now: datetime) -> tuple[Removal, ...]:
    """Give what goes: what is too old, then the least recently used until the rest fits. Never what is in use.

    A last use in the future (a clock set back) counts as now.
    """
    everything = sorted(kept, key=lambda each: (each.last_used, each.name))
    size = sum(each.size for each in everything)
    removals = []
    for each in everything:
        if each.is_in_use:
            continue
        age = now - each.last_used
        if age > bounds.keep:
            why = f"it was last used {age.total_seconds() / 86400:.1f} days ago, and is kept for {_days(bounds.keep)}"
        elif size > bounds.most_bytes:
            why = f"all together take {size / GIB:.2f} GiB of the {bounds.most_bytes / GIB:.3g} GiB they may"
        else:
            continue
        size -= each.size
        removals.append(Removal(each.name, each.size, why))
    return tuple(removals)


def _days(keep: timedelta) -> str:
    return f"{keep.total_seconds() / 86400:g}"
