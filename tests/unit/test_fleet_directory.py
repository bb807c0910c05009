"""The directory of an instance: what goes, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostmaker.domain.fleet import FailureKind, InstanceFailure
from hostmaker.fleet.directory import OWNED, InstanceDirectory

FAILURE = InstanceFailure(FailureKind.PING, "It had written too much.", signal="SIGKILL")


@pytest.fixture
def directory(tmp_path: Path) -> InstanceDirectory:
    """One in which a model has written, also where it took the rights from itself."""
    directory = InstanceDirectory(tmp_path / "i-1")
    for name in OWNED:
        (directory.path / name / "deep").mkdir(parents=True)
        (directory.path / name / "deep" / "file").write_bytes(b"x" * 4096)
        (directory.path / name / "deep").chmod(0)
    directory.keep_failure(FAILURE)
    return directory


def test_what_an_instance_has_written_goes_and_its_records_stay(directory: InstanceDirectory) -> None:
    directory.remove_owned()
    assert [path.name for path in directory.path.iterdir()] == ["failure.json"]
    assert directory.failure() == FAILURE
    directory.remove_owned()  # safe to say twice
    directory.remove()
    assert not directory.path.exists()
    directory.remove()


def test_links_are_removed_and_never_followed(directory: InstanceDirectory, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "kept").write_text("kept")
    directory.remove_owned()
    (directory.path / "tmp").symlink_to(others)
    (directory.path / "home").mkdir()
    (directory.path / "home" / "link").symlink_to(others)
    directory.remove_owned()
    assert (others / "kept").read_text() == "kept"
    assert [path.name for path in directory.path.iterdir()] == ["failure.json"]
