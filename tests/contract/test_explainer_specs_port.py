"""One suite for the port `ExplainerSpecs`: the fake in memory, and files; then what is true of files alone."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from hostmaker.ports import ExplainerSpecs, StoreUnavailableError
from hostmaker.store.explainer_specs import FileExplainerSpecs
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs


@pytest.fixture(params=["memory", "files"])
def specs(request: pytest.FixtureRequest, tmp_path: Path) -> ExplainerSpecs:
    return MemoryExplainerSpecs() if request.param == "memory" else FileExplainerSpecs(tmp_path / "explainers")


def test_a_content_is_named_by_its_digest(specs: ExplainerSpecs) -> None:
    for content in (b"{}", b"", b"x" * 5_000_000, b"{}"):
        assert specs.keep(content) == hashlib.sha256(content).hexdigest()


def test_a_content_is_a_file_for_this_user_alone(tmp_path: Path) -> None:
    directory = tmp_path / "explainers"
    digest = FileExplainerSpecs(directory).keep(b"{}")
    path = directory / f"{digest}.json"
    assert path.read_bytes() == b"{}"
    assert list(directory.iterdir()) == [path]
    assert [stat.S_IMODE(each.stat().st_mode) for each in (directory, path)] == [0o700, 0o600]


def test_a_file_that_is_damaged_is_written_anew(tmp_path: Path) -> None:
    specs = FileExplainerSpecs(tmp_path)
    path = tmp_path / f"{specs.keep(b'{}')}.json"
    path.write_bytes(b"")
    specs.keep(b"{}")
    assert path.read_bytes() == b"{}"


def test_a_disk_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "explainers").write_text("no directory")
    with pytest.raises(StoreUnavailableError, match=r"^The explainer cannot be kept: .*\.$"):
        FileExplainerSpecs(tmp_path / "explainers").keep(b"{}")


def test_only_what_is_ours_and_old_and_named_by_nobody_is_removed(tmp_path: Path) -> None:
    specs = FileExplainerSpecs(tmp_path)
    named, unnamed, young, again = (specs.keep(content) for content in (b"1", b"2", b"3", b"4"))
    others = ["notes.json", f"{unnamed}.txt", f".{unnamed}.json.12.new", f".{unnamed}.json.new"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f"{'a' * 64}.json").symlink_to(tmp_path / "notes.json")
    (tmp_path / f"{'b' * 64}.json").mkdir()
    for path in tmp_path.iterdir():
        os.utime(path, (100, 100) if young not in path.name else (200, 200), follow_symlinks=False)
    specs.keep(b"4")  # somebody is about to name it
    assert specs.sweep({named}, before=150) == 2
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {
        *(f"{digest}.json" for digest in (named, young, again, "a" * 64, "b" * 64)),
        *(name for name in others if not name.endswith(".12.new")),
    }


def test_nothing_is_removed_where_nothing_is(tmp_path: Path) -> None:
    assert FileExplainerSpecs(tmp_path / "explainers").sweep(set(), before=1e12) == 0
