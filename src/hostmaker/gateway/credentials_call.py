"""One request of an AWS SDK inside an instance for temporary credentials, answered by the gateway alone.

Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hostmaker.domain.errors import AuthError
from hostmaker.gateway.request import Request

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

REFUSED = "The authorization token is not one of an instance that runs, or instances get no credentials here."


class CredentialsCall:
    """One request; it is answered as it is started."""

    __slots__ = ("_request", "_shared", "_turns")

    def __init__(self, turns: Turns, shared: Shared, request: Request) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request

    def start(self) -> None:
        """Answer; raises AuthError."""
        ticket = (self._request.header(b"authorization") or b"").decode("latin-1").strip()
        issued = self._shared.issue_credentials(ticket, self._shared.real_time())
        if issued is None:
            raise AuthError("AccessDeniedException", REFUSED)
        body = json.dumps(issued).encode()
        self._turns.answer(200, b"Content-Type: application/json\r\nCache-Control: no-store\r\n", body)

    def cancel(self) -> None:
        """Nothing is under way."""

    def pause(self) -> None:
        """Nothing is under way."""

    def resume(self) -> None:
        """Nothing is under way."""
