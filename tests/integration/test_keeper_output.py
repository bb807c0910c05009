"""Logs of instances that a keeper watches: nothing that a process does to its outputs takes away what is there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .runtime_house import Keeper, wait_until

LINES = 1_000_000

VANDAL = """
import ctypes, fcntl, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.write(1, b"first\\n")
tried = {}
def attempt(name, act):
    try:
        act()
    except OSError as error:
        tried[name] = error.errno
    else:
        tried[name] = 0
def forget_to_append():
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) & ~os.O_APPEND)
    os.lseek(1, 0, os.SEEK_SET)
def punch():
    if libc.fallocate(1, 3, ctypes.c_long(0), ctypes.c_long(4096)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")
def anew(path):
    os.write(os.open(path, os.O_WRONLY | os.O_TRUNC), b"opened anew\\n")
attempt("truncate", lambda: os.ftruncate(1, 0))
attempt("seek", forget_to_append)
attempt("write at", lambda: os.pwrite(1, b"over", 0))
attempt("punch", punch)
attempt("open", lambda: anew("/proc/self/fd/1"))
attempt("open /dev/stderr", lambda: anew("/dev/stderr"))
os.write(1, b"[hostmaker] healthy\\n")
os.write(1, json.dumps(tried).encode())
os._exit(3)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.end()


def run(keeper: Keeper, place: Path, program: str, **changes: Any) -> None:
    """Run a Python program to its end, as its keeper has recorded it."""
    place.mkdir()
    (place / "program.py").write_text(program)
    answer = keeper.start(place, sys.executable, "-I", "-S", str(place / "program.py"), **changes)
    assert answer["ok"], answer
    wait_until((place / "exit.json").exists)


def test_what_is_written_stays(keeper: Keeper, tmp_path: Path) -> None:
    run(keeper, tmp_path / "instance", VANDAL)
    log = (tmp_path / "instance" / "log").read_text()
    first, *others, tried = log.splitlines()
    assert first == "first"
    assert others == ["opened anew", "opened anew", "(model) [hostmaker] healthy"]
    outcomes = json.loads(tried)
    opened = {name: outcomes.pop(name) for name in ("open", "open /dev/stderr")}
    assert opened == {"open": 0, "open /dev/stderr": 0}
    assert all(outcomes.values()), outcomes


def test_everything_is_there_when_the_end_is_told(keeper: Keeper, tmp_path: Path) -> None:
    program = f"import os\nfor n in range({LINES}): print(n)\nprint('last words', end='', flush=True); os.kill(0, 9)"
    run(keeper, tmp_path / "instance", program)
    assert json.loads((tmp_path / "instance" / "exit.json").read_text())["signal"] == "SIGKILL"
    lines = (tmp_path / "instance" / "log").read_text().split("\n")
    assert lines == [*map(str, range(LINES)), "last words", ""]


def test_one_that_prints_without_end_keeps_nobody_waiting(keeper: Keeper, tmp_path: Path) -> None:
    shouting = tmp_path / "shouting"
    shouting.mkdir()
    program = "while True: print('x' * 10000)"
    assert keeper.start(shouting, sys.executable, "-I", "-S", "-c", program, log="/dev/null")["ok"]
    run(keeper, tmp_path / "other", "print('heard')")
    assert (tmp_path / "other" / "log").read_text() == "heard\n"
    assert keeper.ask(op="stop", directory=str(shouting), grace_s=0)["ok"]
    wait_until((shouting / "exit.json").exists)


def test_one_that_closes_its_outputs_goes_on(keeper: Keeper, tmp_path: Path) -> None:
    program = "import os, time; os.write(1, b'bye'); os.close(1); os.close(2); time.sleep(0.5); os._exit(4)"
    run(keeper, tmp_path / "instance", program)
    assert json.loads((tmp_path / "instance" / "exit.json").read_text())["code"] == 4
    assert (tmp_path / "instance" / "log").read_text() == "bye\n"


def test_nothing_is_held_open_for_those_that_have_ended(keeper: Keeper, tmp_path: Path) -> None:
    descriptors = Path(f"/proc/{keeper.process.pid}/fd")
    run(keeper, tmp_path / "first", "print(1)")
    before = len(os.listdir(descriptors))
    for number in range(3):
        run(keeper, tmp_path / str(number), "print(1)")
    assert not keeper.start(tmp_path / "bad", "/no/such/program")["ok"]
    wait_until(lambda: len(os.listdir(descriptors)) == before)
