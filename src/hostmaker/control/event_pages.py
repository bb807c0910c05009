"""The page of events: `GET /_hostmaker/events`, as a stream of server-sent events or as JSON.

Query: `region` and `endpoint` narrow it down. `after` is the number of the last event that is known already (also as
the header Last-Event-ID); left out, a stream begins with what comes, and JSON with the oldest that is kept. With
`follow=false` the page is JSON: `{"events": [...], "last": number}`, at most 1,000 at a time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hostmaker.control.event_feed import MAX_LISTENERS, EventFeed
from hostmaker.control.events import document
from hostmaker.domain.event import EndpointEvent

MOST_AT_ONCE = 1000
ALIVE = ":\n\n"
BEGINNING = "retry: 1000\n\n"


def event_routes(feed: EventFeed, account: str) -> list[Route]:
    """Give the route of the page."""

    async def events(request: Request) -> Response:
        try:
            after, region, endpoint, is_followed = _asked(request)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        if is_followed and feed.listeners >= MAX_LISTENERS:
            return JSONResponse({"error": f"{feed.listeners} listen already; try again later"}, status_code=503)
        if is_followed:
            after = feed.event_numbers()[1] if after is None else after
            stream = _stream(feed, after, region, endpoint, account)
            return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        found = feed.events(after or 0, MOST_AT_ONCE, region, endpoint)
        last = found[-1].number if found else max(after or 0, feed.event_numbers()[1])
        return JSONResponse({"events": [document(each, account) for each in found], "last": last})

    return [Route("/_hostmaker/events", events)]


async def _stream(
    feed: EventFeed, after: int, region: str | None, endpoint: str | None, account: str
) -> AsyncIterator[str]:
    yield BEGINNING
    oldest = feed.event_numbers()[0]
    if after + 1 < oldest:
        yield f"event: gap\ndata: {json.dumps({'lost_from': after + 1, 'lost_to': oldest - 1})}\n\n"
    async for event in feed.follow(after, region, endpoint):
        yield ALIVE if event is None else _frame(event, account)


def _frame(event: EndpointEvent, account: str) -> str:
    return f"id: {event.number}\ndata: {json.dumps(document(event, account))}\n\n"


def _asked(request: Request) -> tuple[int | None, str | None, str | None, bool]:
    """Give after, region, endpoint, and whether it is followed; raises ValueError with a sentence."""
    query = dict(request.query_params)
    follow = query.pop("follow", "true")
    if follow not in ("true", "false"):
        raise ValueError(f"follow is true or false, not {follow!r}.")
    known = query.pop("after", None) or request.headers.get("last-event-id")
    if known is not None and not known.isdecimal():
        raise ValueError(f"after (or Last-Event-ID) is the number of an event, not {known!r}.")
    region, endpoint = query.pop("region", None), query.pop("endpoint", None)
    if query:
        raise ValueError(f"There is no {next(iter(query))!r} here: region, endpoint, after, follow.")
    return None if known is None else int(known), region, endpoint, follow == "true"
