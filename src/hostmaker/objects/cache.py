"""Keeps what was downloaded: the next instance that needs the same version of an object has it from here.

directory/<object>.<version>   a whole object, named by digests; its time is that of its last use
directory/.part-*              one that is on its way into the cache; a crash leaves it for an hour
directory/.bytes               what all take; gone or unreadable, it is measured again
directory/locks/               whoever downloads an object holds its lock: the others wait, and find it here

A cache that cannot be written or read costs a download, never an instance. What lies here is never written to again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hostmaker.objects.writing import written
from hostmaker.ports import ObjectVersion

KEPT_FREE_BYTES = 2 * 1024**3  # more than an extraction wants to have left
SPARE = 0.1  # who makes room makes a little more, so that not every object has to go through all
ABANDONED_AFTER_S = 3600.0
WAIT_LIMIT_S = 3600.0  # as long as a download may take
POLL_S = 0.05
LOCKS = 256
FICLONE = 0x40049409


class Source(Protocol):
    """Where objects come from; raises ObjectMissingError, ObjectsUnavailableError, ObjectDamagedError."""

    def version(self, bucket: str, key: str) -> ObjectVersion:
        """Give the version that lies at a key."""
        ...

    def open(self, bucket: str, key: str) -> tuple[ObjectVersion, Iterator[bytes]]:
        """Give an object's version and its content, which is all there when it ends without raising."""
        ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys under a prefix."""
        ...


class CachedObjects:
    """The downloads of an instance's preparation, by way of a cache. `store` names the source: keys are its own."""

    def __init__(self, source: Source, cache: Cache, store: str, say: Callable[[str], None]) -> None:
        self._source = source
        self._cache = cache
        self._store = store
        self._say = say

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all) as it goes; raises what the source raises.

        `is_borrowed`: the file is read and removed, so that it need not be a copy.
        """
        name = _digest(self._store, bucket, key)
        with self._cache.turn(name) as turn:
            if self._cache.has_any(name):
                version = self._source.version(bucket, key)
                if self._cache.holds(name, version):
                    yield (version.size if is_borrowed else 0), version.size
                    if self._cache.take(name, version, path, is_borrowed):
                        self._say(f"model data: {key} is in the cache, and not downloaded again")
                        yield version.size, version.size
                        return
            version, content = self._source.open(bucket, key)
            self._cache.make_room(2 * version.size)  # as it is, and extracted
            if not (is_kept := self._cache.takes(version)):
                turn.end()  # nobody who waits would find it
            yield from written(version, content, path)
            if is_kept and (why := self._cache.keep(name, version, path, is_borrowed)):
                self._say(f"model data: {key} cannot be kept in the cache: {why}")

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys under a prefix; raises what the source raises."""
        return self._source.keys(bucket, prefix)


@dataclass(slots=True)
class Turn:
    """The right to download an object, or nothing when there is no telling who else does."""

    descriptor: int | None = None

    def end(self) -> None:
        """Give the turn on."""
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor = None


