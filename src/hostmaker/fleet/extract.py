"""Extracts a model archive as somebody with no rights: in a process of its own, file by file, refusing what is odd.

What is refused: absolute names, `..`, links of both kinds, devices and pipes, names that come twice, archives that are
cut short, damaged or have something behind their end, more entries or bytes than the bounds.

This file is also the program of that process, so it needs nothing but the standard library.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

NOBODY = 65534
CHUNK = 1024 * 1024
BLOCK = 512
MOST_MEMORY_BYTES = 1024**3  # a header of a tar can ask for any amount
KEPT_FREE_BYTES = 1024**3
EXIT_REFUSED = 7
PR_SET_NO_NEW_PRIVS = 38


class ExtractionError(Exception):
    """The archive is refused; the message names the member and says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may become. A ratio above `most_ratio` is a bomb once `ratio_from_bytes` have come out.

    `most_bytes_because` says what else than itself bounds `most_bytes`.
    """

    most_entries: int = 100_000
    most_bytes: int = 256 * 1024**3
    most_ratio: int = 400
    ratio_from_bytes: int = 256 * 1024**2
    most_bytes_because: str = ""


def extract(archive: Path, target: Path, bounds: Bounds | None = None, limit_s: float = 3600.0) -> None:
    """Extract a .tar.gz into an empty directory; raises ExtractionError, and then leaves it empty.

    Never fills the disk: what is free less a reserve bounds the bytes too. Raises TimeoutError after `limit_s`.
    """
    bounds = bounds or Bounds()
    free = shutil.disk_usage(target).free
    room = max(0, free - KEPT_FREE_BYTES)
    if room < bounds.most_bytes:
        why = f" (the disk has {free / 1024**3:.2f} GiB free, and {KEPT_FREE_BYTES / 1024**3:g} GiB stay so)"
        bounds = replace(bounds, most_bytes=room, most_bytes_because=why)
    told = json.dumps(asdict(bounds))
    is_root = os.getuid() == 0
    if is_root:
        os.chown(target, NOBODY, NOBODY)
    try:
        with archive.open("rb") as file:
            # An environment of its own: the child must not have the keys that this process has.
            ended = subprocess.run(
                [sys.executable, "-I", "-S", __file__, told],
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=target,
                env={"LANG": "C.UTF-8"},
                umask=0o077,
                timeout=limit_s,
                check=False,
            )
    except subprocess.TimeoutExpired:
        _empty(target)
        raise TimeoutError(f"extraction took more than {limit_s:g} s") from None
    if ended.returncode != 0:
        _empty(target)
        last = (ended.stdout.decode(errors="replace").strip().splitlines() or ["nothing was said"])[-1][:1000]
        how = f"extraction ended with status {ended.returncode}: "
        raise ExtractionError(last if ended.returncode == EXIT_REFUSED else how + last)
    if is_root:
        _take_back(target)


def _empty(target: Path) -> None:
    shutil.rmtree(target)
    target.mkdir(mode=0o700)


def _take_back(target: Path) -> None:
    for directory, _, names in os.walk(target):
        os.chown(directory, 0, 0)
        for name in names:
            os.chown(os.path.join(directory, name), 0, 0, follow_symlinks=False)


# The child's side


def main() -> None:
    """Extract standard input below the working directory, without rights."""
    bounds = Bounds(**json.loads(sys.argv[1]))
    _shed_rights(bounds)
    try:
        extract_here(sys.stdin.buffer, bounds)
    except ExtractionError as error:
        os.write(1, str(error).encode(errors="backslashreplace").replace(b"\n", b" "))
        sys.exit(EXIT_REFUSED)


def _shed_rights(bounds: Bounds) -> None:
    if sys.platform == "linux":
        import ctypes  # while it can still be read: Python may lie in somebody's home

        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.most_bytes, bounds.most_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def extract_here(file: IO[bytes], bounds: Bounds) -> None:
    """Extract a .tar.gz stream below the working directory; raises ExtractionError."""
    count = _Count(file, bounds)
    seen: set[str] = set()
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            forward = _Forward(unpacked)
            with tarfile.open(fileobj=forward, mode="r:") as archive:  # type: ignore[call-overload]
                for entries, member in enumerate(archive, start=1):
                    if entries > bounds.most_entries:
                        raise ExtractionError(f"the archive has more than {bounds.most_entries} entries")
                    _extract_member(archive, member, seen, count)
            _check_end(forward)
    except MemoryError:
        raise ExtractionError("the archive has a header that needs too much memory") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, RecursionError) as error:
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
            raise ExtractionError(
                f"{name!r} brings the archive above {self._bounds.most_bytes} bytes{self._bounds.most_bytes_because}"
            )
        packed = max(1, self._packed.tell())
        if self._bytes > self._bounds.ratio_from_bytes and self._bytes / packed > self._bounds.most_ratio:
            raise ExtractionError(f"{name!r} grows to more than {self._bounds.most_ratio} times its packed size")


class _Forward:
    """A stream that tarfile may move forward in only, and that remembers what it gave last.

    tarfile takes a damaged header, and a stream that stops between two members, for the archive's end. Only the
    block it read last tells them from a true one.
    """

    def __init__(self, unpacked: gzip.GzipFile) -> None:
        self._unpacked = unpacked
        self._at = 0
        self.last = b""

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        if position < self._at:
            raise tarfile.ReadError("a header leads backward")
        while self._at < position:
            if not self.read(min(CHUNK, position - self._at)):
                raise EOFError("it ends inside a member")
        return self._at

    def read(self, size: int) -> bytes:
        self.last = self._unpacked.read(size)
        self._at += len(self.last)
        return self.last


def _check_end(forward: _Forward) -> None:
    """See that the archive ended with an empty block, and only padding follows; reading on checks the checksums too."""
    if forward.last != bytes(BLOCK):
        raise ExtractionError("the archive is not a whole .tar.gz: its end is missing, or a header is damaged")
    while chunk := forward.read(CHUNK):
        if chunk.strip(b"\0"):
            raise ExtractionError("the archive has data behind its end")


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, seen: set[str], count: _Count) -> None:
    path = _checked(member)
    if path is None:
        return
    name = str(path)
    if name in seen and not member.isdir():
        raise ExtractionError(f"{member.name!r} comes twice")
    seen.add(name)
    try:
        if member.isdir():
            os.makedirs(name, mode=0o700, exist_ok=True)
        else:
            os.makedirs(path.parent, mode=0o700, exist_ok=True)
            _write(archive, member, name, count)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ExtractionError(f"{member.name!r} is a file where another member needs a directory") from error
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise ExtractionError(f"{member.name[:200]!r} cannot be written: {error.strerror or error}") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, count: _Count) -> None:
    """Write one file; of its mode only the owner's right to execute is kept."""
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
    if path.is_absolute():
        raise ExtractionError(f"{name!r} is an absolute path")
    if ".." in path.parts or "\0" in name:
        raise ExtractionError(f"{name!r} leads out of the model directory")
    if member.issym() or member.islnk():
        kind = "symbolic" if member.issym() else "hard"
        raise ExtractionError(f"{name!r} is a {kind} link; pack the file itself")
    if not (member.isfile() or member.isdir()):
        raise ExtractionError(f"{name!r} is neither a file nor a directory")
    if not path.parts and not member.isdir():
        raise ExtractionError(f"{name!r} is a file without a name")
    return path if path.parts else None


if __name__ == "__main__":
    main()
