"""Who gives way when a gateway's room for bodies is taken: whoever takes most of it for longest, strangers first.

There are no fixed shares: one client alone may use all the room. An address says who belongs together as long as
clients have addresses of their own; behind one proxy, or on loopback, each connection stands for itself.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """Bytes held for a client that others wait for: the rest of its body, or that it takes its answer.

    `address` is empty where it is unknown; `seconds` since it began; `is_proven`: its signature holds.
    """

    address: str
    held: int
    seconds: float
    is_proven: bool

    @property
    def byte_seconds(self) -> float:
        """What it has cost so far."""
        return self.held * self.seconds


def giving_way(holders: Sequence[Holder], wanted: int, asker: Holder) -> list[int]:
    """Return the places in `holders` of those that give way to `asker` so that `wanted` bytes are free, or fewer.

    The order: who has proved nothing, of the address that holds most, with the most byte-seconds. Who comes no sooner
    in it than the asker stays.
    """
    held = Counter[str]()
    for each in (*holders, asker):
        held[each.address] += each.held

    def rank(each: Holder) -> tuple[bool, int, float]:
        return (each.is_proven, -held[each.address], -each.byte_seconds)

    before = [place for place, each in enumerate(holders) if rank(each) < rank(asker)]
    chosen, free = list[int](), 0
    for place in sorted(before, key=lambda place: rank(holders[place])):
        if free >= wanted:
            break
        chosen.append(place)
        free += holders[place].held
    return chosen


def address_of(peer: object) -> str:
    """Return what stands for a client: its IPv4 address, or the first half of an IPv6 one, of which it has the rest.

    `peer` is what a transport says of the other side; unix sockets have no address.
    """
    if not isinstance(peer, tuple) or not peer:
        return ""
    host = str(peer[0]).partition("%")[0]
    if host.lower().startswith("::ffff:"):  # an IPv4 address on a socket for both
        return host[7:]
    try:
        return socket.inet_pton(socket.AF_INET6, host)[:8].hex() if ":" in host else host
    except OSError:
        return host
