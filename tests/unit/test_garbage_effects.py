"""Environments, downloads and logs go whole; who uses an environment, or begins to at this moment, keeps it."""

from __future__ import annotations

import fcntl
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostmaker.assembly.garbage import Collector
from hostmaker.environments import garbage as environments
from hostmaker.logs import garbage as logs
from hostmaker.objects.cache import Cache
from hostmaker.planner.garbage import Bounds

DAY = 86400.0
BOUNDS = Bounds(timedelta(days=10), 1 << 40)


class House:
    """A cache and a data directory below `root`."""

    def __init__(self, root: Path) -> None:
        self.cache, self.data = root / "cache", root / "data"
        (self.cache / "environments").mkdir(parents=True)
        (self.cache / "work").mkdir()
        (self.data / "instances").mkdir(parents=True)
        self.downloads = Cache(self.data / "downloads", 10, lambda _: 1 << 40)

    def environment(self, key: str, days: float) -> Path:
        directory = self.cache / "environments" / key
        (directory / "bin").mkdir(parents=True)
        (directory / "bin" / "python").write_bytes(b"x" * 5000)
        complete = environments.complete_file(self.cache, key)
        complete.touch()
        then = time.time() - days * DAY
        os.utime(complete, (then, then))
        return directory

    def instance(self, ident: str) -> Path:
        directory = self.data / "instances" / ident
        directory.mkdir()
        return directory

    def log(self, ident: str, days: float) -> Path:
        path = self.data / "logs" / "us-east-1" / "fraud" / "AllTraffic" / f"{ident}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a line\n")
        path.with_suffix(".times").touch()
        then = time.time() - days * DAY
        os.utime(path, (then, then))
        return path

    def collect(self, logs: Bounds = BOUNDS) -> list[str]:
        found = Collector(self.cache, self.data, BOUNDS, logs, self.downloads)
        return [removal.name for removal in found.run(datetime.now(UTC))]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_environments_go_after_their_time(house: House) -> None:
    old, new = house.environment("old", 11), house.environment("new", 9)
    assert house.collect() == ["old"]
    assert not old.exists()
    assert not environments.complete_file(house.cache, "old").exists()
    assert (new / "bin" / "python").exists()
    assert house.collect() == []


def test_one_in_use_stays_and_counts_as_used_now(house: House) -> None:
    directory, instance = house.environment("key", 300), house.instance("i-1")
    environments.mark_use(house.cache, "key", instance)
    environments.mark_use(house.cache, "key", instance)
    os.utime(environments.complete_file(house.cache, "key"), (0, 0))
    assert house.collect() == []
    assert not environments.remove_environment(house.cache, "key")
    instance.rmdir()
    assert house.collect() == []  # it was in use a moment ago
    assert environments.remove_environment(house.cache, "key")
    assert not directory.exists()
    assert sorted(path.name for path in directory.parent.iterdir()) == ["key.lock"]


def test_one_that_is_being_made_is_left_alone(house: House) -> None:
    half = house.environment("half", 300)
    environments.complete_file(house.cache, "half").unlink()
    with (half.with_name("half.lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert environments.sweep(house.cache) == []
        assert half.exists()
    assert environments.sweep(house.cache) == ["half"]
    assert not half.exists()


def test_what_a_crash_has_left_is_swept(house: House) -> None:
    (house.cache / "environments" / ".gone-key" / "bin").mkdir(parents=True)
    old, new = house.cache / "work" / "old", house.cache / "work" / "new"
    for path in (old, new):
        path.mkdir()
    os.utime(old, (0, 0))
    assert environments.sweep(house.cache) == [".gone-key", "old"]
    assert new.exists()


def test_a_removal_that_died_in_the_middle_leaves_nothing_that_is_used(house: House) -> None:
    """Its wholeness goes first, so whoever comes next makes it anew; the rest is swept."""
    directory = house.environment("key", 300)
    complete = environments.complete_file(house.cache, "key")
    os.replace(complete, complete.with_name(".gone-key.complete"))
    assert environments.kept_environments(house.cache) == []
    assert environments.sweep(house.cache) == ["key"]
    assert not directory.exists()


def test_the_size_is_measured_once(house: House) -> None:
    directory = house.environment("key", 1)
    (first,) = environments.kept_environments(house.cache)
    assert first.size >= 5000
    (directory / "more").write_bytes(b"x" * 50_000)
    assert environments.kept_environments(house.cache) == [first]


def test_logs_of_instances_that_have_ended_go(house: House) -> None:
    ended, living, new = house.log("i-1", 11), house.log("i-2", 400), house.log("i-3", 9)
    house.instance("i-2")
    assert house.collect() == ["us-east-1/fraud/AllTraffic/i-1.log"]
    assert not ended.exists()
    assert not ended.with_suffix(".times").exists()
    platform = living.parent.parent / "hostmaker" / "platform.log"
    platform.parent.mkdir()
    platform.touch()
    os.utime(platform, (0, 0))
    assert living.exists()
    assert house.collect(Bounds(timedelta(days=10), 0)) == ["us-east-1/fraud/AllTraffic/i-3.log"]
    assert not new.exists()
    assert living.exists()
    assert platform.exists()


def test_directories_that_have_long_been_empty_go(house: House) -> None:
    path = house.log("i-1", 11)
    house.collect()
    assert path.parent.exists()  # an instance may be about to write there
    for directory in (path.parent, path.parent.parent):
        os.utime(directory, (0, 0))
    logs.sweep(house.data / "logs")
    assert not path.parent.exists()


def test_downloads_are_held_to_their_bound(house: House, caplog: pytest.LogCaptureFixture) -> None:
    assert house.collect() == []
    house.downloads.directory.mkdir()
    for name, then in (("a.1", 1), ("b.1", 2)):
        (house.downloads.directory / name).write_bytes(b"123456")
        os.utime(house.downloads.directory / name, (then, then))
    caplog.set_level("INFO")
    house.collect()
    assert [path.name for path in house.downloads.directory.glob("[!.]*.*")] == ["b.1"]
    assert "of downloads: they take more than they may" in caplog.text


def test_downloads_that_cannot_be_looked_through_stop_nothing_else(house: House) -> None:
    house.downloads.directory.mkdir()
    (house.downloads.directory / "locks").write_text("in the way")
    house.log("old", 11)
    assert house.collect() == ["us-east-1/fraud/AllTraffic/old.log"]


def test_logs_of_processes_are_bounded(house: House) -> None:
    (house.data / "store.log").write_bytes(b"a line\n" * 3_000_000)
    house.collect()
    assert (house.data / "store.log").stat().st_size < 9 << 20
