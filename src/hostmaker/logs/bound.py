"""Holds a log to a bound while its writers go on: the older half is dropped, and a line says so.

Instances append to the file that they have opened themselves, so it is shortened in place. What is written between
reading the newer half and putting it back is dropped with the rest.
"""

from __future__ import annotations

import os
from pathlib import Path

from hostmaker.kit.files import write_atomically
from hostmaker.logs.times import PAIR, Marks, read_marks
from hostmaker.logs.write import PREFIX

MIB = 1 << 20


def shorten(path: Path, most_bytes: int) -> int:
    """Keep the newest lines, at most half of `most_bytes`, and their times; gives the bytes dropped. Raises OSError."""
    marks = read_marks(path)
    told, dropped = drop_older(path, most_bytes, "node.log_mib")
    write_atomically(path.with_suffix(".times"), _shifted(marks, dropped, told))
    return dropped


def drop_older(path: Path, most_bytes: int, setting: str) -> tuple[int, int]:
    """Keep the newest lines, at most half of `most_bytes`; gives the bytes of the line that says so, and those dropped.

    Raises OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - most_bytes // 2))
        kept = file.read(most_bytes // 2)
    kept = kept[kept.find(b"\n") + 1 :] if b"\n" in kept else kept
    dropped = size - len(kept)
    bound = f"a log has at most {most_bytes / MIB:g} MiB ({setting})"
    told = f"{PREFIX}{dropped} bytes of older lines were dropped: {bound}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, told + kept)
    finally:
        os.close(descriptor)
    return len(told), dropped


def _shifted(marks: Marks, dropped: int, told: int) -> bytes:
    """Give the notes about what is still there, at the places where it lies now."""
    kept = (index for index in range(marks.count) if marks.offset(index) > dropped)
    return b"".join(PAIR.pack(marks.offset(index) - dropped + told, marks.at_ms(index)) for index in kept)
