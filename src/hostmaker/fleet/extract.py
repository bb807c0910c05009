"""Extracts a model archive as somebody with no rights: in a child process, file by file, refusing what is not plain.

What is refused: absolute names, `..`, links of both kinds, devices and pipes, names that come twice, archives that are
cut short or have something behind their end, more entries or bytes than the bounds.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import stat
import sys
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

NOBODY = 65534
CHUNK = 1024 * 1024
EXIT_REFUSED = 7


class ExtractionError(Exception):
    """The archive is refused; the message names the member and says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may become. A ratio above `most_ratio` is a bomb once `ratio_from_bytes` have come out."""

    most_entries: int = 100_000
    most_bytes: int = 64 * 1024**3
    most_ratio: int = 400
    ratio_from_bytes: int = 256 * 1024**2


def extract(archive: Path, target: Path, bounds: Bounds | None = None) -> None:
    """Extract a .tar.gz into an empty directory; raises ExtractionError, and leaves nothing outside `target`."""
    reading, writing = os.pipe()
    with archive.open("rb") as file:
        is_root = os.getuid() == 0
        if is_root:
            os.chown(target, NOBODY, NOBODY)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _in_child(file, target, bounds or Bounds(), writing, is_root)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
        if is_root:
            _take_back(target)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return
    shutil.rmtree(target)
    target.mkdir(mode=0o700)
    raise ExtractionError(told or f"extraction ended with status {status}")


def _in_child(file: IO[bytes], target: Path, bounds: Bounds, writing: int, is_root: bool) -> None:
    """Shed all rights, then extract below the working directory. Never returns."""
    try:
        os.chdir(target)  # before the rights go: the directories above are closed to nobody
        if is_root:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.most_bytes, bounds.most_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.umask(0o077)
        extract_here(file, bounds)
    except ExtractionError as error:
        os.write(writing, str(error).encode(errors="replace")[:4000])
        os._exit(EXIT_REFUSED)
    except OSError as error:
        os.write(writing, f"writing the files failed: {error.strerror or error}".encode())
        os._exit(EXIT_REFUSED)
    except BaseException as error:  # the child's last owner: the parent is told whatever it was
        os.write(writing, f"extraction failed: {error!r}".encode()[:4000])
        os._exit(1)
    os._exit(0)


def extract_here(file: IO[bytes], bounds: Bounds) -> None:
    """Extract a .tar.gz stream below the working directory; raises ExtractionError."""
    count = _Count(file, bounds)
    seen: set[str] = set()
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for entries, member in enumerate(archive, start=1):
                    if entries > bounds.most_entries:
                        raise ExtractionError(f"the archive has more than {bounds.most_entries} entries")
                    _extract_member(archive, member, seen, count)
            _check_end(unpacked)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise ExtractionError(f"the archive is not a whole .tar.gz: {error}") from error


class _Count:
    """Bytes that came out, held against the bounds."""

    def __init__(self, packed: IO[bytes], bounds: Bounds) -> None:
        self._packed = packed
        self._bounds = bounds
        self._bytes = 0

    def add(self, number: int, name: str) -> None:
        self._bytes += number
        if self._bytes > self._bounds.most_bytes:
            raise ExtractionError(f"the archive holds more than {self._bounds.most_bytes} bytes (at {name!r})")
        packed = max(1, self._packed.tell())
        if self._bytes > self._bounds.ratio_from_bytes and self._bytes / packed > self._bounds.most_ratio:
            raise ExtractionError(f"{name!r} grows to more than {self._bounds.most_ratio} times its packed size")


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, seen: set[str], count: _Count) -> None:
    path = _checked(member)
    if path is None:
        return
    name = str(path)
    if name in seen and not member.isdir():
        raise ExtractionError(f"{member.name!r} comes twice")
    seen.add(name)
    if member.isdir():
        os.makedirs(name, mode=0o700, exist_ok=True)
        return
    os.makedirs(path.parent, mode=0o700, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None
    mode = 0o700 if member.mode & stat.S_IXUSR else 0o600
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as target:
        while chunk := source.read(CHUNK):
            count.add(len(chunk), member.name)
            target.write(chunk)


def _checked(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Give the member's path if it is one to extract, None for the archive's own root; raises ExtractionError."""
    name, path = member.name, PurePosixPath(member.name)
    if path.is_absolute() or name.startswith("\\") or (len(name) > 1 and name[1] == ":"):
        raise ExtractionError(f"{name!r} is an absolute path")
    if ".." in path.parts or "\0" in name:
        raise ExtractionError(f"{name!r} leads out of the model directory")
    if member.issym() or member.islnk():
        kind = "symbolic" if member.issym() else "hard"
        raise ExtractionError(f"{name!r} is a {kind} link; pack the file itself")
    if not (member.isfile() or member.isdir()):
        raise ExtractionError(f"{name!r} is neither a file nor a directory")
    return path if path.parts else None


def _check_end(unpacked: gzip.GzipFile) -> None:
    """Read to the end, so that checksums are checked: nothing but padding may follow."""
    while chunk := unpacked.read(CHUNK):
        if chunk.strip(b"\0"):
            raise ExtractionError("the archive has data behind its end")


def _take_back(target: Path) -> None:
    for directory, _, names in os.walk(target):
        os.chown(directory, 0, 0)
        for name in names:
            os.lchown(os.path.join(directory, name), 0, 0)
