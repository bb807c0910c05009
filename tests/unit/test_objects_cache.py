"""The cache of downloads, with a source in memory and a disk whose free bytes are told."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hostmaker.objects.cache import KEPT_FREE_BYTES, Cache, CachedObjects
from hostmaker.ports import ObjectDamagedError, ObjectMissingError, ObjectVersion

PLENTY = 1 << 40


@dataclass
class Source:
    """Objects by key, in one bucket; `opened` are the keys that were downloaded. Each takes `takes_s`."""

    objects: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    takes_s: float = 0.0

    def version(self, bucket: str, key: str) -> ObjectVersion:
        if key not in self.objects:
            raise ObjectMissingError(key)
        content = self.objects[key]
        return ObjectVersion(self.etags.get(key, hashlib.md5(content).hexdigest()), len(content))

    def open(self, bucket: str, key: str) -> tuple[ObjectVersion, Iterator[bytes]]:
        version = self.version(bucket, key)
        self.opened.append(key)
        return version, self._content(key)

    def _content(self, key: str) -> Iterator[bytes]:
        content = self.objects[key]
        yield content[: len(content) // 2]
        time.sleep(self.takes_s)
        if key in self.damaged:
            raise ObjectDamagedError(key)
        yield content[len(content) // 2 :]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


class House:
    """A cache over a source, and instances that download by way of it."""

    def __init__(self, root: Path, most_bytes: int = 1000) -> None:
        self.root, self.source, self.free, self.said = root, Source(), PLENTY, list[str]()
        self.cache = Cache(root / "downloads", most_bytes, lambda _: self.free)

    def get(self, key: str, name: str = "got", *, is_borrowed: bool = False, store: str = "ours") -> bytes:
        objects = CachedObjects(self.source, self.cache, store, self.said.append)
        path = self.root / name
        path.unlink(missing_ok=True)
        steps = list(objects.download("b", key, path, is_borrowed=is_borrowed))
        assert steps[-1] == (len(self.source.objects[key]),) * 2
        return path.read_bytes()

    def kept(self) -> list[Path]:
        return sorted(self.cache.directory.glob("[!.]*.*"))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_what_was_downloaded_is_not_downloaded_again(house: House, first: bool, second: bool) -> None:
    house.source.objects["m"] = b"model"
    assert house.get("m", "1", is_borrowed=first) == b"model"
    assert house.said == []
    assert house.get("m", "2", is_borrowed=second) == b"model"
    assert house.source.opened == ["m"]
    assert house.said == ["model data: m is in the cache, and not downloaded again"]


@pytest.mark.parametrize("etag", ["of-its-content", "the-same"])
def test_another_version_is_downloaded_and_takes_the_place_of_the_old_one(house: House, etag: str) -> None:
    if etag == "the-same":
        house.source.etags["m"] = etag
    house.source.objects["m"] = b"model"
    house.get("m")
    house.source.objects["m"] = b"changed"
    assert house.get("m") == b"changed"
    assert house.source.opened == ["m", "m"]
    assert [path.read_bytes() for path in house.kept()] == [b"changed"]


def test_an_object_that_is_gone_is_not_had_from_the_cache(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.get("m")
    del house.source.objects["m"]
    with pytest.raises(ObjectMissingError):
        house.get("m")


def test_keys_and_stores_do_not_get_mixed_up(house: House) -> None:
    house.source.etags = {"a": "1", "b": "1"}
    house.source.objects |= {"a": b"aaaaa", "b": b"bbbbb"}
    assert (house.get("a"), house.get("b"), house.get("a")) == (b"aaaaa", b"bbbbb", b"aaaaa")
    house.source.objects["a"] = b"other"
    assert house.get("a", store="https://elsewhere") == b"other"


@pytest.mark.parametrize("was_kept", [False, True])
def test_what_a_model_writes_does_not_reach_the_cache(house: House, was_kept: bool) -> None:
    house.source.objects["m"] = b"model"
    if was_kept:
        house.get("m", "earlier")
    house.get("m", "model")
    with (house.root / "model").open("r+b") as file:
        file.write(b"EVIL!")
    assert house.get("m", "next") == b"model"
    assert (house.root / "model").stat().st_nlink == 1


def test_nobody_else_can_read_it(house: House) -> None:
    house.source.objects["m"] = b"model"
    for is_borrowed in (False, True):
        house.get("m", is_borrowed=is_borrowed)
    (kept,) = house.kept()
    assert stat.S_IMODE(house.cache.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_least_recently_used_go_first(house: House) -> None:
    house.source.objects |= {key: key.encode() * 300 for key in "abcd"}
    for key in "abca":
        house.get(key)
        time.sleep(0.01)
    house.get("d")
    assert sorted(path.read_bytes()[:1] for path in house.kept()) == [b"a", b"c", b"d"]
    assert sum(path.stat().st_size for path in house.kept()) <= 1000
    assert house.get("b") == b"b" * 300
    assert house.source.opened == ["a", "b", "c", "d", "b"]


@pytest.mark.parametrize(("etag", "size"), [("", 5), ('W/"1"', 5), ("1", 1001)])
def test_what_is_not_kept(house: House, etag: str, size: int) -> None:
    house.source.objects["m"], house.source.etags["m"] = bytes(size), etag
    assert house.get("m") == house.get("m") == bytes(size)
    assert house.source.opened == ["m", "m"]
    assert house.kept() == []


def test_a_disk_that_is_nearly_full_keeps_nothing(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.free = KEPT_FREE_BYTES + 4
    assert house.get("m") == b"model"
    assert house.kept() == []
    assert house.said == ["model data: m cannot be kept in the cache: the disk has less than 2 GiB to spare"]


def test_older_objects_make_room_on_a_disk_that_is_nearly_full(house: House) -> None:
    house.source.objects |= {"a": b"a" * 100, "b": b"b" * 100, "c": b"c" * 10}
    for key in "ab":
        house.get(key)
        time.sleep(0.01)
    house.free = KEPT_FREE_BYTES - 60  # an object and what it is extracted to are 20 more
    house.get("c", is_borrowed=True)
    assert [path.read_bytes()[:1] for path in house.kept()] == [b"b"]


def test_a_cache_that_cannot_be_made_costs_a_download_only(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.cache.directory.write_text("in the way")
    assert house.get("m") == house.get("m") == b"model"
    assert house.source.opened == ["m", "m"]
    assert house.said[0] == "model data: m cannot be kept in the cache: Not a directory"


def test_a_kept_file_that_was_cut_is_downloaded_again(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.get("m")
    os.truncate(house.kept()[0], 3)
    assert house.get("m") == b"model"
    assert [path.read_bytes() for path in house.kept()] == [b"model"]


def test_nothing_is_kept_of_what_came_damaged_or_half(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.source.damaged.add("m")
    with pytest.raises(ObjectDamagedError):
        house.get("m")
    half = CachedObjects(house.source, house.cache, "ours", house.said.append).download("b", "m", house.root / "half")
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert house.kept() == []
    house.source.damaged.clear()
    assert house.get("m") == b"model"  # and nobody holds its lock


@pytest.mark.parametrize("is_borrowed", [False, True])
def test_of_many_who_need_it_at_once_one_downloads(house: House, is_borrowed: bool) -> None:
    house.source.objects["m"], house.source.takes_s = b"model", 0.3
    with ThreadPoolExecutor(10) as pool:
        got = list(pool.map(lambda n: house.get("m", f"got{n}", is_borrowed=is_borrowed), range(10)))
    assert got == [b"model"] * 10
    assert house.source.opened == ["m"]
    assert [path.name for path in house.cache.directory.glob(".part-*")] == []


DOWNLOADS_AND_HANGS = """
import pathlib, sys, time
from hostmaker.objects.cache import Cache, CachedObjects
from hostmaker.ports import ObjectVersion
class Hanging:
    def open(self, bucket, key):
        return ObjectVersion("1", 5), self.content()
    def content(self):
        yield b"mo"
        print("half", flush=True)
        time.sleep(60)
