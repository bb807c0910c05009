"""Bodies as they are kept while they arrive: few large pieces, however small those were that came."""

from __future__ import annotations

MANY = 1000  # parts in one read: they take milliseconds, so that others should have their turn before the next
SMALL = 4096  # bytes; a piece below is joined with its neighbours: an object of its own costs 33 bytes and a place

Pieces = list[bytes | bytearray]
Kept = bytes | Pieces | None


def joined(kept: Kept, part: bytes) -> Kept:
    """Return what was kept, followed by `part`; a list is changed in place."""
    if kept is None:
        return part
    if not isinstance(kept, list):
        kept = [kept]
    last = kept[-1]
    if len(part) >= SMALL:
        kept.append(part)
    elif isinstance(last, bytearray):
        last += part
    else:
        kept.append(bytearray(part))
    return kept


def whole(kept: Kept) -> bytes:
    """Return what was kept in one piece."""
    if kept is None:
        return b""
    return kept if isinstance(kept, bytes) else b"".join(kept)


def taken(parts: list[bytes]) -> bytes:
    """Return the parts that a parser has told in one read as one, and empty the list.

    Parsers call its `append` for each: a chunk of two bytes then costs little more than a place in the list.
    """
    part = b"".join(parts)
    parts.clear()
    return part
