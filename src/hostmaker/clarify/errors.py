"""Why an explanation cannot be given, as the caller is told it."""

from __future__ import annotations


class ExplanationError(Exception):
    """What the client, its config or the model did that cannot be explained; answered as a ModelError.

    `status` is its OriginalStatusCode, `message` a sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        # What it shows may have halves of surrogate pairs, which JSON can name and nobody can send.
        self.message = message.encode(errors="backslashreplace").decode()
        self.status = status
        super().__init__(self.message)
