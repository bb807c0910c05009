"""Answers the operations of CloudWatch Logs from log files: a group for each endpoint, a stream for each instance.

Comes in: a region and a request's members. Goes out: an output's members, or an ApiError.
Source: CloudWatch Logs API reference; group and stream names as SageMaker writes them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hostmaker.domain.errors import ResourceNotFoundException
from hostmaker.domain.names import log_group, partition
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import Steps, collect
from hostmaker.logs.events import (
    INVALID_TOKEN,
    MOST_EVENTS,
    Event,
    Stream,
    Window,
    merged,
    page_backward,
    page_forward,
)
from hostmaker.logs.patterns import InvalidParameterException, pattern

GROUP_PREFIX = log_group("")
NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."
MOST_LISTED = 50
NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]*").fullmatch  # a directory's, and never `..`
POSITION = re.compile(r"([fb])/([0-9]{1,18})").fullmatch

Request = Mapping[str, Json]
T = TypeVar("T")


class LogGroups:
    """The log files of one account below `root` (`<region>/<endpoint>/<variant>/<instance>.log`)."""

    def __init__(self, root: Path, account: str, now_ms: Callable[[], int]) -> None:
        """`now_ms` gives platform time in Unix milliseconds."""
        self._root = root
        self._account = account
        self._now_ms = now_ms

    def describe_log_groups(self, region: str, request: Request) -> dict[str, Json]:
        """DescribeLogGroups."""
        prefix, within = _text(request, "logGroupNamePrefix"), _text(request, "logGroupNamePattern")
        if prefix and within:
            raise InvalidParameterException("LogGroup name prefix and LogGroup name pattern are mutually exclusive.")
        names = [name for name in self._groups(region) if name.startswith(prefix) and within in name]
        page, token = _page(names, request, lambda name: name)
        return {"logGroups": [self._group(region, name) for name in page], **token}

    def describe_log_streams(self, region: str, request: Request) -> Steps[dict[str, Json]]:
        """DescribeLogStreams."""
        group, prefix = self._directory(region, request), _text(request, "logStreamNamePrefix")
        by_time, descending = request.get("orderBy") == "LastEventTime", request.get("descending") is True
        if by_time and prefix:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = [stream for stream in self._streams(group) if stream.name.startswith(prefix)]

        if by_time:
            yield from collect((stream.ends_ms for stream in streams), 100)  # a file of each is read

        def key(stream: Stream) -> str:
            return f"{stream.ends_ms[1] if stream.ends_ms else 0:020d}{stream.name}" if by_time else stream.name

        streams.sort(key=key, reverse=descending)
        page, token = _page(streams, request, key, descending)
        return {"logStreams": [self._stream(region, group, stream) for stream in page], **token}

    def get_log_events(self, region: str, request: Request) -> Steps[dict[str, Json]]:
        """GetLogEvents; at either end the same token comes back, as the service does it."""
        stream = self._one_stream(region, request)
        window = Window(_number(request, "startTime") or 0, _number(request, "endTime"))
        limit = min(_number(request, "limit") or MOST_EVENTS, MOST_EVENTS)
        forward, position = request.get("startFromHead") is True, None
        if token := _text(request, "nextToken"):
            match = POSITION(token)
            if match is None:
                raise InvalidParameterException(INVALID_TOKEN)
            forward, position = match[1] == "f", int(match[2])
        page = yield from (page_forward if forward else page_backward)(stream, window, position, limit)
        return {
            "events": [_told(event) for event in page.events],
            "nextForwardToken": f"f/{page.end}",
            "nextBackwardToken": f"b/{page.start}",
        }

    def filter_log_events(self, region: str, request: Request) -> Steps[dict[str, Json]]:
        """FilterLogEvents; a page may hold fewer events than are asked for, or none, and have a next one."""
        streams = self._chosen(self._directory(region, request), request)
        end_ms = _number(request, "endTime")
        window = Window(_number(request, "startTime") or 0, None if end_ms is None else end_ms + 1)
        matches = pattern(_text(request, "filterPattern"))
        limit = min(_number(request, "limit") or MOST_EVENTS, MOST_EVENTS)
        events, token = yield from merged(streams, window, matches, limit, _text(request, "nextToken"))
        told: list[Json] = [
            {**_told(event), "logStreamName": event.stream, "eventId": _event_id(event)} for event in events
        ]
        return {"events": told, "searchedLogStreams": [], **({"nextToken": token} if token else {})}

    def delete_log_group(self, region: str, request: Request) -> None:
        """DeleteLogGroup; the group is gone at once. What its processes write on goes nowhere."""
        group = self._directory(region, request)
        gone = group.with_name(f".deleted-{secrets.token_hex(8)}")
        try:
            group.rename(gone)
        except FileNotFoundError:
            raise ResourceNotFoundException(NO_GROUP) from None
        shutil.rmtree(gone, ignore_errors=True)

    # What there is

    def _groups(self, region: str) -> list[str]:
        if not NAME(region):
            return []
        with suppress(FileNotFoundError), os.scandir(self._root / region) as found:
            return sorted(GROUP_PREFIX + each.name for each in found if NAME(each.name) and each.is_dir())
        return []

    def _directory(self, region: str, request: Request) -> Path:
        name = _text(request, "logGroupName") or _text(request, "logGroupIdentifier")
        if ":log-group:" in name:
            name = name.partition(":log-group:")[2].removesuffix(":*")
        endpoint = name.removeprefix(GROUP_PREFIX)
        path = self._root / region / endpoint
        if not (name.startswith(GROUP_PREFIX) and NAME(endpoint) and NAME(region) and path.is_dir()):
            raise ResourceNotFoundException(NO_GROUP)
        return path

    def _streams(self, group: Path) -> list[Stream]:
        now_ms = self._now_ms()
        found = [(f"{path.parent.name}/{path.stem}", path) for path in group.glob("*/*.log")]
        return [Stream(path, name, now_ms) for name, path in sorted(found)]

    def _one_stream(self, region: str, request: Request) -> Stream:
        group, wanted = self._directory(region, request), _text(request, "logStreamName")
        variant, slash, instance = wanted.partition("/")
        path = group / variant / f"{instance}.log"
        if not (slash and NAME(variant) and NAME(instance) and path.is_file()):
            raise ResourceNotFoundException(NO_STREAM)
        return Stream(path, wanted, self._now_ms())

    def _chosen(self, group: Path, request: Request) -> list[Stream]:
        prefix, named = _text(request, "logStreamNamePrefix"), request.get("logStreamNames")
        streams = [stream for stream in self._streams(group) if stream.name.startswith(prefix)]
        if not isinstance(named, Sequence) or isinstance(named, str):
            return streams
        if prefix:
            raise InvalidParameterException("logStreamNamePrefix and logStreamNames are mutually exclusive.")
        if not {stream.name for stream in streams} >= set(named):
            raise ResourceNotFoundException(NO_STREAM)
        return [stream for stream in streams if stream.name in named]

    # What is told of it

    def _arn(self, region: str, group: str) -> str:
        return f"arn:{partition(region)}:logs:{region}:{self._account}:log-group:{group}"

    def _group(self, region: str, name: str) -> Json:
        streams = self._streams(self._root / region / name.removeprefix(GROUP_PREFIX))
        return {
            "logGroupName": name,
            "creationTime": min((stream.ends_ms[0] for stream in streams if stream.ends_ms), default=self._now_ms()),
            "metricFilterCount": 0,
            "arn": f"{self._arn(region, name)}:*",
            "storedBytes": sum(stream.size for stream in streams),
            "logGroupClass": "STANDARD",
            "logGroupArn": self._arn(region, name),
        }

    def _stream(self, region: str, group: Path, stream: Stream) -> Json:
        told: dict[str, Json] = {
            "logStreamName": stream.name,
            "creationTime": stream.ends_ms[0] if stream.ends_ms else self._now_ms(),
            "arn": f"{self._arn(region, GROUP_PREFIX + group.name)}:log-stream:{stream.name}",
            "storedBytes": 0,  # as the service has answered since 2019
        }
        if stream.ends_ms:
            first, last = stream.ends_ms
            told |= {"firstEventTimestamp": first, "lastEventTimestamp": last, "lastIngestionTime": last}
        return told


def _told(event: Event) -> dict[str, Json]:
    return {"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.at_ms}


def _event_id(event: Event) -> str:
    """Name an event for ever: by its place, since the time of one that has just been written may still change."""
    stream = int.from_bytes(hashlib.blake2b(event.stream.encode(), digest_size=16).digest(), "big")
    return f"{stream:039d}{event.start:017d}"


def _text(request: Request, member: str) -> str:
    value = request.get(member)
    return value if isinstance(value, str) else ""


def _number(request: Request, member: str) -> int | None:
    value = request.get(member)
    return int(value) if isinstance(value, int | float) else None


def _page(
    items: list[T], request: Request, key: Callable[[T], str], descending: bool = False
) -> tuple[list[T], dict[str, Json]]:
    """Give the page that the request asks for, of items sorted by `key`, and `nextToken` when more follow."""
    if token := _text(request, "nextToken"):
        try:
            last = str(json.loads(base64.urlsafe_b64decode(token.encode())))
        except ValueError:
            raise InvalidParameterException(INVALID_TOKEN) from None
        items = [item for item in items if (key(item) < last if descending else key(item) > last)]
    limit = min(_number(request, "limit") or MOST_LISTED, MOST_LISTED)
    page = items[:limit]
    if len(items) <= limit:
        return page, {}
    return page, {"nextToken": base64.urlsafe_b64encode(json.dumps(key(page[-1])).encode()).decode()}
