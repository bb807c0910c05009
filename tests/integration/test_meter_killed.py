"""Writers and readers of rings that are really killed, at moments of chance: what was written is counted once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostmaker.kit.files import lock_holder
from hostmaker.kit.steps import finish
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import Target

TARGET = Target("r", "e", "v", "c")
AT = 1_800_000_000

# Appends until it is killed, and says after every record how many there are; as fast as the reader of its words.
WRITER = """
import sys
from pathlib import Path
from hostmaker.kit.ring import TIMED, RingWriter
writer = RingWriter(Path(sys.argv[1]), 100_000, 4096)
writer.name(("r", "e", "v", "c"))
for number in range(90_000):
    writer.append(1_800_000_000.0 + number % 50, 0, 7.0, 1.0, 0.0, 200, 1, TIMED)
    if number % 64 == 0:
        print(number + 1, flush=True)
print(90_000, flush=True)
"""
# Counts again and again until it is killed.
READER = """
import sys
from pathlib import Path
from hostmaker.kit.files import lock_holder
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore
rings = Path(sys.argv[1])
time = iter(range(1, 1 << 60))
series = SeriesStore(rings.parent / "m.db", lambda: 1_800_000_000.0)
counter = Counter(rings, series, lambda name: lock_holder(rings / name) is not None, lambda: float(next(time)))
print("ready", flush=True)
while True:
    counter.collect()
"""


def last_word(process: subprocess.Popen[str]) -> int:
    """Give the last whole number that a killed writer has said."""
    assert process.stdout is not None
    said = process.stdout.read()
    return int(said.rpartition("\n")[0].rpartition("\n")[2] or 0)


@pytest.mark.parametrize("seed", range(3))
def test_killed_writers_and_readers_lose_nothing_and_count_nothing_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    rings = tmp_path / "rings"
    rings.mkdir()
    said = 0
    for life in range(3):
        path = rings / f"0-{life}.ring"
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        while not path.exists():
            time.sleep(0.002)
        for _ in range(2):
            reader = subprocess.Popen([sys.executable, "-c", READER, str(rings)], stdout=subprocess.PIPE, text=True)
            assert reader.stdout is not None
            reader.stdout.readline()
            time.sleep(chance.random() * 0.1)
            reader.send_signal(signal.SIGKILL)
            reader.communicate()
        writer.send_signal(signal.SIGKILL)
        said += last_word(writer)
        writer.wait()
    series = SeriesStore(tmp_path / "m.db", lambda: float(AT))
    counter = Counter(rings, series, lambda name: lock_holder(rings / name) is not None, lambda: float(AT))
    for _ in range(4):
        counter.collect()
    for name, value in (("Invocations", 1), ("ModelLatency", 7)):
        for each in TARGET.both(name):
            found = series.buckets(each, AT, AT + 3600, 3600)
            assert sum(bucket.summary.total for bucket in found) == value * found[0].summary.count
            # A writer may have appended more after its last word, and said no more of it: at most 64 in each life.
            assert said <= found[0].summary.count < said + 3 * 64
    totals = {each.name: summary.count for each, summary in finish(series.totals("AWS/SageMaker"))}
    assert totals["Invocations"] == found[0].summary.count
    assert list(rings.iterdir()) == []
