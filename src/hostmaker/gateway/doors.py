"""Which Host names and origins may come in: a page of a stranger must not speak to a server on this machine."""

from __future__ import annotations

from collections.abc import Iterable

MOST_KNOWN, LONGEST_KNOWN = 1000, 300
ALWAYS = (b"127.0.0.1", b"localhost", b"[::1]")


class Doors:
    """The names this server answers to. `known` are Host headers that have been let in."""

    def __init__(self, further: Iterable[str]) -> None:
        self._names = frozenset((*ALWAYS, *(name.lower().encode() for name in further)))
        self.known: set[bytes] = set()

    def refusal(self, host: bytes, origin: bytes | None) -> tuple[int, bytes] | None:
        """Say why a request may not come in; None when it may."""
        if not self._answers_to(host):
            hint = b"If it should, start it with --set gateway.hosts=NAME."
            return 403, b"This server does not answer to Host %b. %b" % (host, hint)
        if origin is not None and not self._answers_to(origin.partition(b"://")[2]):
            return 403, b"Requests from pages of %b are refused." % origin
        if len(self.known) < MOST_KNOWN and len(host) <= LONGEST_KNOWN:
            self.known.add(host)
        return None

    def _answers_to(self, host: bytes) -> bool:
        name = host.lower()
        if not name.endswith(b"]"):
            head, colon, port = name.rpartition(b":")
            if colon and port.isdigit():
                name = head
        return name in self._names or name.endswith(b".localhost") or any(name.endswith(b"." + n) for n in self._names)
