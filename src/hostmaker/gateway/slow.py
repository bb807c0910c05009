"""Clients that others wait for: what they hold, and what they are answered when they send too slowly."""

from __future__ import annotations

from hostmaker.domain.errors import ApiError, RequestTimeoutException
from hostmaker.gateway import admission
from hostmaker.gateway.giving_way import Holder
from hostmaker.gateway.line import STORE, Limits, Line
from hostmaker.gateway.request import Request
from hostmaker.gateway.routes import Kind
from hostmaker.gateway.shared import Shared
from hostmaker.gateway.store_call import HELD_BYTES, StoreCall
from hostmaker.gateway.store_errors import SlowUpload
from hostmaker.gateway.turns import Turns


def too_slow(request: Request, limits: Limits) -> ApiError:
    """Return the error for a body that comes below the minimum rate, in the words of who answers the request."""
    text = f"The body comes too slowly: less than {limits.min_rate:.0f} bytes a second for {limits.body_s:.0f} seconds."
    return SlowUpload(text) if request.route.kind is Kind.STORE else RequestTimeoutException(text)


def body_holder(line: Line, turns: Turns, current: Request | None, now: float) -> Holder | None:
    """Return who holds room for bodies that others wait for: by a body under way, or answers that nobody takes."""
    if line.is_deaf and not line.waits_for_drain:
        return None
    if current is not None and current.held and current.came_at:
        return Holder(line.address, current.held, now - current.came_at, current.is_proven)
    if turns.held and line.waits_for_drain and line.taking.lags:
        return Holder(line.address, turns.held, now - line.taking.began, False)
    return None


def relay_holder(line: Line, turns: Turns, current: Request | None, shared: Shared, now: float) -> Holder | None:
    """Return who holds a relay to the store whose client lags."""
    request = turns.serving
    if request is None or not isinstance(turns.work, StoreCall):
        return None
    if line.waits_for_drain:
        pace = line.taking
    elif request is current and request.came_at and not line.stops & STORE:
        pace = line.sending
    else:
        return None
    if not pace.lags:
        return None
    return Holder(line.address, HELD_BYTES, now - pace.began, admission.is_proven(request, shared))
