"""The region and service that requests are signed for. Nothing is verified here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

SCOPE_PART = re.compile(r"[A-Za-z0-9-]{1,64}")
MOST_KNOWN = 1000
MOST_KNOWN_BYTES = 256

Scope = tuple[str, str]
ReadScope = Callable[[Mapping[bytes, bytes], str], Scope | None]


class Scopes:
    """Remembers what it has read: the first field of a signature is the same all day."""

    def __init__(self, read: ReadScope) -> None:
        self._read = read
        self._known: dict[bytes, Scope | None] = {}

    def of(self, headers: Mapping[bytes, bytes], target: bytes) -> Scope | None:
        """Give region and service of a request; None when it is not signed, or by no form of ours."""
        authorization = headers.get(b"authorization")
        if authorization is None:
            return self._checked({}, target) if b"X-Amz-Credential" in target else None
        credential = authorization.partition(b",")[0]
        if credential in self._known:
            return self._known[credential]
        scope = self._checked(headers, target)
        if b"Credential=" in credential and len(credential) <= MOST_KNOWN_BYTES:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[credential] = scope
        return scope

    def _checked(self, headers: Mapping[bytes, bytes], target: bytes) -> Scope | None:
        scope = self._read(headers, target.partition(b"?")[2].decode("latin-1"))
        # Both go on in headers; what a query hides in percent-encoding must not.
        return scope if scope is not None and all(map(SCOPE_PART.fullmatch, scope)) else None
