"""Why an explanation cannot be given, as the caller is told it."""

from __future__ import annotations


class ExplanationError(Exception):
    """What the client, its config or the model did that cannot be explained; answered as a ModelError.

    `status` is its OriginalStatusCode, `message` a sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
