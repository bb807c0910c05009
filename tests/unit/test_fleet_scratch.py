"""Who has to end because of what it has written."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.fleet import InstanceState
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.fleet.instance import Exited, Life, Overfilled, PreparedOk, Started, StopProcess, Tell, Unwanted, step
from hostmaker.fleet.scratch import MIB, DiskBounds, DiskWatch, Writer

BOUNDS = DiskBounds(1000 * MIB, 100 * MIB)
WRITTEN = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1500 * MIB))


@given(WRITTEN, st.integers(0, 200 * MIB))
def test_those_above_their_bound_end_and_one_for_the_reserve(written: dict[str, int], free: int) -> None:
    ended = BOUNDS.judge(written, free)
    over = {ident for ident, size in written.items() if size > 1000 * MIB}
    if over:
        assert set(ended) == over
    elif free < 100 * MIB and max(written.values(), default=0) >= 64 * MIB:
        (one,) = ended
        assert written[one] == max(written.values())
    else:
        assert not ended


def test_the_cause_says_how_much() -> None:
    assert BOUNDS.judge({"a": 1024 * MIB}, 0) == {
        "a": "It was ended because it had written 1 GiB, more than the 0.977 GiB that node.instance_disk_gib allows."
    }
    (cause,) = BOUNDS.judge({"a": 512 * MIB, "b": 1}, 50 * MIB).values()
    assert "had only 0.0488 GiB free (node.disk_reserve_mib keeps 0.0977 GiB)" in cause
    assert "it had written the most: 0.5 GiB" in cause


@pytest.mark.parametrize(("reserve", "asked"), [(0, 0), (1 << 60, 1)])
def test_what_is_only_kept_for_later_goes_before_any_instance(tmp_path: Path, reserve: int, asked: int) -> None:
    made: list[None] = []
    watch = DiskWatch(tmp_path, DiskBounds(reserve_bytes=reserve), lambda: made.append(None))
    assert asyncio.run(watch.look({})) == {}
    assert len(made) == asked


def test_files_without_a_name_count(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "named").write_bytes(b"x" * MIB)
    program = (
        "import os, sys; f = open('x', 'wb'); os.unlink('x'); f.write(b'x' * 3 << 20); f.flush(); print(); input()"
    )
    program = program.replace("b'x' * 3 << 20", "b'x' * (3 << 20)")
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path / "tmp",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            written = Writer(InstanceDirectory(tmp_path), child.pid, None).written()
        finally:
            child.kill()
    assert 4 * MIB <= written < 5 * MIB
    assert os.listdir(tmp_path / "tmp") == ["named"]


def test_it_ends_at_once_and_once() -> None:
    life = Life(60.0)
    for event in (PreparedOk(), Started(7)):
        life, _ = step(life, event, 0.0)
    failed, effects = step(life, Overfilled("It was ended."), 1.0)
    assert failed.state is InstanceState.FAILED
    assert failed.failure is not None
    assert failed.failure.cause == "It was ended."
    assert effects == (Tell("failed: It was ended."), StopProcess(at_once=True))
    ended, _ = step(failed, Exited(signal="SIGKILL"), 1.1)
    assert step(ended, Overfilled("It was ended."), 1.2) == (ended, ())
    unwanted, _ = step(life, Unwanted(), 1.0)
    assert step(unwanted, Overfilled("It was ended."), 1.1) == (unwanted, (StopProcess(at_once=True),))
