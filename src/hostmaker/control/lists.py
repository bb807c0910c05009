"""Lists: filters, order and pages that stay right while things come and go (by key, not by number)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json

DEFAULT_PAGE = 10


@dataclass(frozen=True, slots=True)
class Listing:
    """One row: what is sorted and filtered by, and the summary to show."""

    name: str
    created: datetime
    summary: Mapping[str, object]
    modified: datetime | None = None
    status: str | None = None


def summaries(member: str, rows: Sequence[Listing], request: Mapping[str, Json]) -> dict[str, object]:
    """Give the page that the request asks for, under `member`, with `NextToken` when more follow.

    Newest first unless asked otherwise; ties are broken by name. Source: List* pages of the API reference.
    """
    key, order = _key(request), _order(request)
    descending = request.get("SortOrder", "Descending") == "Descending"
    kept = sorted((row for row in rows if _passes(row, request)), key=key, reverse=descending)
    last = _read_token(request.get("NextToken"), order)
    if last is not None:
        kept = [row for row in kept if (key(row) < last if descending else key(row) > last)]
    limit = request.get("MaxResults", DEFAULT_PAGE)
    assert isinstance(limit, int)
    page = kept[:limit]
    shown: dict[str, object] = {member: [_shown(row) for row in page]}
    if len(kept) > limit:
        shown["NextToken"] = _token(key(page[-1]), order)
    return shown


def _shown(row: Listing) -> dict[str, object]:
    shown: dict[str, object] = {**row.summary, "CreationTime": row.created}
    if row.modified is not None:
        shown["LastModifiedTime"] = row.modified
    return shown


def _passes(row: Listing, request: Mapping[str, Json]) -> bool:
    wanted = request.get("NameContains")
    status = request.get("StatusEquals")
    return (
        (not isinstance(wanted, str) or wanted.lower() in row.name.lower())
        and (status is None or row.status == status)
        and _between(row.created, request.get("CreationTimeAfter"), request.get("CreationTimeBefore"))
        and _between(row.modified, request.get("LastModifiedTimeAfter"), request.get("LastModifiedTimeBefore"))
    )


def _between(at: datetime | None, after: Json, before: Json) -> bool:
    """`...After` takes the instant itself, `...Before` does not."""
    seconds = at.timestamp() if at is not None else 0.0
    not_early = not isinstance(after, int | float) or seconds >= after
    return not_early and (not isinstance(before, int | float) or seconds < before)


def _key(request: Mapping[str, Json]) -> Callable[[Listing], tuple[str, str]]:
    def key(row: Listing) -> tuple[str, str]:
        match request.get("SortBy", "CreationTime"):
            case "Name":
                return (row.name, "")
            case "Status":
                return (row.status or "", row.name)
            case _:
                return (row.created.isoformat(timespec="microseconds"), row.name)

    return key


def _order(request: Mapping[str, Json]) -> str:
    """Name the order of a list: a page continues only a list of the same order."""
    return f"{request.get('SortBy', 'CreationTime')} {request.get('SortOrder', 'Descending')}"


def _token(key: tuple[str, str], order: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, *key]).encode()).decode()


def _read_token(token: Json, order: str) -> tuple[str, str] | None:
    if token is None:
        return None
    try:
        match json.loads(base64.urlsafe_b64decode(str(token))):
            case [str(made_for), str(first), str(second)] if made_for == order:
                return first, second
    except (ValueError, RecursionError):
        pass  # said below, together with what decodes to something else
    raise ValidationException("Invalid pagination token.")
