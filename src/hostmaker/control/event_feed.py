"""Follows the events that the store keeps: tells each one to the log, and hands them to those who listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from hostmaker.domain.event import EndpointEvent
from hostmaker.kit.files import write_atomically
from hostmaker.ports import EventStore, StoreUnavailableError

log = logging.getLogger("hostmaker.control")
AT_ONCE = 200  # events
MAX_LISTENERS = 200  # each looks itself when something has happened
QUIET_S = 15.0  # after which a listener is told that the line is alive
RETRY_S = 1.0


class EventFeed:
    """One for a control; `noticed` is called whenever the store may have kept an event."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._changed = asyncio.Event()
        self.listeners = 0

    def noticed(self) -> None:
        """Have everyone look."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(
        self, after: int, region: str | None = None, endpoint: str | None = None, quiet_s: float = QUIET_S
    ) -> AsyncIterator[EndpointEvent | None]:
        """Give events with numbers above `after`, for ever, as they come; None when nothing has come for `quiet_s`."""
        self.listeners += 1
        try:
            async for event in self._follow(after, region, endpoint, quiet_s):
                yield event
        finally:
            self.listeners -= 1

    async def _follow(
        self, after: int, region: str | None, endpoint: str | None, quiet_s: float
    ) -> AsyncIterator[EndpointEvent | None]:
        while True:
            changed = self._changed
            newest = self._store.event_numbers()[1]
            events = self._store.events(after, AT_ONCE, region, endpoint)
            for event in events:
                yield event
                after = event.number
            if len(events) == AT_ONCE:
                continue
            after = max(after, newest)  # those of other endpoints need not be looked at again
            try:
                async with asyncio.timeout(quiet_s):
                    await changed.wait()
            except TimeoutError:
                yield None

    async def tell_for_ever(self, tell: Callable[[EndpointEvent], None], told: Path) -> None:
        """Tell each event once, and after a crash those again that may not have been told.

        `told` is the file that keeps how far it has come; events from before there was one are not told.
        """
        after = _read(told)
        while True:
            try:
                after = self.event_numbers()[1] if after is None else after
                changed = self._changed
                for event in self._store.events(after, AT_ONCE):
                    tell(event)
                    after = event.number
                    write_atomically(told, str(after).encode())
                if self.event_numbers()[1] <= after:
                    await changed.wait()
            except (StoreUnavailableError, OSError) as error:
                log.error("events are not told for now: %s", error)
                await asyncio.sleep(RETRY_S)

    def events(self, after: int, most: int, region: str | None, endpoint: str | None) -> list[EndpointEvent]:
        """Give events that are kept, the oldest first."""
        return list(self._store.events(after, most, region, endpoint))

    def event_numbers(self) -> tuple[int, int]:
        """Give the numbers of the oldest and of the newest event that is kept; (0, 0) when there has been none."""
        return self._store.event_numbers()


def _read(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None
