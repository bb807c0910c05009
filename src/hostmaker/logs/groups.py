"""Reads the log files as CloudWatch Logs: a group for each endpoint, a stream for each instance.

Source: CloudWatch Logs API reference; group and stream names as SageMaker writes them.
"""

from __future__ import annotations

import base64
import json
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hostmaker.domain.errors import ApiError, ResourceNotFoundException
from hostmaker.domain.names import log_group, partition
from hostmaker.kit.json_value import Json
from hostmaker.logs.times import read_marks

GROUP_PREFIX = log_group("")
NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."

T = TypeVar("T")


class InvalidParameterException(ApiError):
    """A parameter of a Logs operation that it cannot take."""

    code, status = "InvalidParameterException", 400


@dataclass(frozen=True, slots=True)
class Event:
    """One line. `at_ms` is Unix milliseconds."""

    at_ms: int
    message: str
    stream: str
    offset: int


class LogGroups:
    """The log files of one account below `root` (`<region>/<endpoint>/<variant>/<instance>.log`)."""

    def __init__(self, root: Path, account: str, now_ms: Callable[[], int]) -> None:
        self._root = root
        self._account = account
        self._now_ms = now_ms

    def describe_log_groups(self, region: str, request: Mapping[str, Json]) -> dict[str, Json]:
        """DescribeLogGroups."""
        prefix = str(request.get("logGroupNamePrefix") or "")
        pattern = str(request.get("logGroupNamePattern") or "")
        if prefix and pattern:
            raise InvalidParameterException("LogGroup name prefix and LogGroup name pattern are mutually exclusive.")
        names = [name for name in self._groups(region) if name.startswith(prefix) and pattern in name]
        page, token = _page(names, request, 50, lambda name: name)
        return {"logGroups": [self._group(region, name) for name in page], **token}

    def describe_log_streams(self, region: str, request: Mapping[str, Json]) -> dict[str, Json]:
        """DescribeLogStreams."""
        group = self._directory(region, request)
        prefix = str(request.get("logStreamNamePrefix") or "")
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = [self._stream(region, group, path) for path in _files(group) if _name(path).startswith(prefix)]

        def key(stream: Mapping[str, Json]) -> str:
            number = stream.get("lastEventTimestamp", 0)
            name = str(stream["logStreamName"])
            return f"{number:020d}{name}" if by_time and isinstance(number, int) else name

        streams.sort(key=key, reverse=bool(request.get("descending")))
        page, token = _page(streams, request, 50, key, bool(request.get("descending")))
        return {"logStreams": list(page), **token}

    def get_log_events(self, region: str, request: Mapping[str, Json]) -> dict[str, Json]:
        """GetLogEvents; at either end the same token comes back, as the service does."""
        path = self._path(region, request)
        events = [event for event in self._events(path) if _within(event, request)]
        limit = _limit(request, 10_000)
        token = str(request.get("nextToken") or "")
        if token[:2] == "f/":
            after = _number(token)
            first = next((i for i, event in enumerate(events) if event.offset > after), len(events))
        elif token[:2] == "b/":
            before = _number(token)
            last = next((i for i, event in enumerate(events) if event.offset >= before), len(events))
            first, events = max(0, last - limit), events[:last]
        elif token:
            raise InvalidParameterException("The specified nextToken is invalid.")
        else:
            first = 0 if request.get("startFromHead") else max(0, len(events) - limit)
        page = events[first : first + limit]
        forward = f"f/{page[-1].offset}" if page else (token if token[:2] == "f/" else f"f/{_end(events)}")
        backward = f"b/{page[0].offset}" if page else (token if token[:2] == "b/" else "b/0")
        now = self._now_ms()
        told: list[Json] = [
            {"timestamp": e.at_ms, "message": e.message, "ingestionTime": max(e.at_ms, 0) or now} for e in page
        ]
        return {"events": told, "nextForwardToken": forward, "nextBackwardToken": backward}

    def filter_log_events(self, region: str, request: Mapping[str, Json]) -> dict[str, Json]:
        """FilterLogEvents: terms, "phrases", `-without` and `?any`; patterns in braces or brackets are refused."""
        group = self._directory(region, request)
        prefix = str(request.get("logStreamNamePrefix") or "")
        named = request.get("logStreamNames")
        matches = _pattern(str(request.get("filterPattern") or ""))
        paths = [path for path in _files(group) if _name(path).startswith(prefix)]
        if isinstance(named, list):
            paths = [path for path in paths if _name(path) in named]
        events = [e for path in paths for e in self._events(path) if _within(e, request) and matches(e.message)]
        events.sort(key=_place)
        page, token = _page(events, request, 10_000, _place)
        told: list[Json] = [
            {
                "logStreamName": e.stream,
                "timestamp": e.at_ms,
                "message": e.message,
                "ingestionTime": e.at_ms,
                "eventId": f"{e.at_ms:020d}{e.offset:036d}",
            }
            for e in page
        ]
        return {"events": told, "searchedLogStreams": [], **token}

    def delete_log_group(self, region: str, request: Mapping[str, Json]) -> None:
        """DeleteLogGroup."""
        shutil.rmtree(self._directory(region, request))

    # Files

    def _groups(self, region: str) -> list[str]:
        return sorted(GROUP_PREFIX + path.name for path in (self._root / region).glob("*") if path.is_dir())

    def _directory(self, region: str, request: Mapping[str, Json]) -> Path:
        name = str(request.get("logGroupName") or request.get("logGroupIdentifier") or "")
        if ":log-group:" in name:
            name = name.partition(":log-group:")[2].removesuffix(":*")
        endpoint = name.removeprefix(GROUP_PREFIX)
        path = self._root / region / endpoint
        if (
            not name.startswith(GROUP_PREFIX)
            or not endpoint
            or "/" in endpoint
            or endpoint in (".", "..")
            or not path.is_dir()
        ):
            raise ResourceNotFoundException(NO_GROUP)
        return path

    def _path(self, region: str, request: Mapping[str, Json]) -> Path:
        group = self._directory(region, request)
        wanted = request.get("logStreamName")
        for path in _files(group):
            if _name(path) == wanted:
                return path
        raise ResourceNotFoundException(NO_STREAM)

    def _group(self, region: str, name: str) -> Json:
        directory = self._root / region / name.removeprefix(GROUP_PREFIX)
        arn = f"arn:{partition(region)}:logs:{region}:{self._account}:log-group:{name}"
        return {
            "logGroupName": name,
            "creationTime": int(directory.stat().st_ctime * 1000),
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "storedBytes": sum(path.stat().st_size for path in _files(directory)),
            "logGroupClass": "STANDARD",
            "logGroupArn": arn,
        }

    def _stream(self, region: str, group: Path, path: Path) -> dict[str, Json]:
        name, marks = _name(path), read_marks(path)
        arn = f"arn:{partition(region)}:logs:{region}:{self._account}:log-group:{GROUP_PREFIX}{group.name}"
        told: dict[str, Json] = {
            "logStreamName": name,
            "creationTime": marks.times_ms[0] if marks.times_ms else self._now_ms(),
            "arn": f"{arn}:log-stream:{name}",
            "storedBytes": 0,  # as the service has answered since 2019
        }
        if marks.times_ms:
            told |= {
                "firstEventTimestamp": marks.times_ms[0],
                "lastEventTimestamp": marks.times_ms[-1],
                "lastIngestionTime": marks.times_ms[-1],
            }
        return told

    def _events(self, path: Path) -> Iterator[Event]:
        marks, stream, offset = read_marks(path), _name(path), 0
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n") and line.strip():
                    at = marks.at(offset)
                    text = line.decode(errors="replace").rstrip("\r\n")
                    yield Event(self._now_ms() if at is None else at, text, stream, offset)
                offset += len(line)


