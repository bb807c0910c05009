"""The events of streams: a page of one stream in either direction, and a page of several in the order of time."""

from __future__ import annotations

import base64
import functools
import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostmaker.kit.steps import Steps, collect
from hostmaker.logs.lines import Line, line_start, lines_between
from hostmaker.logs.patterns import InvalidParameterException
from hostmaker.logs.times import Marks, read_ends_ms, read_marks

MOST_EVENTS = 10_000
MOST_PAGE_BYTES = 1024 * 1024
MOST_WORK = 4 * 1024 * 1024  # bytes to look through; a page may be empty and have a next one, as the service's may
LINE_WORK = 80  # what any line costs to look at, in bytes
STEP_WORK = 64 * 1024  # bytes to look through between two steps
EVENT_OVERHEAD_BYTES = 26
INVALID_TOKEN = "The specified nextToken is invalid."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One line, ordered by time, then stream, then place. `at_ms` is Unix milliseconds, `start` and `end` bytes.

    One that the log clock has not come to yet is of now: `is_dated` is False, and its time will be another.
    """

    at_ms: int
    stream: str
    start: int
    end: int
    message: str
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, `[start_ms, end_ms)`."""

    start_ms: int = 0
    end_ms: int | None = None


class Stream:
    """One log with its times, each read when it is asked for; `now_ms` is when that is."""

    def __init__(self, path: Path, name: str, now_ms: int) -> None:
        self.path = path
        self.name = name
        self._now_ms = now_ms
        self._note = (0, 0, 0)

    @functools.cached_property
    def ends_ms(self) -> tuple[int, int] | None:
        """When it was first and last written to, so far as noted."""
        return read_ends_ms(self.path)

    @functools.cached_property
    def size(self) -> int:
        """How long it is, in bytes."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @functools.cached_property
    def _marks(self) -> Marks:
        return read_marks(self.path)

    def span(self, window: Window) -> tuple[int, int]:
        """Give from where to where the lines of that time lie, in bytes."""
        return self._beginning(window.start_ms), self._end(window.end_ms)

    def _beginning(self, at_ms: int) -> int:
        if self._now_ms < at_ms:
            return self.size
        length = self._marks.length_before(at_ms)
        return line_start(self.path, length) if length else 0

    def _end(self, at_ms: int | None) -> int:
        if at_ms is None or self._now_ms < at_ms:
            return self.size
        return self._marks.length_before(at_ms)

    def event(self, line: Line) -> Event:
        """Give a line its time."""
        since, until, at_ms = self._note
        if not since < line.end <= until:
            note = self._marks.ended_at(line.end)
            if note is None:
                return Event(self._now_ms, self.name, line.start, line.end, line.text, is_dated=False)
            until, at_ms = note
            self._note = (line.start, until, at_ms)  # most often the next line falls under the same note
        return Event(at_ms, self.name, line.start, line.end, line.text, is_dated=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Events of one stream, and where in it the page begins and ends, in bytes."""

    events: tuple[Event, ...]
    start: int
    end: int


class _Budget:
    """How much of a log has been looked through."""

    def __init__(self) -> None:
        self.work = self._paused_at = 0

    def take(self, line: Line | Event) -> bool:
        """Count a line; whether it is time for a pause."""
        self.work += line.end - line.start + LINE_WORK
        if self.work - self._paused_at < STEP_WORK:
            return False
        self._paused_at = self.work
        return True

    @property
    def is_spent(self) -> bool:
        """Whether a page has to end."""
        return self.work > MOST_WORK


def page_forward(stream: Stream, window: Window, position: int | None, limit: int) -> Steps[Page]:
    """Return the first events at or behind `position`, which defaults to the window's beginning."""
    low, high = stream.span(window)
    at = start = low if position is None else max(low, position)
    events: list[Event] = []
    room, budget = MOST_PAGE_BYTES, _Budget()
    for line in lines_between(stream.path, start, high):
        if budget.is_spent or len(events) == limit or (room < _cost(line) and events):
            break
        at = line.end
        if not line.is_blank:
            events.append(stream.event(line))
            room -= _cost(line)
        if budget.take(line):
            yield
    return Page(tuple(events), events[0].start if events else start, at)


