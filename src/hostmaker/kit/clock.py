"""Platform time and steady time: the only places where the clock of the machine is read.

Platform time stands in all stamps and measures everything that a deployment or an alarm waits for. It follows the clock
that counts since the machine has started, from an anchor kept in a file: setting the machine's clock, or the end of
summer time, moves it neither forward nor back. With a scale of 60 it runs 60 times faster. After a reboot it goes on
from the machine's clock, and never from before the anchor. Steady time measures durations of real work and is never
scaled.

A test that has the clock in hand moves platform time forward: by how much stands in a file of eight bytes, which every
role maps (`Lead`).
"""

from __future__ import annotations

import json
import logging
import math
import mmap
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from hostmaker.kit.files import write_atomically
from hostmaker.kit.processes import boot_id

log = logging.getLogger("hostmaker")
MAX_LEAD_S = 3.2e9  # a century
MAX_PLATFORM_S = 2e11  # the year 8307


class Clock(Protocol):
    """What tells the time."""

    @property
    def scale(self) -> float:
        """How many seconds of platform time pass in a second."""
        ...

    def now(self) -> datetime:
        """Platform time: aware, UTC, never backwards within a boot."""
        ...

    def steady(self) -> float:
        """Seconds of real time since some fixed moment; for durations."""
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where platform time was once: `platform` (Unix seconds) at `since_boot` seconds of the boot named `boot`."""

    scale: float
    platform: float
    since_boot: float
    boot: str

    def seconds(self, since_boot: float) -> float:
        """Give platform time, in Unix seconds, at a second of the same boot."""
        return self.platform + (since_boot - self.since_boot) * self.scale


def next_anchor(kept: Anchor | None, scale: float, boot: str, since_boot: float, real: float) -> Anchor:
    """Give the anchor to go on from, at `real` Unix seconds and `since_boot` seconds after the start of the machine.

    1. The same boot: go on, also when the scale changes. 2. Another one: from the machine's clock, and never from
    before the anchor. 3. None yet: begin with the machine's clock.
    """
    if kept is None:
        return Anchor(scale, real, since_boot, boot)
    if kept.boot == boot:
        return kept if kept.scale == scale else Anchor(scale, kept.seconds(since_boot), since_boot, boot)
    return Anchor(scale, max(real, kept.platform), since_boot, boot)


class Lead:
    """How many seconds platform time was moved forward by hand; the file is made when it is not there."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < 8:
                os.ftruncate(descriptor, 8)
            self._cell = memoryview(mmap.mmap(descriptor, 8)).cast("d")
        finally:
            os.close(descriptor)
        if not 0 <= self._cell[0] <= MAX_LEAD_S:  # no number of ours; NaN is none either
            log.warning("%s is damaged and begins anew: platform time is not moved forward", path)
            self._cell[0] = 0.0

    def seconds(self) -> float:
        """Give the seconds, as any role has set them last."""
        return float(self._cell[0])

    def add(self, seconds: float) -> None:
        """Move platform time forward for every role; raises ValueError for backwards."""
        if seconds < 0:
            raise ValueError(f"Time cannot be moved back ({seconds} s).")
        self._cell[0] += seconds


@dataclass(frozen=True, slots=True)
class PlatformClock:
    """Platform time from an anchor, and by how much it was moved forward since."""

    anchor: Anchor
    lead: Lead

    @property
    def scale(self) -> float:
        """How many seconds of platform time pass in a second."""
        return self.anchor.scale

    def now(self) -> datetime:
        """Platform time: aware, UTC, never backwards within a boot."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Platform time in Unix seconds."""
        return self.anchor.seconds(_since_boot()) + self.lead.seconds()

    def steady(self) -> float:
        """Seconds of real time since some fixed moment; for durations."""
        return time.monotonic()


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps


def open_clock(path: Path, scale: float) -> PlatformClock:
    """Continue the clock kept at `path`, or begin one."""
    kept = _read(path)
    anchor = next_anchor(kept, scale, boot_id(), _since_boot(), time.time())
    if anchor != kept:
        document = {
            "scale": scale, "platform": anchor.platform, "since_boot": anchor.since_boot, "boot": anchor.boot,
        }  # fmt: skip
        write_atomically(path, json.dumps(document).encode())
    return PlatformClock(anchor, Lead(path.with_suffix(".lead")))


def _read(path: Path) -> Anchor | None:
    try:
        kept = json.loads(path.read_bytes())
        anchor = Anchor(float(kept["scale"]), float(kept["platform"]), float(kept["since_boot"]), str(kept["boot"]))
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        log.warning("%s is damaged (%s): platform time begins anew with the machine's clock", path, error)
        return None
    if not (0 < anchor.scale < math.inf and 0 <= anchor.platform <= MAX_PLATFORM_S and anchor.since_boot < math.inf):
        log.warning("%s is damaged (no such time): platform time begins anew with the machine's clock", path)
        return None
    return anchor
