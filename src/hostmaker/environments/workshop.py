"""A folder for one step of a build, in which for root another user may work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hostmaker.environments.installer import NOBODY


@contextmanager
def workshop(root: Path, *, is_for_nobody: bool = False) -> Iterator[Path]:
    """Give a new folder below `root/work`, gone afterwards; where we are root it can belong to `nobody`."""
    parent = root / "work"
    parent.mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        if is_for_nobody:
            give_to_nobody(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give_to_nobody(folder: Path) -> None:
    """Let `nobody` own a folder and all in it, where we are root and so may give; else leave it ours."""
    _give(folder, NOBODY)


def take_back(folder: Path) -> None:
    """Own a folder and all in it again; a program that its builder has marked setuid loses the mark by that."""
    _give(folder, 0)


def _give(folder: Path, user: int) -> None:
    if os.getuid() != 0:
        return
    os.chown(folder, user, user)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), user, user, follow_symlinks=False)
