"""What instances use of processor, memory and disk: looked at once in each minute of platform time.

Processor and memory are those of all processes of an instance: of its session, and of its user when it has one of its
own. Memory is what is private to them, as the keeper counts it, never what they map.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.messages import InstanceUsage
from hostmaker.fleet.scratch import Writer
from hostmaker.kit.files import measure

MINUTE_S = 60
POLL_S = 0.5
SHARE_OF_TIME = 20  # a look takes at most one part in so many
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PRIVATE = ("RssAnon:", "VmSwap:")


@dataclass(frozen=True, slots=True)
class Running:
    """An instance whose process runs; `limit_bytes` is the memory it may use, None: all there is."""

    spec: InstanceSpec
    writer: Writer
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """Of one process: its session, the clock ticks it has run for, and the tick of its start."""

    session: int
    ticks: int
    started: int


class UsageWatch:
    """Looks, and remembers what it saw: the use of a processor is a difference."""

    def __init__(self, now: Callable[[], datetime], disk_bytes: int) -> None:
        """`disk_bytes` is what an instance may write, if the disk has so much."""
        self._now = now
        self._disk_bytes = disk_bytes
        self._minute = self._current_minute()
        self._not_before = 0.0
        self._seen: dict[tuple[int, int], int] = {}  # ticks, by process id and start
        self._seen_at: float | None = None

    async def wait(self) -> int:
        """Return when a minute is over and a look may be taken; gives the platform second at which it began."""
        while (minute := self._current_minute()) == self._minute or time.monotonic() < self._not_before:
            await asyncio.sleep(POLL_S)
        self._minute = minute
        return minute - MINUTE_S

    def look(self, instances: Collection[Running]) -> tuple[InstanceUsage, ...]:
        """Give what each instance uses, since the last look or since its start. Blocking."""
        began = time.monotonic()
        memory_bytes = parse_memory(Path("/proc/meminfo").read_text(), ("MemTotal:",))
        processes = dict(_processes())
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        used = tuple(self._usage(each, processes, now, memory_bytes) for each in instances)
        self._seen = {(pid, times.started): times.ticks for pid, (times, _) in processes.items()}
        self._seen_at = now
        ended = time.monotonic()
        self._not_before = ended + SHARE_OF_TIME * (ended - began)
        return used

    def _usage(
        self, running: Running, processes: Mapping[int, tuple[ProcessTimes, int]], now: float, memory_bytes: int
    ) -> InstanceUsage:
        writer = running.writer
        its = {
            pid: times
            for pid, (times, uid) in processes.items()
            if times.session == writer.pid or (writer.uid is not None and writer.uid == uid)
        }
        leader = processes.get(writer.pid)
        since = leader[0].started / TICKS_A_SECOND if leader is not None else now
        if self._seen_at is not None:
            since = max(since, self._seen_at)
        ticks = sum(times.ticks - self._seen.get((pid, times.started), 0) for pid, times in its.items())
        private = sum(_private_bytes(pid) for pid in its)
        return InstanceUsage(
            region=running.spec.region,
            endpoint=running.spec.endpoint,
            variant=running.spec.variant,
            cpu_percent=percent(ticks / TICKS_A_SECOND, now - since),
            memory_percent=percent(private, running.limit_bytes or memory_bytes),
            disk_percent=percent(measure(writer.directory.path), min(self._disk_bytes, _disk_size(writer))),
        )

    def _current_minute(self) -> int:
        return int(self._now().timestamp()) // MINUTE_S * MINUTE_S


def percent(part: float, whole: float) -> float:
    """Give a part in percent of the whole; of nothing it is 0."""
    return 100.0 * max(0.0, part) / whole if whole > 0 else 0.0


def parse_stat(text: str) -> ProcessTimes:
    """Read /proc/PID/stat; a process' name may hold anything, so what counts follows its last bracket."""
    fields = text.rpartition(")")[2].split()
    return ProcessTimes(session=int(fields[3]), ticks=int(fields[11]) + int(fields[12]), started=int(fields[19]))


def parse_memory(text: str, names: Collection[str]) -> int:
    """Add up lines such as `RssAnon:  12 kB` of /proc files; in bytes."""
    lines = (line.split() for line in text.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if len(words) > 1 and words[0] in names)


def _processes() -> Iterator[tuple[int, tuple[ProcessTimes, int]]]:
    """Give times and user of every process by its id; those that end meanwhile are left out."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                place = Path("/proc", name)
                yield int(name), (parse_stat((place / "stat").read_text()), place.stat().st_uid)


def _private_bytes(pid: int) -> int:
    with suppress(OSError):
        return parse_memory(Path(f"/proc/{pid}/status").read_text(), PRIVATE)
    return 0


def _disk_size(writer: Writer) -> int:
    with suppress(OSError):
        return shutil.disk_usage(writer.directory.path).total
    return 0
