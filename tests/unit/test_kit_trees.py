"""Directories that strangers have filled are weighed and removed, however they are made."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hostmaker.kit.files import Weight, measure, weigh
from hostmaker.kit.trees import remove_tree

DEEPER_THAN_A_PATH = 2100
DEEPER_THAN_CALLS = 1500


def nest(top: Path, depth: int, name: str = "d") -> None:
    """Make directories, each in the one before, as a process does that goes down step by step."""
    top.mkdir()
    handle = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=handle))
    os.close(handle)


def test_a_deep_tree_is_weighed(tmp_path: Path) -> None:
    nest(tmp_path / "deep", DEEPER_THAN_CALLS)
    weight = weigh(tmp_path / "deep")
    assert (weight.files, weight.is_whole) == (DEEPER_THAN_CALLS + 1, True)
    assert measure(tmp_path / "deep") == weight.size
    remove_tree(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_one_that_no_path_reaches_is_recognized_and_removed(tmp_path: Path) -> None:
    nest(tmp_path / "deep", DEEPER_THAN_A_PATH)
    weight = weigh(tmp_path / "deep")
    assert not weight.is_whole
    assert weight.files < DEEPER_THAN_A_PATH
    remove_tree(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_modes_links_and_kinds_hold_nothing_up(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    outside.chmod(0o500)
    tree = tmp_path / "tree"
    (tree / "closed" / "inner" / "most").mkdir(parents=True)
    (tree / "closed" / "inner" / "file").write_text("x")
    (tree / "link").symlink_to(outside)
    (tree / "closed" / "link").symlink_to(outside / "kept")
    os.mkfifo(tree / "pipe")
    (tree / b"\xff\xfe".decode("utf-8", "surrogateescape")).write_text("x")
    for path in (tree / "closed" / "inner", tree / "closed", tree):
        path.chmod(0)
    remove_tree(tree)
    assert os.listdir(tmp_path) == ["outside"]
    assert (outside / "kept").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o500


def test_what_is_no_directory_goes_too(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file", "nothing"):
        remove_tree(tmp_path / name)
    assert os.listdir(tmp_path) == ["target"]


def test_sparse_files_and_empty_ones_are_counted_as_they_are(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).touch()
    os.truncate(tmp_path / "0", 1 << 40)
    assert weigh(tmp_path).files == 100
    assert weigh(tmp_path).size < 1 << 20
    assert weigh(tmp_path / "nothing") == Weight()


@given(st.lists(st.builds(Weight, st.integers(0, 9), st.integers(0, 9), st.booleans())))
def test_weights_add_up(weights: list[Weight]) -> None:
    total = sum(weights, Weight())
    assert total.size == sum(each.size for each in weights)
    assert total.files == sum(each.files for each in weights)
    assert total.is_whole == all(each.is_whole for each in weights)
