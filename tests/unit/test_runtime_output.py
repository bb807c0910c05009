"""What goes through an instance's pipe is in its log, and no line of it passes for one of the platform's."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hostmaker.logs.write import PREFIX, append_line
from hostmaker_runtime.output import MARK, MAX_HELD, PLATFORM, Output

PIECES = st.sampled_from([PLATFORM, b"[host", b"maker] ", b"\n", b"\n\n", b"x", b"fake", b" ", b"\r", b"\xff\x00"])
PRINTED = st.lists(PIECES, max_size=6).map(b"".join)
# Of what is printed at once; then whether time passes, and whether the platform says something.
TURNS = st.lists(st.tuples(PRINTED, st.booleans(), st.booleans()), max_size=12)


def test_the_platform_is_recognized_by_the_same_words() -> None:
    assert PREFIX.encode() == PLATFORM


@given(TURNS)
def test_no_line_that_is_printed_passes_for_one_of_the_platform(turns: list[tuple[bytes, bool, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        output = Output(str(log), None)
        writing = os.open(output.path, os.O_WRONLY)
        output.leave_to_others()
        told = 0
        for printed, is_flushed, is_told in turns:
            if printed:
                os.write(writing, printed)
                assert output.take()
            if is_flushed:
                output.flush()
            if is_told:
                append_line(log, f"line {told}")
                told += 1
        output.drain()
        os.close(writing)
        assert not output.take()
        output.close()
        found = log.read_bytes()
    lines = found.split(b"\n")
    assert [line for line in lines if line.startswith(PLATFORM)] == [b"[hostmaker] line %d" % n for n in range(told)]
    assert lines[-1] == b""
    ours = b"".join(line for line in lines if not line.startswith(PLATFORM))
    everything = b"".join(printed for printed, _, _ in turns)
    assert ours.replace(MARK, b"") == everything.replace(b"\n", b"")


def test_a_line_without_an_end_is_written_in_a_while_or_when_it_is_long(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "log"), None)
    writing = os.open(output.path, os.O_WRONLY)
    os.write(writing, b"one\nload")
    assert output.take()
    assert (tmp_path / "log").read_bytes() == b"one\n"
    assert output.flush_at < math.inf
    os.write(writing, b"ing\n")
    assert output.take()
    assert output.flush_at == math.inf
    assert (tmp_path / "log").read_bytes() == b"one\nloading\n"
    os.write(writing, b"y" * MAX_HELD)
    while (tmp_path / "log").stat().st_size < 12 + MAX_HELD:
        assert output.take()
    output.close()
    os.close(writing)


def test_what_the_log_does_not_take_is_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reading = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    output = Output(str(tmp_path / "log"), None)
    writing = os.open(output.path, os.O_WRONLY)
    lines = b"x" * 99 + b"\n"
    for _ in range(100):  # ten times what the pipe in the place of a log holds
        os.write(writing, lines * 100)
        assert output.take()
    taken = os.read(reading, 1 << 20)
    os.write(writing, b"and on\n")
    assert output.take()
    lost, last = os.read(reading, 1 << 20).splitlines()
    assert lost == b"[hostmaker] %d bytes that it printed are lost: the log could not be written" % (10**6 - len(taken))
    assert last == b"and on"
    output.close()
    os.close(writing)
    os.close(reading)
