"""Lines of the platform, and the end of a log as evidence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hostmaker.logs.write import TAIL_BYTES, append_line, printable, tail


def test_a_line_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "region" / "endpoint" / "variant" / "i-1.log"
    append_line(log, "started: process 7")
    append_line(log, "two\nlines\r\nin\u2028one")
    append_line(log, "half a pair: \ud800")
    assert log.read_text().split("\n") == [
        "[hostmaker] started: process 7",
        "[hostmaker] two lines in one",
        "[hostmaker] half a pair: ?",
        "",
    ]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_line_begins_behind_one_without_an_end(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    log.write_text("half a li")
    append_line(log, "healthy")
    append_line(log, "in service")
    assert log.read_text() == "half a li\n[hostmaker] healthy\n[hostmaker] in service\n"


def test_orders_to_a_terminal_are_escaped(tmp_path: Path) -> None:
    assert printable("50 %\r100 %\x1b[2J\x1b]0;title\x07 \x9b1A\u202eabc") == (
        "50 %\\r100 %\\x1b[2J\\x1b]0;title\\x07 \\x9b1A\\u202eabc"
    )
    assert (
        printable("a\ttab, ünïcode, 日本語, 🙂, a \\ and a \u00a0") == "a\ttab, ünïcode, 日本語, 🙂, a \\ and a \u00a0"
    )
    (tmp_path / "i-1.log").write_bytes(b"\x1b[1A\x1b[Kgone\r\n")
    assert tail(tmp_path / "i-1.log", 1) == ("\\x1b[1A\\x1b[Kgone",)


def test_a_line_that_the_disk_does_not_take_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    append_line(tmp_path / "file" / "i-1.log", "nowhere to go")
    append_line(tmp_path, "a directory is no log")


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    code = (
        "import sys; from pathlib import Path; from hostmaker.logs.write import append_line\n"
        "for number in range(200): append_line(Path(sys.argv[1]), sys.argv[2] * 300 + str(number))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(log), letter]) for letter in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = log.read_text().splitlines()
    expected = {f"[hostmaker] {letter * 300}{number}" for letter in "ab" for number in range(200)}
    assert len(lines) == 400
    assert set(lines) == expected


def test_the_tail_is_what_the_instance_itself_wrote_last(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    log.write_text("one\ntwo\n\n[hostmaker] healthy\nthree\r\nand no end")
    assert tail(log, 10) == ("one", "two", "three", "and no end")
    assert tail(log, 2) == ("three", "and no end")
    assert tail(log, 0) == ()


def test_the_tail_of_no_log(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log", 5) == ()
    (tmp_path / "empty.log").write_bytes(b"")
    assert tail(tmp_path / "empty.log", 5) == ()


def test_the_tail_of_a_large_log_is_of_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    log.write_text("".join(f"{number:099d}\n" for number in range(10_000)))
    lines = tail(log, 10_000)
    assert len(lines) == TAIL_BYTES // 100
    assert all(len(line) == 99 for line in lines)
    assert int(lines[-1]) == 9999


def test_the_tail_of_one_endless_line(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    log.write_bytes(b"x" * 10_000_000 + b"the end")
    (line,) = tail(log, 3)
    assert len(line) == TAIL_BYTES
    assert line.endswith("the end")
