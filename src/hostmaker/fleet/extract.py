"""Extracts a model archive as somebody with no rights: in a process of its own, file by file, refusing what is odd.

What is refused: absolute names, `..`, links of both kinds, devices and pipes, names that lie too deep,
archives that are cut short, damaged or have something behind their end, headers without measure, more entries or bytes
than the bounds. tarfile is given what it can read without harm only: some of its versions take headers that lead
backward, or numbers of a million digits, for an occasion to work for hours. A file whose name comes again replaces the
earlier one, as tar has it: `tar -r` and scripts that add a directory and then its files make such archives.

This file is also the program of that process, so it needs nothing but the standard library.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

NOBODY = 65534
CHUNK = 1024 * 1024
BLOCK = 512
MOST_MEMORY_BYTES = 1024**3
MOST_HEADER_BYTES = 64 * 1024  # of all headers in front of one member: a long name, a few extended attributes
MOST_DIGITS = 300  # a file's name has at most 255
MOST_DEPTH = 100  # whoever removes a tree holds a descriptor open on every level
SHOWN = 200  # characters of a name, so that the reason behind it is not cut off
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
    count, tree = _Count(file, bounds), _Tree(bounds)
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            forward = _Forward(unpacked, count)
            with tarfile.open(fileobj=forward, mode="r:") as archive:  # type: ignore[call-overload]
                for entries, member in enumerate(archive, start=1):
                    if entries > bounds.most_entries:
                        raise ExtractionError(f"the archive has more than {bounds.most_entries} entries")
                    with forward.content():
                        _extract_member(archive, member, tree, count)
            _check_end(forward)
    except MemoryError:
        raise ExtractionError("the archive has headers that need too much memory") from None
    except RecursionError:
        raise ExtractionError("the archive is not a whole .tar.gz: its headers only lead to further headers") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, ArithmeticError) as error:
        raise ExtractionError(f"the archive is not a whole .tar.gz: {error}") from error


class _Count:
    """Bytes that came out, held against the bounds."""

    def __init__(self, packed: IO[bytes], bounds: Bounds) -> None:
        self._packed = packed
        self._bounds = bounds
        self._bytes = 0

    def add(self, number: int, name: str) -> None:
        """Count bytes that are written; holes of sparse files are bytes too."""
        self._bytes += number
        if self._bytes > self._bounds.most_bytes:
            raise ExtractionError(
                f"{_shown(name)} brings the archive above {self._bounds.most_bytes} bytes"
                f"{self._bounds.most_bytes_because}"
            )
        self._check_ratio(self._bytes, _shown(name))

    def unpacked(self, total: int) -> None:
        """Take how many bytes have been unpacked so far, files or not: headers and padding can be bombs, too."""
        self._check_ratio(total, "the archive")

    def _check_ratio(self, number: int, what: str) -> None:
        if number > self._bounds.ratio_from_bytes and number / max(1, self._packed.tell()) > self._bounds.most_ratio:
            raise ExtractionError(f"{what} grows to more than {self._bounds.most_ratio} times its packed size")


class _Forward:
    """A stream that tarfile may move forward in only, that bounds its headers, and that remembers what it gave last.

    tarfile takes a damaged header, and a stream that stops between two members, for the archive's end. Only the
    block it read last tells them from a true one.
    """

    def __init__(self, unpacked: gzip.GzipFile, count: _Count) -> None:
        self._unpacked = unpacked
        self._count = count
        self._at = 0
        self._header_bytes: int | None = 0  # none while a member's content is read
        self.last = b""

    @contextmanager
    def content(self) -> Iterator[None]:
        """Let a member's content be read; before and after come headers."""
        self._header_bytes = None
        yield
        self._header_bytes = 0

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        if position < self._at:
            raise tarfile.ReadError("a header leads backward")
        while self._at < position:
            if not self.pull(min(CHUNK, position - self._at)):
                raise EOFError("it ends inside a member")
        return self._at

    def read(self, size: int) -> bytes:
        if self._header_bytes is None:
            return self.pull(size)
        self._header_bytes += size
        if size < 0 or self._header_bytes > MOST_HEADER_BYTES:
            raise ExtractionError(f"the archive has a header of more than {MOST_HEADER_BYTES} bytes")
        header = self.pull(size)
        if re.search(rb"\d{%d}" % MOST_DIGITS, header):
            raise ExtractionError(f"the archive has a header with a number of more than {MOST_DIGITS} digits")
        return header

    def pull(self, size: int) -> bytes:
        """Give the next bytes, whatever they are."""
        self.last = self._unpacked.read(size)
        self._at += len(self.last)
        if self._header_bytes is not None:
            self._count.unpacked(self._at)
        return self.last


class _Tree:
    """What has been made below the working directory."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._files: set[PurePosixPath] = set()
        self._directories = {PurePosixPath(".")}

    def add_file(self, path: PurePosixPath) -> None:
        """Make the directories above a file, or remove the earlier file of its name; raises OSError."""
        if path in self._files:
            os.unlink(path)
            return
        self.add_directory(path.parent)
        self._files.add(path)

    def add_directory(self, path: PurePosixPath) -> None:
        """Make a directory and those above it, unless they are there; raises OSError."""
        missing = []
        while path not in self._directories:
            missing.append(path)
            path = path.parent
        if len(self._directories) + len(missing) > self._bounds.most_entries:
            raise ExtractionError(f"the archive makes more than {self._bounds.most_entries} directories")
        for each in reversed(missing):
            os.mkdir(each, mode=0o700)
            self._directories.add(each)


def _check_end(forward: _Forward) -> None:
    """See that the archive ended with an empty block, and only padding follows; reading on checks the checksums too."""
    if forward.last != bytes(BLOCK):
        raise ExtractionError("the archive is not a whole .tar.gz: its end is missing, or a header is damaged")
    while chunk := forward.pull(CHUNK):
        if chunk.strip(b"\0"):
            raise ExtractionError("the archive has data behind its end")


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: _Tree, count: _Count) -> None:
    path = _checked(member)
    if path is None:
        return
    shown = _shown(member.name)
    try:
        if member.isdir():
            tree.add_directory(path)
        else:
            tree.add_file(path)
            _write(archive, member, str(path), count)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ExtractionError(f"{shown} is a file where another member needs a directory") from error
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise ExtractionError(f"{shown} cannot be written: {error.strerror or error}") from error


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
    path, shown = PurePosixPath(member.name), _shown(member.name)
    if "\0" in member.name:
        raise ExtractionError(f"{shown} has a zero byte in its name")
    if path.is_absolute():
        raise ExtractionError(f"{shown} is an absolute path")
    if ".." in path.parts:
        raise ExtractionError(f"{shown} leads out of the model directory")
    if member.issym() or member.islnk():
        kind = "symbolic" if member.issym() else "hard"
        raise ExtractionError(f"{shown} is a {kind} link; pack the file itself")
    if not (member.isfile() or member.isdir()):
        raise ExtractionError(f"{shown} is neither a file nor a directory")
    if len(path.parts) > MOST_DEPTH:
        raise ExtractionError(f"{shown} lies deeper than {MOST_DEPTH} directories")
    if not path.parts and not member.isdir():
        raise ExtractionError(f"{shown} is a file without a name")
    return path if path.parts else None


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN else name[:SHOWN] + "...")


if __name__ == "__main__":
    main()