objects = CachedObjects(Hanging(), Cache(pathlib.Path(sys.argv[1]), 1000), "ours", print)
list(objects.download("b", "m", pathlib.Path(sys.argv[2])))
"""


def test_whoever_is_killed_in_the_middle_leaves_nothing_and_holds_up_nobody(house: House) -> None:
    argv = [sys.executable, "-c", DOWNLOADS_AND_HANGS, str(house.cache.directory), str(house.root / "half")]
    house.source.objects["m"], house.source.etags["m"] = b"model", "1"
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other, ThreadPoolExecutor(1) as pool:
        assert other.stdout is not None
        assert other.stdout.readline() == b"half\n"
        got = pool.submit(house.get, "m")
        time.sleep(0.2)
        assert house.source.opened == []  # it waits
        other.kill()
        assert got.result(timeout=20) == b"model"
    assert [path.read_bytes() for path in house.kept()] == [b"model"]


def test_those_who_need_what_cannot_be_kept_do_not_wait_for_each_other(house: House) -> None:
    house.source.objects["m"] = bytes(2000)
    both = threading.Barrier(2, timeout=20)

    class Meeting(Source):
        def _content(self, key: str) -> Iterator[bytes]:
            yield self.objects[key][:1]
            both.wait()
            yield self.objects[key][1:]

    house.source = Meeting(house.source.objects)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: len(house.get("m", f"got{n}")), range(2))) == [2000, 2000]


def test_many_at_once_stay_within_the_bound(house: House) -> None:
    house.source.objects |= {f"k{n}": bytes([n]) * 90 for n in range(40)}
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: house.get(f"k{n}", f"got{n}"), range(40)))
    assert got == [bytes([n]) * 90 for n in range(40)]
    kept = sum(path.stat().st_size for path in house.kept())
    assert 800 < kept <= 1000
    assert (house.cache.directory / ".bytes").read_text() == str(kept)


@pytest.mark.parametrize("books", [None, "", "garbage"])
def test_books_that_a_crash_has_lost_are_made_anew(house: House, books: str | None) -> None:
    house.source.objects |= {key: key.encode() * 400 for key in "abc"}
    house.get("a")
    house.get("b")
    file = house.cache.directory / ".bytes"
    file.unlink() if books is None else file.write_text(books)
    house.get("c")
    assert len(house.kept()) == 2
    assert file.read_text() == "800"


def test_the_bound_can_be_made_smaller_or_nothing(house: House) -> None:
    house.source.objects |= {key: key.encode() * 300 for key in "abc"}
    for key in "abc":
        house.get(key)
        time.sleep(0.01)
    assert house.cache.trim() == 0
    assert Cache(house.cache.directory, 700, house.cache.free).trim() == 300
    assert [path.read_bytes()[:1] for path in sorted(house.kept(), key=os.path.getmtime)] == [b"b", b"c"]
    assert Cache(house.cache.directory, 0, house.cache.free).trim() == 600
    assert house.kept() == []
    assert Cache(house.root / "never-made", 0, house.cache.free).trim() == 0


def test_a_full_disk_and_what_crashes_have_left_are_seen_to(house: House) -> None:
    house.source.objects["m"] = b"model"
    house.get("m")
    old, new = house.cache.directory / ".part-old", house.cache.directory / ".part-new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    house.free = 0
    assert house.cache.trim() == 5
    assert (house.kept(), old.exists(), new.exists()) == ([], False, True)


def test_keys_are_those_of_the_source(house: House) -> None:
    house.source.objects |= {"m/a": b"", "n": b""}
    assert CachedObjects(house.source, house.cache, "ours", house.said.append).keys("b", "m/") == ["m/a"]
