"""Reads a part of a log file as lines, in bounded turns: a log may be larger than memory, and a line too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_LINE_BYTES = 256 * 1024  # a longer one is several events, as the service's agents do it
TURN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line from `start` to `end`, both in bytes; `text` is without its end."""

    start: int
    end: int
    text: str

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to see in it."""
        return not self.text.strip()


def lines_between(path: Path, start: int, end: int) -> Iterator[Line]:
    """Give the whole lines from `start`, at which one begins, that end at or before `end`; opens the file for turns."""
    held, at = b"", start
    while at + len(held) < end:
        try:
            with path.open("rb") as file:
                file.seek(at + len(held))
                more = file.read(min(TURN_BYTES, end - at - len(held)))
        except FileNotFoundError:
            return
        if not more:
            return
        pieces, held = _split(held + more)
        for piece in pieces:
            yield Line(at, at + len(piece), piece.decode(errors="replace").rstrip("\r\n"))
            at += len(piece)


def line_start(path: Path, position: int, lowest: int = 0) -> int:
    """Give where the line that goes on at `position` begins: there or before, though never beneath `lowest`."""
    first = max(lowest, position - MOST_LINE_BYTES)
    try:
        with path.open("rb") as file:
            file.seek(first)
            before = file.read(position - first)
    except FileNotFoundError:
        return position
    newline = before.rfind(b"\n")
    if newline >= 0:
        return first + newline + 1
    return first if first == lowest else position  # within a line longer than any


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """Give the whole lines of `content`, or parts of too long ones, and what is left for the next turn."""
    pieces: list[bytes] = []
    for line in content.splitlines(keepends=True) if b"\r" not in content else _by_newline(content):
        pieces += [line[at : at + MOST_LINE_BYTES] for at in range(0, len(line), MOST_LINE_BYTES)]
    if pieces and not pieces[-1].endswith(b"\n") and len(pieces[-1]) < MOST_LINE_BYTES:
        return pieces[:-1], pieces[-1]
    return pieces, b""


def _by_newline(content: bytes) -> list[bytes]:
    """Split at newlines alone: a progress bar draws its one line anew at each carriage return."""
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
