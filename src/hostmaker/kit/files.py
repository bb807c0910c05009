"""Files that are there whole or not at all, and locks that end with their holder."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PID_DIGITS = 10


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` at `path` so that a reader, or a crash, sees the old file or the new one and nothing between.

    Raises OSError, which names `path`.
    """
    temporary = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


@dataclass(frozen=True, slots=True)
class Weight:
    """What a directory takes on disk: bytes, and files of any kind.

    `is_whole`: False where it goes deeper than a path can name, and what is there was not seen.
    """

    size: int = 0
    files: int = 0
    is_whole: bool = True

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.size + other.size, self.files + other.files, self.is_whole and other.is_whole)


def weigh(directory: Path) -> Weight:
    """Return what a directory takes on disk; what disappears meanwhile counts nothing. Never through links.

    It may be of strangers' making, so its depth is no depth of calls here.
    """
    size, files, is_whole = 0, 0, True
    pending = [str(directory)]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    files += 1
                    try:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                    except OSError as error:
                        is_whole = is_whole and error.errno != errno.ENAMETOOLONG
        except OSError as error:
            is_whole = is_whole and error.errno != errno.ENAMETOOLONG
    return Weight(size, files, is_whole)


def measure(directory: Path) -> int:
    """Return the bytes that a directory takes on disk, as `weigh` does."""
    return weigh(directory).size


class Lock:
    """An advisory lock on a file, held until `release` or the end of the process; children do not inherit it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process holds it. The file then tells the holder's process id."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        # Written over what was there, which takes no room: a full disk must not keep a role from coming back.
        line = f"{os.getpid():<{PID_DIGITS}}\n".encode()
        try:
            os.pwrite(descriptor, line, 0)
            os.ftruncate(descriptor, len(line))
        except OSError as error:
            self.release()
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(path: Path) -> int | None:
    """Give the process id that holds the lock at `path`, or None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(descriptor)
