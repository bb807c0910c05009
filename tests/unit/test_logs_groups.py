"""Log files as CloudWatch Logs: groups, streams and events, page by page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.errors import ApiError, ResourceNotFoundException
from hostmaker.kit.steps import finish
from hostmaker.logs.events import MOST_WORK
from hostmaker.logs.groups import LogGroups
from hostmaker.logs.times import LogClock

EAST = "us-east-1"
GROUP = "/aws/sagemaker/Endpoints/fraud"
STREAM = "AllTraffic/i-1"


class House:
    """A directory of logs under a clock that is set by hand; each write is noted unless said otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000
        self.clock = LogClock(root, lambda: self.now, lambda: 0.0)
        self.groups = LogGroups(root, "123456789012", lambda: self.now)

    def write(self, text: str, stream: str = STREAM, at: int | None = None, noted: bool = True) -> None:
        path = self.root / EAST / "fraud" / f"{stream}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="") as file:
            file.write(text)
        self.now = self.now if at is None else at
        if noted:
            self.clock.tick()

    def get(self, **request: Any) -> Any:
        return finish(self.groups.get_log_events(EAST, {"logGroupName": GROUP, "logStreamName": STREAM, **request}))

    def filter(self, **request: Any) -> Any:
        return finish(self.groups.filter_log_events(EAST, {"logGroupName": GROUP, **request}))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


def all_pages(ask: Callable[..., Any], **request: Any) -> Iterator[Any]:
    """Give every page of an operation that ends by giving no token."""
    answer = ask(**request)
    yield answer
    while token := answer.get("nextToken"):
        answer = ask(nextToken=token, **request)
        yield answer


# Groups


def test_a_group_for_each_endpoint_of_the_region(house: House) -> None:
    house.write("hello\n", at=5000)
    (house.root / EAST / "churn").mkdir()
    (house.root / "eu-west-1" / "other").mkdir(parents=True)
    told = house.groups.describe_log_groups(EAST, {})["logGroups"]
    assert told == [
        {
            "logGroupName": "/aws/sagemaker/Endpoints/churn",
            "creationTime": 5000,
            "metricFilterCount": 0,
            "arn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/churn:*",
            "storedBytes": 0,
            "logGroupClass": "STANDARD",
            "logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/churn",
        },
        {
            "logGroupName": GROUP,
            "creationTime": 5000,
            "metricFilterCount": 0,
            "arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:*",
            "storedBytes": 6,
            "logGroupClass": "STANDARD",
            "logGroupArn": f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}",
        },
    ]


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"logGroupNamePrefix": GROUP}, ["fraud", "fraud-2"]),
        ({"logGroupNamePrefix": "/aws/lambda"}, []),
        ({"logGroupNamePattern": "raud-"}, ["fraud-2"]),
        ({"limit": 1}, ["churn"]),
    ],
)
def test_groups_are_found_by_prefix_and_pattern(house: House, request_: dict[str, Any], found: list[str]) -> None:
    for name in ("fraud", "fraud-2", "churn"):
        (house.root / EAST / name).mkdir(parents=True)
    told: Any = house.groups.describe_log_groups(EAST, request_)["logGroups"]
    assert [group["logGroupName"].rpartition("/")[2] for group in told] == found


def test_prefix_and_pattern_are_not_given_together(house: House) -> None:
    with pytest.raises(ApiError, match="mutually exclusive") as caught:
        house.groups.describe_log_groups(EAST, {"logGroupNamePrefix": "a", "logGroupNamePattern": "b"})
    assert caught.value.code == "InvalidParameterException"


def test_groups_come_in_pages(house: House) -> None:
    for number in range(7):
        (house.root / EAST / f"e{number}").mkdir(parents=True)
    pages = list(all_pages(lambda **request: house.groups.describe_log_groups(EAST, request), limit=3))
    assert [len(page["logGroups"]) for page in pages] == [3, 3, 1]
    assert len({group["logGroupName"] for page in pages for group in page["logGroups"]}) == 7


