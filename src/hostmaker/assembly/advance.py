"""Moves platform time forward by hand, for tests: hours pass as if nobody had to wait for them.

Time leaps from one moment at which something is due to the next, so that what would have happened on the way does
happen, in its order: the ends of bakes, periods of alarms, time limits. Real work takes real time: while instances
start, drain or end, the leaps wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostmaker.domain.deployment import Phase
from hostmaker.domain.endpoint import Endpoint, EndpointStatus, MemberPhase
from hostmaker.kit.clock import PlatformClock

LONGEST_LEAP_S = 60.0  # of platform time: numbers of a minute are published minute by minute
SHORTEST_LEAP_S = 0.001
LOOK_EVERY_S = 0.01
AT_ONCE_S = 20.0  # real; who asks for more is told what is left
UNDER_WAY = (EndpointStatus.CREATING, EndpointStatus.DELETING, EndpointStatus.ROLLING_BACK)
UNSETTLED = (MemberPhase.LAUNCHED, MemberPhase.WITHDRAWN, MemberPhase.STOPPED)


class Driven(Protocol):
    """What acts when time passes."""

    def turn(self) -> float | None:
        """Do what is due; give the seconds to what is due next (0: at once, None: when woken)."""
        ...


class Advance:
    """Lets time pass. `reconciler` tells real seconds, `telemetry` platform seconds."""

    def __init__(
        self,
        clock: PlatformClock,
        reconciler: Driven,
        telemetry: Driven,
        endpoints: Callable[[], Sequence[Endpoint]],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when time has passed: whoever sleeps has to look anew."""
        self._clock = clock
        self._reconciler = reconciler
        self._telemetry = telemetry
        self._endpoints = endpoints
        self._wake = wake

    async def by(self, seconds: float, within_s: float = AT_ONCE_S) -> float:
        """Let so much platform time pass, in real `within_s` at most; gives what is left of it."""
        end, deadline = self._clock.seconds() + seconds, self._clock.steady() + within_s
        while (left := end - self._clock.seconds()) > 0 and self._clock.steady() < deadline:
            due_s = self._act()
            if any(is_busy(endpoint) for endpoint in self._endpoints()):
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            self._clock.lead.add(min(left, max(due_s, SHORTEST_LEAP_S), LONGEST_LEAP_S))
            self._wake()
            await asyncio.sleep(0)
        self._act()
        return max(0.0, end - self._clock.seconds())

    def _act(self) -> float:
        """Do what is due; give the platform seconds to what is due next."""
        judged_s = self._telemetry.turn()
        while (waits_s := self._reconciler.turn()) == 0:
            pass
        due = [] if waits_s is None else [waits_s * self._clock.scale]
        return min(due + ([] if judged_s is None else [judged_s]), default=LONGEST_LEAP_S)


def is_busy(endpoint: Endpoint) -> bool:
    """Tell whether real work is under way, which no leap of the clock can shorten."""
    recorded = endpoint.recorded
    deployment = recorded.deployment
    if recorded.status in UNDER_WAY or endpoint.desired.number > recorded.begun or recorded.scaling is not None:
        return True
    if any(member.phase in UNSETTLED for member in recorded.members):
        return recorded.status is not EndpointStatus.OUT_OF_SERVICE
    if deployment is None or deployment.paused is not None:
        return False
    return deployment.phase not in (Phase.BAKING, Phase.STUCK)


def clock_routes(advance: Advance, clock: PlatformClock) -> list[Route]:
    """Give the page of the clock: POST `{"advance_s": seconds}`, answered with `now` and what is `left_s`."""

    async def move(request: Request) -> Response:
        asked = await request.json()
        seconds = asked.get("advance_s") if isinstance(asked, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 10 * 365 * 86400:
            return JSONResponse({"error": "advance_s is a number of seconds, from 0 to ten years."}, status_code=400)
        left_s = await advance.by(float(seconds))
        return JSONResponse({"now": clock.now().isoformat(), "left_s": left_s})

    return [Route("/_hostmaker/clock", move, methods=["POST"])]
