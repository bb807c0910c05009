"""Pages: tokens that say where the last one ended, so that they stay right while data come in."""

from __future__ import annotations

import base64
import hashlib
import heapq
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import PIECE, Steps, collect
from hostmaker.telemetry.errors import InvalidNextToken

T = TypeVar("T", int, str)

_AFTER_ALL = 1 << 31  # results have smaller numbers
_NOT_PART = {"NextToken", "MaxDatapoints"}  # of what a token belongs to


Sparse = Mapping[int, float]
"""A value at the start (in Unix seconds) of each period that has one, by time."""


@dataclass(frozen=True, slots=True)
class Page:
    """The times of the datapoints of one page, by the number of their result and in the order of the scan.

    `cut`: the results of which more follow. `is_cut`: what follows has not been looked at.
    """

    times: Mapping[int, Sequence[int]]
    cut: frozenset[int]
    is_cut: bool
    token: str | None


class Scan:
    """A way through datapoints: by time, at one time by result, beginning where the page before ended."""

    def __init__(self, is_descending: bool, most: int, request: Mapping[str, Json]) -> None:
        """A page has at most `most` datapoints; raises InvalidNextToken for a token that is of another request."""
        self.is_descending = is_descending
        self._most = most
        self._request = request
        self._place = read_token(request, int, 2)

    @property
    def last(self) -> int | None:
        """The time at which the page before ended; there may be more of it. None for the first page."""
        return None if self._place is None else self._way(self._place[0])

    def cut(self, results: Sequence[Sparse], end: int | None) -> Steps[Page]:
        """Return the page. `results` have all datapoints up to the time `end`; None: there are no others."""
        ways = heapq.merge(*(self._places(number, found) for number, found in enumerate(results)))
        shown = yield from collect(itertools.islice(ways, self._most))
        times: dict[int, list[int]] = {}
        for count, (way, number) in enumerate(shown):
            times.setdefault(number, []).append(self._way(way))
            if count % PIECE == PIECE - 1:
                yield
        more = next(ways, None) is not None
        place = shown[-1] if more else None if end is None else (self._way(end), _AFTER_ALL)
        token = None if place is None else write_token(self._request, place)
        return Page(times, frozenset(self._cut(results, shown[-1]) if more else ()), end is not None, token)

    def _places(self, number: int, found: Sparse) -> Iterator[tuple[int, int]]:
        """Yield the places of a result's datapoints that are ahead, in the order of the scan."""
        times = reversed(list(found)) if self.is_descending else iter(found)
        places = ((self._way(at), number) for at in times)
        return (place for place in places if self._place is None or place > self._place)

    def _cut(self, results: Sequence[Sparse], last: tuple[int, int]) -> Iterator[int]:
        """Yield the results that have datapoints behind the last place of the page."""
        for number, found in enumerate(results):
            if found and (max(self._way(min(found)), self._way(max(found))), number) > last:
                yield number

    def _way(self, at: int) -> int:
        return -at if self.is_descending else at


def write_token(request: Mapping[str, Json], place: Sequence[int] | Sequence[str]) -> str:
    """Give the token of a page that ended at `place`."""
    return base64.urlsafe_b64encode(json.dumps([_digest(request), *place]).encode()).decode()


def read_token(request: Mapping[str, Json], kind: type[T], length: int) -> tuple[T, ...] | None:
    """Give the place at which the page before ended, None for the first; raises InvalidNextToken."""
    token = request.get("NextToken")
    if token is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(str(token)))
    except (ValueError, RecursionError):
        found = None  # said below, together with what decodes to something else
    match found:
        case [digest, *place] if digest == _digest(request) and len(place) == length:
            if all(isinstance(each, kind) for each in place):
                return tuple(place)
    raise InvalidNextToken("The NextToken is not one that an earlier page of the same request has given.")


def _digest(request: Mapping[str, Json]) -> str:
    asked = {name: value for name, value in request.items() if name not in _NOT_PART}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
