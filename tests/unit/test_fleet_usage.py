"""What instances use: the reading of /proc, and differences between looks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.model import Container
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.fleet.scratch import Writer
from hostmaker.fleet.usage import Running, UsageWatch, parse_memory, parse_stat, percent

T0 = datetime(2026, 1, 1, 12, 30, 30, tzinfo=UTC)
MIB = 1 << 20
BUSY = """
import sys, time
kept = bytearray(64 << 20)
for at in range(0, len(kept), 4096): kept[at] = 1
print("ready", flush=True)
end = time.process_time() + float(sys.argv[1])
while time.process_time() < end: pass
print("done", flush=True)
time.sleep(60)
"""


class Clock:
    now = T0

    def __call__(self) -> datetime:
        return self.now


def running(pid: int, folder: Path, limit_bytes: int | None = None) -> Running:
    spec = InstanceSpec(
        "i", "r", "e", "v", Container("image"), "ml.m5.large", timedelta(minutes=1), timedelta(minutes=1)
    )
    return Running(spec, Writer(InstanceDirectory(folder), pid, None), limit_bytes)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process with 64 MiB of its own, which has used half a second of a core."""
    argv = (sys.executable, "-c", BUSY, "0.5")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "done\n"
        yield process
        process.kill()


def test_a_stat_line_is_read_whatever_the_name_of_the_process() -> None:
    after = " ".join(str(number) for number in range(4, 53))
    times = parse_stat(f"17 (a) R 1 (b) S {after}")
    assert (times.session, times.ticks, times.started) == (6, 14 + 15, 22)


def test_memory_lines_are_added_up_by_name() -> None:
    text = "Name:\tRssAnon: 5 kB\nVmSwap:\t       8 kB\nRssAnon:\t      4 kB\nRssFile:\t 100 kB\n"
    assert parse_memory(text, ("RssAnon:", "VmSwap:")) == 12 * 1024


def test_of_nothing_the_part_is_none() -> None:
    assert (percent(1, 0), percent(1, 4), percent(-1, 4)) == (0, 25, 0)


def test_processor_memory_and_disk_of_a_process_are_seen(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(os.urandom(MIB))
    (told,) = UsageWatch(Clock(), 4 * MIB).look([running(busy.pid, tmp_path, 256 * MIB)])
    assert (told.region, told.endpoint, told.variant) == ("r", "e", "v")
    assert 25 <= told.memory_percent < 50
    assert 25 <= told.disk_percent < 30
    assert 1 < told.cpu_percent <= 110


def test_only_what_was_used_since_the_last_look_counts(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    watch = UsageWatch(Clock(), MIB)
    (first,) = watch.look([running(busy.pid, tmp_path)])
    time.sleep(0.2)
    (second,) = watch.look([running(busy.pid, tmp_path)])
    assert first.cpu_percent > 0
    assert second.cpu_percent < 20


def test_an_instance_that_has_ended_uses_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    (told,) = UsageWatch(Clock(), MIB).look([running(process.pid, tmp_path)])
    assert (told.cpu_percent, told.memory_percent) == (0, 0)


def test_a_look_is_taken_when_a_minute_is_over() -> None:
    readings = iter([T0, T0 + timedelta(seconds=29), T0 + timedelta(seconds=31), T0 + timedelta(seconds=95)])
    minute = int(T0.replace(second=0).timestamp())

    async def waits() -> list[int]:
        watch = UsageWatch(lambda: next(readings), MIB)
        return [await watch.wait(), await watch.wait()]

    assert asyncio.run(waits()) == [minute, minute + 60]
