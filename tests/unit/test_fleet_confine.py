"""What is asked of a keeper to confine an instance."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.model import Container, ModelData
from hostmaker.fleet.confine import Confiner, Isolation, Places
from hostmaker.fleet.directory import EMPTIED
from hostmaker.fleet.memory import GIB, MemoryLimits, machine_bytes
from hostmaker_runtime.confinement import Confinement

DATA = ModelData("s3://b/m.tar.gz")
MINUTE = timedelta(minutes=1)


def spec(data: ModelData | None, instance_type: str = "ml.m5.large") -> InstanceSpec:
    return InstanceSpec("i-1", "r", "e", "v", Container("image", data), instance_type, MINUTE, MINUTE)


def asked(place: Path, isolation: Isolation, data: ModelData | None = DATA, **changes: Any) -> dict[str, Any]:
    for name in ("i-1", "s"):
        (place / name).mkdir(exist_ok=True)
    confiner = Confiner(isolation, place, (place,), 100, is_filtering=True, **changes)
    request = confiner.request(spec(data), Places(place / "i-1", place / "s", Path(sys.executable)), 1 << 20)
    assert request is not None
    Confinement(request)  # the keeper takes it
    return request


@pytest.mark.parametrize(
    ("data", "changes", "is_kept"), [(DATA, {}, True), (None, {}, False), (DATA, {"keeps_models": False}, False)]
)
def test_a_model_directory_is_read_only_where_there_is_model_data(
    tmp_path: Path, data: ModelData | None, changes: dict[str, bool], is_kept: bool
) -> None:
    model = str(tmp_path / "i-1" / "model")
    view = asked(tmp_path, Isolation.VIEW, data, **changes)["view"]
    assert view["read_only"] == ([model] if is_kept else [])
    landlock = asked(tmp_path, Isolation.LANDLOCK, data, **changes)
    assert (model in landlock["read"], model in landlock["write"]) == (is_kept, not is_kept)


def test_what_replaces_the_machines_directories(tmp_path: Path) -> None:
    request = asked(tmp_path, Isolation.VIEW)
    own = request["view"]["own"]
    assert own == {"/tmp": str(tmp_path / "i-1" / "tmp"), "/var/tmp": str(tmp_path / "i-1" / "var_tmp")}
    assert request["view"]["shared_memory_bytes"] == 1 << 20
    assert request["filter"] is True
    assert str(tmp_path) in request["view"]["hide"]


def test_nothing_is_asked_without_isolation(tmp_path: Path) -> None:
    confiner = Confiner(Isolation.NONE, tmp_path, (tmp_path,), 100)
    assert confiner.request(spec(DATA), Places(tmp_path, tmp_path, Path(sys.executable)), None) is None


def test_temporary_directories_are_empty_at_each_start(tmp_path: Path) -> None:
    confiner = Confiner(Isolation.LANDLOCK, tmp_path, (tmp_path,), 100)
    (tmp_path / "i-1").mkdir()
    for _ in range(2):
        confiner.hand_over("i-1", tmp_path / "i-1", tmp_path / "s")
        for name in EMPTIED:
            assert list((tmp_path / "i-1" / name).iterdir()) == []
            (tmp_path / "i-1" / name / "link").symlink_to("/")
            (tmp_path / "i-1" / name / "left").mkdir()
            (tmp_path / "i-1" / name / "left" / "file").touch()
        (tmp_path / "i-1" / "home").mkdir(exist_ok=True)
        (tmp_path / "i-1" / "home" / "kept").touch()
    assert (tmp_path / "i-1" / "home" / "kept").exists()


def test_shared_memory_is_half_of_what_an_instance_may_use() -> None:
    assert MemoryLimits(False, 0, None).shared_bytes(spec(DATA)) is None
    assert MemoryLimits(True, 100, None).shared_bytes(spec(DATA)) == 50 << 20
    large = MemoryLimits(True, 0, None).shared_bytes(spec(DATA, "ml.m5.24xlarge"))
    assert large == min(384 * GIB, machine_bytes()) // 2