def page_backward(stream: Stream, window: Window, position: int | None, limit: int) -> Steps[Page]:
    """Return the last events that end at or before `position`, which defaults to the window's end."""
    low, high = stream.span(window)
    at = high if position is None else min(high, position)
    newest: int | None = None
    kept: list[Line] = []
    room, budget = MOST_PAGE_BYTES, _Budget()
    is_full = False
    while low < at and not is_full and not budget.is_spent:
        start = _line_before(stream.path, low, at)
        lines = list(lines_between(stream.path, start, at))
        at = lines[0].start if lines else start
        yield
        for line in reversed(lines):
            newest = line.end if newest is None else newest
            budget.take(line)
            if line.is_blank:
                continue
            if is_full := len(kept) == limit or (room < _cost(line) and bool(kept)):
                break
            kept.append(line)
            room -= _cost(line)
    if not kept:
        return Page((), low if newest is None else at, low if newest is None else newest)
    events = yield from collect(map(stream.event, reversed(kept)))
    return Page(tuple(events), kept[-1].start, kept[0].end)


def _line_before(path: Path, low: int, end: int) -> int:
    """Return where a line begins, about STEP_WORK before `end`; further back where one line is longer than that."""
    reach = STEP_WORK
    while reach < end - low:
        start = line_start(path, end - reach, low)
        if start < end - reach or reach > MOST_PAGE_BYTES:
            return start
        reach *= 4
    return low


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which event of the order of time a page ended.

    `undated` says for streams how far lines without a time of their own were given: they must not come again when they
    have got one.
    """

    at_ms: int
    stream: str
    end: int
    undated: dict[str, int]


def merged(
    streams: Sequence[Stream], window: Window, matches: Callable[[str], bool], limit: int, token: str
) -> Steps[tuple[tuple[Event, ...], str]]:
    """Return the matching events of several streams in the order of time, and the token of the next page if any."""
    after = _place(token) if token else None
    undated = dict(after.undated) if after else {}
    events: list[Event] = []
    room, budget, last = MOST_PAGE_BYTES, _Budget(), None
    for event in heapq.merge(*(_after(stream, window, after) for stream in streams)):
        is_one = matches(event.message) and bool(event.message.strip())
        cost = event.end - event.start + EVENT_OVERHEAD_BYTES
        if len(events) == limit or budget.is_spent or (is_one and room < cost and events):
            assert last is not None
            return tuple(events), _token(Place(last.at_ms, last.stream, last.end, undated))
        last = event
        if budget.take(event):
            yield
        if not event.is_dated:
            undated[event.stream] = event.end
        if is_one:
            events.append(event)
            room -= cost
    return tuple(events), ""


def _after(stream: Stream, window: Window, after: Place | None) -> Iterator[Event]:
    low, high = stream.span(window)
    if after is not None:
        # Within one moment streams come in the order of their names.
        is_done = stream.name < after.stream
        place = after.end if stream.name == after.stream else stream.span(Window(after.at_ms + is_done))[0]
        low = max(low, place, after.undated.get(stream.name, 0))
    for line in lines_between(stream.path, low, high):
        yield stream.event(line)


def _cost(line: Line) -> int:
    return line.end - line.start + EVENT_OVERHEAD_BYTES


def _token(place: Place) -> str:
    content = json.dumps([place.at_ms, place.stream, place.end, place.undated], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode()


def _place(token: str) -> Place:
    try:
        at_ms, stream, end, undated = json.loads(base64.urlsafe_b64decode(token.encode()))
        return Place(int(at_ms), str(stream), int(end), {str(name): int(at) for name, at in undated.items()})
    except (ValueError, TypeError, AttributeError):
        raise InvalidParameterException(INVALID_TOKEN) from None