def _files(group: Path) -> list[Path]:
    return sorted(group.glob("*/*.log"))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _place(event: Event) -> str:
    return f"{event.at_ms:020d}{event.stream}{event.offset:020d}"


def _end(events: list[Event]) -> int:
    return events[-1].offset if events else -1


def _within(event: Event, request: Mapping[str, Json]) -> bool:
    start, end = request.get("startTime"), request.get("endTime")
    after_start = not isinstance(start, int | float) or event.at_ms >= start
    return after_start and (not isinstance(end, int | float) or event.at_ms < end)


def _limit(request: Mapping[str, Json], most: int) -> int:
    limit = request.get("limit")
    return min(limit, most) if isinstance(limit, int) else most


def _number(token: str) -> int:
    try:
        return int(token[2:])
    except ValueError:
        raise InvalidParameterException("The specified nextToken is invalid.") from None


def _page(
    items: list[T], request: Mapping[str, Json], most: int, key: Callable[[T], str], descending: bool = False
) -> tuple[list[T], dict[str, Json]]:
    """Give the page that the request asks for, of items sorted by `key`, and `nextToken` when more follow."""
    token = request.get("nextToken")
    if token:
        try:
            last = str(json.loads(base64.urlsafe_b64decode(str(token))))
        except ValueError:
            raise InvalidParameterException("The specified nextToken is invalid.") from None
        items = [item for item in items if (key(item) < last if descending else key(item) > last)]
    limit = _limit(request, most)
    page = items[:limit]
    if len(items) <= limit:
        return page, {}
    return page, {"nextToken": base64.urlsafe_b64encode(json.dumps(key(page[-1])).encode()).decode()}


def _pattern(text: str) -> Callable[[str], bool]:
    """Give the test that a filter pattern is: every term, no `-term`, and one of the `?terms` if there are any."""
    if text.strip().startswith(("{", "[", "%")):
        raise InvalidParameterException(
            f'Filter pattern {text!r} is not supported here: use terms, "phrases", -without and ?any.'
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidParameterException(f"Invalid character(s) in term {text!r}: {error}.") from error
    wanted = [word for word in words if word[0] not in "-?"]
    without = [word[1:] for word in words if word[0] == "-"]
    optional = [word[1:] for word in words if word[0] == "?"]

    def matches(message: str) -> bool:
        return (
            _has_all(message, wanted)
            and not any(word in message for word in without)
            and (not optional or any(word in message for word in optional))
        )

    return matches


def _has_all(message: str, words: Iterable[str]) -> bool:
    return all(word in message for word in words)