def test_no_logs_at_all(house: House) -> None:
    assert house.groups.describe_log_groups(EAST, {}) == {"logGroups": []}


@pytest.mark.parametrize(
    "name",
    [
        f"{GROUP}2",
        "/aws/sagemaker/Endpoints/..",
        "/aws/sagemaker/Endpoints/",
        "fraud",
        "",
        f"{GROUP}/AllTraffic",
        "/aws/sagemaker/Endpoints/.deleted-1",
        f"{GROUP}\0",
    ],
)
def test_a_group_that_is_none(house: House, name: str) -> None:
    house.write("hello\n")
    (house.root / EAST / ".deleted-1").mkdir()
    for operation in ("describe_log_streams", "get_log_events", "filter_log_events", "delete_log_group"):
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log group does not exist\.$"):
            done = getattr(house.groups, operation)(EAST, {"logGroupName": name, "logStreamName": STREAM})
            finish(done)


@pytest.mark.parametrize("region", ["..", ".", "a/b", "", "../instances", "eu-west-1"])
def test_a_region_leads_nowhere_else(house: House, region: str) -> None:
    """A region of `..` would make the directory above one of groups, and its deletion that of all there is."""
    house.write("hello\n")
    (house.root.parent / "objects").mkdir(exist_ok=True)
    assert house.groups.describe_log_groups(region, {}) == {"logGroups": []}
    for name in ("objects", "fraud", EAST):
        with pytest.raises(ResourceNotFoundException):
            house.groups.delete_log_group(region, {"logGroupName": f"/aws/sagemaker/Endpoints/{name}"})
    assert (house.root.parent / "objects").is_dir()
    (house.root.parent / "objects").rmdir()


def test_a_group_by_its_arn(house: House) -> None:
    house.write("hello\n")
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    for identifier in (arn, f"{arn}:*", GROUP):
        streams: Any = finish(house.groups.describe_log_streams(EAST, {"logGroupIdentifier": identifier}))["logStreams"]
        assert len(streams) == 1


def test_a_deleted_group_is_gone_and_may_come_again(house: House) -> None:
    house.write("before\n")
    house.groups.delete_log_group(EAST, {"logGroupName": GROUP})
    assert list((house.root / EAST).iterdir()) == []
    assert house.groups.describe_log_groups(EAST, {}) == {"logGroups": []}
    house.write("a\n", at=9000)
    house.write("b\n", at=9001)
    assert [(event["timestamp"], event["message"]) for event in house.get()["events"]] == [(9000, "a"), (9001, "b")]


# Streams


def test_a_stream_tells_when_it_was_written(house: House) -> None:
    house.write("a\n", at=5000)
    house.write("b\n", at=7000)
    assert finish(house.groups.describe_log_streams(EAST, {"logGroupName": GROUP}))["logStreams"] == [
        {
            "logStreamName": STREAM,
            "creationTime": 5000,
            "arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:{STREAM}",
            "storedBytes": 0,
            "firstEventTimestamp": 5000,
            "lastEventTimestamp": 7000,
            "lastIngestionTime": 7000,
        }
    ]


def stream_names(answer: Any) -> list[str]:
    return [stream["logStreamName"] for stream in answer["logStreams"]]