@dataclass(frozen=True, slots=True)
class Cache:
    """Objects by name and version, `most_bytes` in all; `free` tells the bytes that are left on a directory's disk."""

    directory: Path
    most_bytes: int
    free: Callable[[Path], int] = lambda directory: shutil.disk_usage(directory).free

    @contextmanager
    def turn(self, name: str) -> Iterator[Turn]:
        """Wait until nobody else downloads the object; a cache that cannot be written makes nobody wait."""
        turn = Turn()
        with suppress(OSError):
            turn.descriptor = self._lock(f"{int(name, 16) % LOCKS:02x}")
        try:
            yield turn
        finally:
            turn.end()

    def has_any(self, name: str) -> bool:
        """Tell whether some version is there."""
        with suppress(OSError):
            return next(self.directory.glob(f"{name}.*"), None) is not None
        return False

    def holds(self, name: str, version: ObjectVersion) -> bool:
        """Tell whether this version is there, whole."""
        with suppress(OSError):
            return self._path(name, version).stat().st_size == version.size
        return False

    def takes(self, version: ObjectVersion) -> bool:
        """Tell whether a version is one to keep: it must have a name, and not be larger than everything may be."""
        return bool(version.etag) and not version.etag.startswith("W/") and version.size <= self.most_bytes

    def take(self, name: str, version: ObjectVersion, path: Path, is_borrowed: bool) -> bool:
        """Put a kept object at `path`; False when that fails, and then nothing is there."""
        kept = self._path(name, version)
        try:
            _put(kept, path, is_borrowed)
            os.utime(kept)
        except OSError:  # gone meanwhile, or the disk is full: a download tells which
            path.unlink(missing_ok=True)
            return False
        return True

    def keep(self, name: str, version: ObjectVersion, path: Path, is_borrowed: bool) -> str | None:
        """Keep what lies at `path` as this version; gives why that was not possible."""
        part = self.directory / f".part-{secrets.token_hex(8)}"
        try:
            if self.free(self.directory) - (0 if is_borrowed else version.size) < KEPT_FREE_BYTES:
                return f"the disk has less than {KEPT_FREE_BYTES / 1024**3:g} GiB to spare"
            _put(path, part, is_borrowed)
            _make_last(part)
            with self._books() as total:
                for older in self.directory.glob(f"{name}.*"):
                    total.bytes -= _remove(older)
                if total.bytes + version.size > self.most_bytes:
                    room = min(self.most_bytes - version.size, int(self.most_bytes * (1 - SPARE)))
                    total.bytes = self._evict(room)
                os.replace(part, self._path(name, version))
                total.bytes += version.size
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            return error.strerror or str(error)
        return None

    def make_room(self, size: int) -> None:
        """Let older objects go for `size` bytes more when the disk is nearly full."""
        with suppress(OSError):
            if (lacking := self._lacking(size)) and self._measure():
                with self._books() as total:
                    total.bytes = self._evict(self._measure() - lacking)

    def trim(self) -> int:
        """Hold everything to the bound, which may have been another, and to what the disk has left.

        Gives how many bytes went. Raises OSError.
        """
        if not self.directory.is_dir():
            return 0
        with self._books() as total:
            before = self._measure()
            total.bytes = self._evict(min(self.most_bytes, before - self._lacking(0)))
            for part in self.directory.glob(".part-*"):
                with suppress(FileNotFoundError):
                    if time.time() - part.stat().st_mtime > ABANDONED_AFTER_S:
                        part.unlink()
            return before - total.bytes

    def _lacking(self, size: int) -> int:
        return max(0, size + KEPT_FREE_BYTES - self.free(self.directory))

    def _measure(self) -> int:
        return sum(size for _, size, _ in self._kept())

    def _evict(self, room: int) -> int:
        """Remove what was used least recently until the rest takes at most `room` bytes; gives what it takes."""
        kept = sorted(self._kept())
        size = sum(each for _, each, _ in kept)
        for _, _, path in kept:
            if size <= room:
                break
            size -= _remove(path)
        return size

    def _kept(self) -> Iterator[tuple[int, int, Path]]:
        """Give time of last use, bytes and path of every object."""
        for path in self.directory.glob("[!.]*.*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                yield found.st_mtime_ns, found.st_size, path

    @contextmanager
    def _books(self) -> Iterator[_Total]:
        """Hold the books on what all objects take, one process at a time; raises OSError."""
        descriptor = self._lock("books")
        file = self.directory / ".bytes"
        try:
            text = file.read_text() if file.exists() else ""
            total = _Total(int(text) if text.isdigit() else self._measure())
            file.unlink(missing_ok=True)  # whoever is killed from here on leaves no books, and they are made anew
            yield total
            file.write_text(str(total.bytes))
        finally:
            os.close(descriptor)

    def _lock(self, name: str) -> int:
        """Take a lock, for as long as the descriptor is open; raises OSError, also when that takes too long."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        locks = self.directory / "locks"
        locks.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + WAIT_LIMIT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise
                time.sleep(POLL_S)

    def _path(self, name: str, version: ObjectVersion) -> Path:
        return self.directory / f"{name}.{_digest(version.etag, str(version.size))}"


@dataclass(slots=True)
class _Total:
    bytes: int


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:40]


def _put(source: Path, target: Path, is_borrowed: bool) -> None:
    """Make `target` a further name of a file, or a copy of it, sharing its blocks where the file system can."""
    target.unlink(missing_ok=True)
    if is_borrowed:
        with suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return
    with source.open("rb") as taken, target.open("xb") as given:
        try:
            fcntl.ioctl(given, FICLONE, taken.fileno())
        except OSError:
            shutil.copyfileobj(taken, given, 1024 * 1024)


def _make_last(path: Path) -> None:
    """See that a file's content outlives the machine's power: its name must not without it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> int:
    """Remove a file; gives the bytes that it had, none when it was gone already."""
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size
