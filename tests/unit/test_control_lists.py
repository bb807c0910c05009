"""Lists: what passes, in which order, and pages that stay right while things come and go."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.control.lists import Listing, summaries
from hostmaker.domain.errors import ValidationException

START = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = ("Creating", "InService", "Failed")


def row(name: str, second: float = 0.0, status: str = "InService") -> Listing:
    at = START + timedelta(seconds=second)
    return Listing(name, at, {"Name": name}, modified=at + timedelta(seconds=1), status=status)


def names(rows: list[Listing], **request: Any) -> list[str]:
    page: Any = summaries("Items", rows, request)
    return [item["Name"] for item in page["Items"]]


ROWS = [row("b", 1, "Failed"), row("a", 1), row("c", 0.5, "Creating")]


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ({}, ["b", "a", "c"]),
        ({"SortOrder": "Ascending"}, ["c", "a", "b"]),
        ({"SortBy": "Name"}, ["c", "b", "a"]),
        ({"SortBy": "Name", "SortOrder": "Ascending"}, ["a", "b", "c"]),
        ({"SortBy": "Status", "SortOrder": "Ascending"}, ["c", "b", "a"]),
        ({"StatusEquals": "Failed"}, ["b"]),
        ({"NameContains": "B"}, ["b"]),
        ({"NameContains": "x"}, []),
        ({"CreationTimeAfter": START.timestamp() + 1}, ["b", "a"]),
        ({"CreationTimeBefore": START.timestamp() + 1}, ["c"]),
        ({"LastModifiedTimeAfter": START.timestamp() + 2}, ["b", "a"]),
        ({"LastModifiedTimeBefore": START.timestamp() + 2}, ["c"]),
        ({"CreationTimeAfter": START.timestamp(), "StatusEquals": "InService"}, ["a"]),
    ],
)
def test_filters_and_orders(request_: dict[str, Any], wanted: list[str]) -> None:
    assert names(ROWS, **request_) == wanted


def test_ten_are_shown_unless_told_and_the_last_page_has_no_token() -> None:
    rows = [row(f"n{number:02}", number) for number in range(20)]
    first: Any = summaries("Items", rows, {})
    assert [item["Name"] for item in first["Items"]] == [f"n{number:02}" for number in range(19, 9, -1)]
    second: Any = summaries("Items", rows, {"NextToken": first["NextToken"]})
    assert [item["Name"] for item in second["Items"]] == [f"n{number:02}" for number in range(9, -1, -1)]
    assert "NextToken" not in second
    assert "NextToken" not in summaries("Items", [], {})


def test_summaries_carry_their_times() -> None:
    page: Any = summaries("Items", [row("a")], {})
    assert page["Items"] == [{"Name": "a", "CreationTime": START, "LastModifiedTime": START + timedelta(seconds=1)}]
    page = summaries("Items", [Listing("a", START, {"Name": "a"})], {})
    assert page["Items"] == [{"Name": "a", "CreationTime": START}]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token", ["", "x", "ü", encoded("7"), encoded('["a","b"]'), encoded("{}"), encoded("[" * 5000), encoded("[1,2,3]")]
)
def test_a_token_that_no_list_has_given(token: str) -> None:
    with pytest.raises(ValidationException, match=r"^Invalid pagination token\.$"):
        summaries("Items", ROWS, {"NextToken": token})


def test_a_token_of_another_order() -> None:
    token: Any = summaries("Items", ROWS, {"MaxResults": 1})["NextToken"]
    assert names(ROWS, NextToken=token, SortBy="CreationTime", SortOrder="Descending") == ["a", "c"]
    for other in ({"SortBy": "Name"}, {"SortOrder": "Ascending"}):
        with pytest.raises(ValidationException, match=r"^Invalid pagination token\.$"):
            summaries("Items", ROWS, {"NextToken": token, **other})


changes = st.lists(
    st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 5), st.sampled_from(STATUSES)), max_size=6
)


@given(
    before=st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 5), st.sampled_from(STATUSES)), max_size=25),
    between=st.lists(changes, max_size=30),
    limit=st.integers(1, 7),
    sort=st.sampled_from(["Name", "CreationTime", "Status"]),
    order=st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_show_what_stays_exactly_once_whatever_comes_and_goes(
    before: dict[int, tuple[int, str]],
    between: list[list[tuple[bool, int, int, str]]],
    limit: int,
    sort: str,
    order: str,
) -> None:
    rows = {f"n{number:02}": row(f"n{number:02}", *rest) for number, rest in before.items()}
    untouched = set(rows)
    request: dict[str, Any] = {"MaxResults": limit, "SortBy": sort, "SortOrder": order}
    seen: list[str] = []
    steps = iter(between)
    while True:
        page: Any = summaries("Items", list(rows.values()), request)
        seen += [item["Name"] for item in page["Items"]]
        assert len(page["Items"]) <= limit
        if "NextToken" not in page:
            break
        assert len(page["Items"]) == limit
        request["NextToken"] = page["NextToken"]
        for add, number, second, status in next(steps, []):
            name = f"n{number:02}"
            untouched.discard(name)
            if add:
                rows.setdefault(name, row(name, second, status))
            else:
                rows.pop(name, None)
    kept = [name for name in seen if name in untouched]
    assert sorted(kept) == sorted(untouched)
    all_rows: Any = summaries(
        "Items", [rows[name] for name in untouched], {**request, "MaxResults": 100, "NextToken": None}
    )
    assert kept == [item["Name"] for item in all_rows["Items"]]
