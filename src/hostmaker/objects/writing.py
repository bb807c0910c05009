"""Writes an object that comes in chunks to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hostmaker.ports import ObjectVersion


def written(version: ObjectVersion, content: Iterator[bytes], path: Path) -> Iterator[tuple[int, int]]:
    """Write `content` to `path`, giving (bytes so far, bytes in all) as it goes; raises what `content` raises."""
    done = 0
    with path.open("wb") as file:
        for chunk in content:
            file.write(chunk)
            done += len(chunk)
            yield done, version.size
