"""Removes directories that strangers have filled: whatever their depth, their modes and their names."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

OPENED = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Remove a directory and all that is in it, or the file or link that is in its place; nothing there is as good.

    Directories are hollowed one by one, and those in them moved to the top: a tree may be deeper than a path can name,
    or calls can be nested. No link is followed. Raises OSError.
    """
    try:
        top = os.open(path, OPENED | os.O_PATH)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # a link, too
        path.unlink(missing_ok=True)
        return
    try:
        _make_ours(top)
        _Removal(top).run()
    finally:
        os.close(top)
    path.rmdir()


class _Removal:
    """What is below the open directory `top` goes."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._moved = 0
        self._prefix = f".{os.urandom(8).hex()}-"  # no name that is there

    def run(self) -> None:
        top = os.open(".", os.O_RDONLY | OPENED, dir_fd=self._top)
        try:
            while names := os.listdir(top):
                for name in names:
                    self._remove(name)
        finally:
            os.close(top)

    def _remove(self, name: str) -> None:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=self._top).st_mode):
            os.unlink(name, dir_fd=self._top)
            return
        handle = os.open(name, OPENED | os.O_PATH, dir_fd=self._top)
        try:
            _make_ours(handle)
            self._hollow(handle)
        finally:
            os.close(handle)
        os.rmdir(name, dir_fd=self._top)

    def _hollow(self, handle: int) -> None:
        folder = os.open(".", os.O_RDONLY | OPENED, dir_fd=handle)
        try:
            for name in os.listdir(folder):
                if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    self._move(name, folder)
                else:
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)

    def _move(self, name: str, folder: int) -> None:
        """Move a directory to the top; an empty one, as most are, just goes."""
        with suppress(OSError):
            os.rmdir(name, dir_fd=folder)
            return
        handle = os.open(name, OPENED | os.O_PATH, dir_fd=folder)
        try:
            _make_ours(handle)  # to be moved it must be writable
        finally:
            os.close(handle)
        self._moved += 1
        os.rename(name, f"{self._prefix}{self._moved}", src_dir_fd=folder, dst_dir_fd=self._top)


def _make_ours(handle: int) -> None:
    """Have an open directory readable and writable; not by its name, where a link may have come meanwhile."""
    if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
