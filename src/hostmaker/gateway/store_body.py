"""Bodies for the object store, which does not compare them with the hash that their signature covers."""

from __future__ import annotations

import hashlib
import re

from hostmaker.gateway.store_errors import BadDigest

STATED = b"x-amz-content-sha256"
HASH = re.compile(rb"[0-9a-fA-F]{64}").fullmatch


class BodyCheck:
    """Compares a body with its stated SHA-256, and holds the last piece back until that is done.

    The store keeps nothing of a body that it has been given in part. Given none of it, it keeps an empty object: its
    head goes on with the first piece.
    """

    def __init__(self, stated: bytes) -> None:
        self._stated = stated.lower()
        self._hash = hashlib.sha256()
        self._held = b""

    def take(self, part: bytes) -> bytes:
        """Take the next piece; returns what may go on now."""
        self._hash.update(part)
        held, self._held = self._held, part
        return held

    def rest(self) -> bytes:
        """Return what may go on at the end; raises BadDigest for another body than the one that was signed."""
        if self._hash.hexdigest().encode() != self._stated:
            raise BadDigest("The provided 'x-amz-content-sha256' header does not match what was computed.")
        held, self._held = self._held, b""
        return held


def body_check(stated: bytes | None) -> BodyCheck | None:
    """Return the check of a body by the value of `x-amz-content-sha256`; None where that states no hash."""
    return BodyCheck(stated.strip()) if stated is not None and HASH(stated.strip()) else None
