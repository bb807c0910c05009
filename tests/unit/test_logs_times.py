"""The log clock: notes how long each log was at which time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.logs.times import PAIR, LogClock, read_ends_ms, read_marks


class Times:
    """Platform and steady time, set by hand."""

    def __init__(self) -> None:
        self.now = 1000
        self.steady = 0.0

    def clock(self, root: Path) -> LogClock:
        return LogClock(root, lambda: self.now, lambda: self.steady)


@pytest.fixture
def times() -> Times:
    return Times()


def log_in(root: Path, name: str = "i-1") -> Path:
    path = root / "us-east-1" / "fraud" / "AllTraffic" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def grow(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def noted(path: Path) -> list[tuple[int, int]]:
    marks = read_marks(path)
    return [(marks.offset(index), marks.at_ms(index)) for index in range(marks.count)]


def test_only_growth_is_noted(tmp_path: Path, times: Times) -> None:
    log, clock = log_in(tmp_path), times.clock(tmp_path)
    clock.tick()
    grow(log, b"one\n")
    clock.tick()
    times.now = 2000
    clock.tick()
    grow(log, b"two\n")
    clock.tick()
    assert noted(log) == [(4, 1000), (8, 2000)]
    assert read_ends_ms(log) == (1000, 2000)


def test_a_line_is_of_the_time_at_which_it_was_over(tmp_path: Path, times: Times) -> None:
    log, clock = log_in(tmp_path), times.clock(tmp_path)
    for at, content in ((10, b"one\ntw"), (20, b"o\n"), (30, b"three\n")):
        times.now = at
        grow(log, content)
        clock.tick()
    marks = read_marks(log)
    assert [marks.ended_at(end) for end in (4, 8, 14, 15)] == [(6, 10), (8, 20), (14, 30), None]
    assert [marks.length_before(at) for at in (0, 10, 11, 20, 30, 31)] == [0, 0, 6, 6, 8, 14]


def test_another_clock_goes_on(tmp_path: Path, times: Times) -> None:
    log = log_in(tmp_path)
    grow(log, b"one\n")
    times.clock(tmp_path).tick()
    times.now = 2000
    times.clock(tmp_path).tick()
    grow(log, b"two\n")
    times.clock(tmp_path).tick()
    assert noted(log) == [(4, 1000), (8, 2000)]


@pytest.mark.parametrize("half", [b"\1", b"\1" * 15])
def test_half_a_note_is_cut_off(tmp_path: Path, times: Times, half: bytes) -> None:
    log = log_in(tmp_path)
    log.write_bytes(b"one\n")
    log.with_suffix(".times").write_bytes(PAIR.pack(2, 500) + half)
    assert noted(log) == [(2, 500)]
    times.clock(tmp_path).tick()
    assert noted(log) == [(2, 500), (4, 1000)]


def test_a_log_that_begins_anew(tmp_path: Path, times: Times) -> None:
    log, clock = log_in(tmp_path), times.clock(tmp_path)
    grow(log, b"a long line\n")
    clock.tick()
    log.write_bytes(b"new\n")
    times.now = 2000
    clock.tick()
    clock.tick()
    assert noted(log) == [(4, 2000)]


def test_a_group_that_vanishes_is_no_fault(tmp_path: Path, times: Times) -> None:
    log, clock = log_in(tmp_path), times.clock(tmp_path)
    grow(log, b"one\n")
    clock.tick()
    log.unlink()
    log.with_suffix(".times").unlink()
    log.parent.rmdir()
    clock.tick()
    grow(log_in(tmp_path), b"again\n")
    clock.tick()
    assert noted(log) == [(6, 1000)]


def test_a_disk_that_takes_no_note_is_tried_again(tmp_path: Path, times: Times) -> None:
    log, clock = log_in(tmp_path), times.clock(tmp_path)
    grow(log, b"one\n")
    log.with_suffix(".times").mkdir()  # stands for any error of writing
    clock.tick()
    log.with_suffix(".times").rmdir()
    times.now = 3000
    clock.tick()
    assert noted(log) == [(4, 3000)]


def test_notes_are_for_this_user_alone(tmp_path: Path, times: Times) -> None:
    log = log_in(tmp_path)
    grow(log, b"one\n")
    times.clock(tmp_path).tick()
    assert log.with_suffix(".times").stat().st_mode & 0o777 == 0o600


def test_other_files_are_left_alone(tmp_path: Path, times: Times) -> None:
    log = log_in(tmp_path)
    log.with_suffix(".txt").write_bytes(b"x")
    (tmp_path / "stray.log").write_bytes(b"x")
    deleted = log_in(tmp_path / "us-east-1" / ".deleted-1")
    deleted.write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    times.clock(tmp_path).tick()
    assert sorted(tmp_path.rglob("*")) == before


def test_looks_take_a_small_part_of_the_time(tmp_path: Path, times: Times) -> None:
    """With very many logs a look takes long; the next one then waits."""
    log = log_in(tmp_path)
    steady = iter([0.0, 1.0, 10.0, 20.9, 21.0, 21.0, 22.0])
    clock = LogClock(tmp_path, lambda: times.now, lambda: next(steady))
    grow(log, b"one\n")
    clock.tick()  # took a second
    grow(log, b"two\n")
    for at in (2000, 3000, 4000):
        times.now = at
        clock.tick()
    assert noted(log) == [(4, 1000), (8, 4000)]


def test_no_directory_of_logs_yet(tmp_path: Path, times: Times) -> None:
    times.clock(tmp_path / "none").tick()
    assert read_ends_ms(tmp_path / "none" / "x.log") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_time_and_length_agree(parts: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        times = Times()
        log, clock, written = log_in(Path(directory)), times.clock(Path(directory)), []
        times.now = 0
        for wait, size in parts:
            times.now += wait
            grow(log, b"x" * size)
            clock.tick()
            written += [times.now] * size
        marks = read_marks(log)
        assert [(marks.ended_at(end + 1) or (0, 0))[1] for end in range(len(written))] == written
        for at in range(times.now + 2):
            assert marks.length_before(at) == sum(when < at for when in written)
        assert len(marks.pairs) == (os.path.getsize(log.with_suffix(".times")) if marks.count else 0)
