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
from hostmaker.kit.files import Weight

BOUNDS = DiskBounds(1000 * MIB, 100 * MIB, 10_000)
WEIGHTS = st.builds(Weight, st.integers(0, 1500 * MIB), st.integers(0, 100_000), st.booleans())
WRITTEN = st.dictionaries(st.sampled_from("abcde"), WEIGHTS)
FREE = st.builds(Weight, st.integers(0, 200 * MIB), st.integers(0, 20_000))


@given(WRITTEN, FREE)
def test_those_above_their_bound_end_and_one_for_the_reserve(written: dict[str, Weight], free: Weight) -> None:
    ended = BOUNDS.judge(written, free)
    over = {
        ident for ident, each in written.items() if each.size > 1000 * MIB or each.files > 64_000 or not each.is_whole
    }
    most_bytes = max((each.size for each in written.values()), default=0)
    most_files = max((each.files for each in written.values()), default=0)
    if over:
        assert set(ended) == over
    elif free.size < 100 * MIB and most_bytes >= 64 * MIB:
        (one,) = ended
        assert written[one].size == most_bytes
    elif free.files < 10_000 and most_files >= 4096:
        (one,) = ended
        assert written[one].files == most_files
    else:
        assert not ended


def test_the_cause_says_how_much() -> None:
    assert BOUNDS.judge({"a": Weight(1024 * MIB)}, Weight()) == {
        "a": "It was ended because it had written 1 GiB, more than the 0.977 GiB that node.instance_disk_gib allows."
    }
    (cause,) = BOUNDS.judge({"a": Weight(512 * MIB), "b": Weight(1)}, Weight(50 * MIB, 99_999)).values()
    assert "had only 0.0488 GiB free (node.disk_reserve_mib keeps 0.0977 GiB)" in cause
    assert "it had written the most: 0.5 GiB" in cause
    (cause,) = BOUNDS.judge({"a": Weight(0, 64_001)}, Weight(1 << 40, 1 << 40)).values()
    assert "it had made 64,001 files and directories, more than the 64,000 that node.instance_disk_gib allows" in cause
    (cause,) = BOUNDS.judge({"a": Weight(0, 5000), "b": Weight()}, Weight(1 << 40, 9999)).values()
    assert "had room for only 9,999 more files (10,000 are kept free)" in cause
    (cause,) = BOUNDS.judge({"a": Weight(is_whole=False)}, Weight(1 << 40, 1 << 40)).values()
    assert "nested directories deeper than a path can name" in cause


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
    assert 4 * MIB <= written.size < 5 * MIB
    assert (written.files, written.is_whole) == (1, True)
    assert os.listdir(tmp_path / "tmp") == ["named"]


def test_what_is_beside_its_socket_counts(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir()
    (tmp_path / "sockets" / "s.sock").write_bytes(b"x" * MIB)
    written = Writer(InstanceDirectory(tmp_path / "i"), os.getpid(), None, tmp_path / "sockets").written()
    assert (written.size, written.files) == (MIB, 1)


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
