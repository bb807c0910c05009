"""What exchanges have in common whose answer is told in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.gateway.upstream import UpstreamConnection

if TYPE_CHECKING:
    from hostmaker.gateway.turns import Turns


class WholeExchange:
    """An exchange of which nothing is streamed, for the request that `turns` is serving."""

    head = body = b""
    deadline = 0.0
    connection: UpstreamConnection | None = None
    is_over = False
    is_bodiless = False
    is_streamed = False

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def stream_began(self, status: int, fields: list[bytes]) -> bool:
        """Nothing is streamed here."""
        return False

    def stream_part(self, part: bytes) -> None:
        """Nothing is streamed here."""

    def stream_ended(self) -> None:
        """Nothing is streamed here."""

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        return self._turns.hold(number)

    def pause(self) -> None:
        """Whoever has asked reads slowly: read no more of the answer."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """It reads again."""
        if self.connection is not None:
            self.connection.resume()
