"""A log that grows without end is held to its bound, and its writer does not notice."""

from __future__ import annotations

from pathlib import Path

from hostmaker.logs.bound import shorten
from hostmaker.logs.times import LogClock, read_marks


def test_the_newest_lines_stay_with_their_times(tmp_path: Path) -> None:
    log = tmp_path / "r" / "e" / "v" / "i.log"
    log.parent.mkdir(parents=True)
    now = 0

    def cut(path: Path) -> None:
        assert shorten(path, 1000) > 0

    clock = LogClock(tmp_path, lambda: now, lambda: 0.0, cut, 1000)
    with log.open("ab", buffering=0) as writer:
        for number in range(100):
            now = number * 1000
            writer.write(b"line %02d of the model\n" % number)
            clock.tick()
            assert log.stat().st_size < 1100
    lines = log.read_text().splitlines()
    assert lines[0].startswith("[hostmaker] ")
    assert "bytes of older lines were dropped: a log has at most" in lines[0]
    kept = [int(line.split()[1]) for line in lines if line.startswith("line")]
    assert kept == list(range(kept[0], 100))
    marks = read_marks(log)
    end = 0
    for line in lines:
        end += len(line) + 1
        if line.startswith("line"):
            assert marks.ended_at(end) is not None
            assert (marks.ended_at(end) or (0, 0))[1] == int(line.split()[1]) * 1000


def test_one_line_without_end_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "i.log"
    log.write_bytes(b"x" * 5000)
    assert shorten(log, 1000) == 4500
    assert log.read_bytes().endswith(b"x" * 500)
    assert log.stat().st_size < 700