def test_streams_are_ordered_and_found(house: House) -> None:
    for at, name in ((30, "blue/i-1"), (10, "blue/i-2"), (20, "green/i-3")):
        house.write("x\n", name, at=at * 100)

    def ask(**request: Any) -> list[str]:
        return stream_names(finish(house.groups.describe_log_streams(EAST, {"logGroupName": GROUP, **request})))

    assert ask() == ["blue/i-1", "blue/i-2", "green/i-3"]
    assert ask(descending=True) == ["green/i-3", "blue/i-2", "blue/i-1"]
    assert ask(logStreamNamePrefix="blue/") == ["blue/i-1", "blue/i-2"]
    assert ask(orderBy="LastEventTime") == ["blue/i-2", "green/i-3", "blue/i-1"]
    assert ask(orderBy="LastEventTime", descending=True, limit=1) == ["blue/i-1"]
    with pytest.raises(ApiError, match="LastEventTime"):
        ask(orderBy="LastEventTime", logStreamNamePrefix="blue")


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 5), min_size=1, max_size=8),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from(["LogStreamName", "LastEventTime"]),
)
def test_pages_of_streams_are_the_whole(times: dict[str, int], limit: int, descending: bool, order: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        for name, at in times.items():
            house.write("x\n", f"v/{name}", at=at)

        def ask(**request: Any) -> Any:
            return finish(house.groups.describe_log_streams(EAST, {"logGroupName": GROUP, **request}))

        whole = stream_names(ask(orderBy=order, descending=descending))
        pages = list(all_pages(ask, orderBy=order, descending=descending, limit=limit))
        assert [name for page in pages for name in stream_names(page)] == whole
        assert sorted(whole) == sorted(f"v/{name}" for name in times)


# Events of one stream


def test_a_stream_that_is_none(house: House) -> None:
    house.write("hello\n")
    for name in ("AllTraffic/i-2", "AllTraffic", "", "../fraud", "AllTraffic/../i-1", "AllTraffic/i-1.log"):
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log stream does not exist\.$"):
            house.get(logStreamName=name)


def test_lines_are_events(house: House) -> None:
    house.write("one\n\n  \ntwo\r\nthree is not over", at=5000)
    assert house.get()["events"] == [
        {"timestamp": 5000, "message": "one", "ingestionTime": 5000},
        {"timestamp": 5000, "message": "two", "ingestionTime": 5000},
    ]
    house.write(" yet\n", at=6000)
    assert house.get()["events"][2] == {"timestamp": 6000, "message": "three is not over yet", "ingestionTime": 6000}


def test_what_the_clock_has_not_seen_is_of_now(house: House) -> None:
    house.write("noted\n", at=5000)
    house.write("fresh\n", at=6000, noted=False)
    assert [event["timestamp"] for event in house.get()["events"]] == [5000, 6000]
    assert messages(house.get(startTime=6000)) == ["fresh"]
    assert messages(house.get(endTime=6000)) == ["noted"]
    assert messages(house.get(startTime=6001)) == []


def test_without_a_token_the_latest_come(house: House) -> None:
    house.write("".join(f"{number}\n" for number in range(10)))
    assert messages(house.get(limit=3)) == ["7", "8", "9"]
    assert messages(house.get(limit=3, startFromHead=True)) == ["0", "1", "2"]


def test_at_either_end_the_token_stays(house: House) -> None:
    house.write("a\nb\n")
    told = house.get(startFromHead=True)
    again = house.get(nextToken=told["nextForwardToken"])
    assert (messages(again), again["nextForwardToken"]) == ([], told["nextForwardToken"])
    before = house.get(nextToken=told["nextBackwardToken"])
    assert (messages(before), before["nextBackwardToken"]) == ([], told["nextBackwardToken"])
    house.write("c\n")
    assert messages(house.get(nextToken=told["nextForwardToken"])) == ["c"]


@pytest.mark.parametrize("content", ["", "\n\n", "half"])
def test_a_token_of_nothing_leads_to_what_comes(house: House, content: str) -> None:
    house.write(content)
    for head in (True, False):
        token = house.get(startFromHead=head)["nextForwardToken"]
        assert messages(house.get(nextToken=token)) == []
    house.write(" a line\n")
    assert messages(house.get(nextToken=token)) == [f"{content.strip()} a line"]


@pytest.mark.parametrize("token", ["x", "f/", "b/-1", "f/1x", "f/" + "9" * 30, "c/1"])
def test_a_token_that_is_none(house: House, token: str) -> None:
    house.write("a\n")
    with pytest.raises(ApiError, match="The specified nextToken is invalid"):
        house.get(nextToken=token)


def test_a_line_longer_than_an_event_is_several(house: House) -> None:
    house.write("x" * 600_000 + "\nshort\n")
    told = messages(house.get(startFromHead=True))
    assert [len(message) for message in told] == [262_144, 262_144, 75_712, 5]
    assert messages(house.get()) == told


def test_a_page_is_bounded_in_bytes_in_both_directions(house: House) -> None:
    house.write("".join(f"{number:0200000d}\n" for number in range(12)))
    forward, token = [], house.get(startFromHead=True)
    while token["events"]:
        assert sum(len(message) for message in messages(token)) <= 1_048_576
        forward += messages(token)
        token = house.get(nextToken=token["nextForwardToken"])
    assert [message[-3:] for message in forward] == [f"{number:03d}" for number in range(12)]
    backward, token = [], house.get()
    while token["events"]:
        backward = messages(token) + backward
        token = house.get(nextToken=token["nextBackwardToken"])
    assert backward == forward


def test_blank_lines_do_not_hide_what_lies_before(house: House) -> None:
    house.write("first\n" + "\n" * 200_000)
    seen, answer = messages(house.get()), house.get()
    for _ in range(8):
        answer = house.get(nextToken=answer["nextBackwardToken"])
        seen += messages(answer)
    assert seen == ["first"]


def test_a_carriage_return_ends_no_line(house: House) -> None:
    house.write("10 %\r50 %\r100 %\ndone\n")
    assert messages(house.get()) == ["10 %\r50 %\r100 %", "done"]


writes = st.lists(st.tuples(st.integers(0, 3), st.text("ab \n", max_size=8)), max_size=12)


@given(writes, st.integers(1, 4), st.integers(0, 20), st.integers(0, 20))
def test_pages_of_events_are_the_whole(parts: list[tuple[int, str]], limit: int, start: int, end: int) -> None:
    """Forward from the head, and backward from the tail, within any window: each event once, in order."""
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        house.now, now, written, expected = 0, 0, "", []
        for wait, text in parts:
            now += wait
            house.write(text, at=now)
            written += text
            whole = written.split("\n")[:-1]
            expected += [(now, line) for line in whole[len(expected) :]]
        house.now = now = now + 1
        if not parts:
            return
        wanted = [(at, line) for at, line in expected if line.strip() and start <= at < end]
        window = {"startTime": start, "endTime": end, "limit": limit}

        def gather(answer: Any, token: str) -> Iterator[list[tuple[int, str]]]:
            for _ in range(len(expected) + 2):
                yield [(event["timestamp"], event["message"]) for event in answer["events"]]
                answer = house.get(nextToken=answer[token], **window)
            assert answer["events"] == []

        forward = list(gather(house.get(startFromHead=True, **window), "nextForwardToken"))
        backward = list(gather(house.get(**window), "nextBackwardToken"))
        assert [event for page in forward for event in page] == wanted
        assert [event for page in reversed(backward) for event in page] == wanted
        assert all(len(page) <= limit for page in forward + backward)


# Events of several streams


def test_streams_are_interleaved_by_time(house: House) -> None:
    house.write("a1\n", "v/a", at=1000)
    house.write("b1\n", "v/b", at=2000)
    house.write("a2\n", "v/a", at=3000)
    told = house.filter()["events"]
    assert [(event["logStreamName"], event["message"]) for event in told] == [
        ("v/a", "a1"),
        ("v/b", "b1"),
        ("v/a", "a2"),
    ]
    assert len({event["eventId"] for event in told}) == 3
    assert told[0].keys() == {"logStreamName", "timestamp", "message", "ingestionTime", "eventId"}


def test_streams_are_chosen(house: House) -> None:
    for name in ("blue/a", "blue/b", "green/a"):
        house.write(f"{name}\n", name)
    assert messages(house.filter(logStreamNamePrefix="blue")) == ["blue/a", "blue/b"]
    assert messages(house.filter(logStreamNames=["green/a", "blue/a"])) == ["blue/a", "green/a"]
    with pytest.raises(ResourceNotFoundException, match="log stream"):
        house.filter(logStreamNames=["green/a", "green/b"])
    with pytest.raises(ApiError, match="mutually exclusive"):
        house.filter(logStreamNames=["green/a"], logStreamNamePrefix="g")


def test_the_end_of_a_filters_time_is_in_it(house: House) -> None:
    for at in (1000, 2000, 3000):
        house.write(f"{at}\n", at=at)
    assert messages(house.filter(startTime=2000, endTime=3000)) == ["2000", "3000"]
    assert messages(house.get(startTime=2000, endTime=3000)) == ["2000"]


def test_an_event_keeps_its_name_when_it_gets_its_time(house: House) -> None:
    """The CLI's `logs tail --follow` asks again from the last time, and leaves out what it has seen by name."""
    house.write("fresh\n", at=6000, noted=False)
    (fresh,) = house.filter()["events"]
    house.now = 6100
    house.clock.tick()
    (noted,) = house.filter(startTime=fresh["timestamp"])["events"]
    assert (fresh["timestamp"], noted["timestamp"]) == (6000, 6100)
    assert fresh["eventId"] == noted["eventId"]


def test_pages_end_also_where_no_line_has_its_time_yet(house: House) -> None:
    for name in ("v/a", "v/b", "v/c"):
        house.write("1\n2\n", name, noted=False)

    def ask(**request: Any) -> Any:
        house.now += 1
        return house.filter(**request)

    pages = list(all_pages(ask, limit=1))
    assert len(pages) == 6
    assert sorted(messages({"events": [e for page in pages for e in page["events"]]})) == ["1"] * 3 + ["2"] * 3


def test_a_search_is_done_in_turns(house: House) -> None:
    for number in range(100):
        house.write(f"line {number} {'-' * MOST_WORK}\n"[: MOST_WORK // 20] + "\n", at=number)
    house.write("the last\n", at=100)
    pages = list(all_pages(house.filter, filterPattern='"the last"'))
    assert len(pages) > 3
    assert [len(page["events"]) for page in pages] == [0] * (len(pages) - 1) + [1]


@pytest.mark.parametrize("token", ["x", "e30=", "WzFd", "", "W10=", "WzEsMiwzLDRd"])
def test_a_token_of_a_filter_that_is_none(house: House, token: str) -> None:
    house.write("a\n")
    if token:
        with pytest.raises(ApiError, match="The specified nextToken is invalid"):
            house.filter(nextToken=token)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.sampled_from(["x", "y", "xy"])), max_size=20),
    st.integers(1, 4),
    st.sampled_from(["", "x", "-x", "?x ?y"]),
)
def test_pages_of_a_filter_are_the_whole(parts: list[tuple[int, str, str]], limit: int, pattern: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        expected, house.now = [], 1
        for index, (wait, stream, text) in enumerate(parts):
            house.write(f"{index} {text}\n", f"v/{stream}", at=house.now + wait)
            expected.append((house.now, stream, index, text))
        if not parts:
            return
        matching = {"": "xy", "x": "x", "-x": "y", "?x ?y": "xy"}[pattern]
        wanted = [
            index
            for _, _, index, text in sorted(expected)
            if (set(text) & set(matching) and not (pattern == "-x" and "x" in text))
        ]
        pages = list(all_pages(house.filter, limit=limit, filterPattern=pattern))
        assert [int(message.split()[0]) for page in pages for message in messages(page)] == wanted
        assert all(len(page["events"]) <= limit for page in pages)
