"""What an exchange with an upstream is to the connection that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hostmaker.gateway.failure import Failure

if TYPE_CHECKING:
    from hostmaker.gateway.upstream import UpstreamConnection


class Exchange(Protocol):
    """A request under way, and who waits for its answer. `deadline` is a reading of the loop's clock.

    `is_over`: nobody waits any more; `is_bodiless`: it is an answer to HEAD; `is_streamed`: parts are told one by one.
    """

    head: bytes
    body: bytes
    deadline: float
    connection: UpstreamConnection | None
    is_over: bool
    is_bodiless: bool
    is_streamed: bool

    def answered(self, status: int, fields: list[bytes], body: bytes) -> None:
        """Take the whole answer; `fields` are names and values in turn."""
        ...

    def failed(self, failure: Failure, detail: str) -> None:
        """Take the news that there is none."""
        ...

    def stream_began(self, status: int, fields: list[bytes]) -> bool:
        """Take the head of a streamed answer; False: collect its body as if it were not streamed."""
        ...

    def stream_part(self, part: bytes) -> None:
        """Take the next bytes."""
        ...

    def stream_ended(self) -> None:
        """Take the end."""
        ...

    def hold(self, number: int) -> bool:
        """Count bytes of the answer that are kept; False when there is no room for them."""
        ...


def cancel(exchange: Exchange) -> None:
    """Stop caring: nothing is told any more, and a connection in use is closed."""
    exchange.is_over = True
    if exchange.connection is not None:
        exchange.connection.abort()


def fail(exchange: Exchange, failure: Failure, detail: str) -> None:
    """Say that there is no answer, unless nobody waits."""
    exchange.connection = None
    if not exchange.is_over:
        exchange.is_over = True
        exchange.failed(failure, detail)


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Bytes that an answer may have."""

    head: int
    body: int
