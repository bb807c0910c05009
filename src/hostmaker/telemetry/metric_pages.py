"""Pages: tokens that say where the last one ended, so that they stay right while data come in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hostmaker.kit.json_value import Json
from hostmaker.telemetry.errors import InvalidNextToken

T = TypeVar("T", int, str)

_AFTER_ALL = 1 << 31  # results have smaller numbers
_NOT_PART = {"NextToken", "MaxDatapoints"}  # of what a token belongs to


@dataclass(frozen=True, slots=True)
class Point:
    """A datapoint of the result with that number."""

    at: int
    result: int
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """The datapoints of one page, by result and in the order of the scan.

    `cut`: the results of which more follow. `is_cut`: what follows has not been looked at.
    """

    points: Mapping[int, Sequence[Point]]
    cut: frozenset[int]
    is_cut: bool
    token: str | None


class Scan:
    """A way through datapoints: by time, at one time by result, beginning where the page before ended."""

    def __init__(self, is_descending: bool, most: int, request: Mapping[str, Json]) -> None:
        """`most` datapoints are given; raises InvalidNextToken for a token that is of another request."""
        self.is_descending = is_descending
        self._most = most
        self._request = request
        self._place = read_token(request, int, 2)

    @property
    def last(self) -> int | None:
        """The time at which the page before ended; there may be more of it. None for the first page."""
        return None if self._place is None else self._way(self._place[0])

    def cut(self, points: Iterable[Point], end: int | None) -> Page:
        """Give the page. `points` are all up to the time `end`; None: there are no others."""
        rest = sorted((point for point in points if self._is_ahead(point)), key=self._place_of)
        shown, more = rest[: self._most], rest[self._most :]
        found: dict[int, list[Point]] = {}
        for point in shown:
            found.setdefault(point.result, []).append(point)
        place = self._place_of(shown[-1]) if more else None if end is None else (self._way(end), _AFTER_ALL)
        token = None if place is None else write_token(self._request, place)
        return Page(found, frozenset(point.result for point in more), end is not None, token)

    def _is_ahead(self, point: Point) -> bool:
        return self._place is None or self._place_of(point) > self._place

    def _place_of(self, point: Point) -> tuple[int, int]:
        return self._way(point.at), point.result

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
