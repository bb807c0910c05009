"""Keeps what explains endpoints, in files that never change: `<sha256 of the content>.json`."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Set
from pathlib import Path

from hostmaker.kit.files import write_atomically
from hostmaker.ports import StoreUnavailableError

log = logging.getLogger("hostmaker.control")
OURS = re.compile(r"(?P<digest>[0-9a-f]{64})\.json|\.[0-9a-f]{64}\.json\.\d+\.new")  # the latter: a write cut short


class FileExplainerSpecs:
    """Implements `ports.ExplainerSpecs` in a directory for this user alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, content: bytes) -> str:
        """Keep a content, and give its digest; raises StoreUnavailableError."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._directory / f"{digest}.json"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            if _holds(path, content):
                os.utime(path)  # it is as young as whoever asks for it
            else:
                write_atomically(path, content)
                _make_names_last(self._directory)
        except OSError as error:
            raise StoreUnavailableError(f"The explainer cannot be kept: {error}.") from error
        return digest

    def sweep(self, named: Set[str], before: float) -> int:
        """Remove what is named by nobody and older than `before`, in Unix seconds; gives how many went."""
        try:
            with os.scandir(self._directory) as entries:
                return sum(_is_removed(entry, named, before) for entry in entries)
        except FileNotFoundError:
            return 0
        except OSError as error:
            log.warning("explainers could not be looked through: %s", error)
            return 0


def _is_removed(entry: os.DirEntry[str], named: Set[str], before: float) -> bool:
    match = OURS.fullmatch(entry.name)
    if match is None or match["digest"] in named or not entry.is_file(follow_symlinks=False):
        return False
    if entry.stat(follow_symlinks=False).st_mtime >= before:
        return False
    os.unlink(entry.path)
    return True


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


def _make_names_last(directory: Path) -> None:
    """See that a new name outlives the machine's power, as its content does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
