"""Filter patterns of FilterLogEvents: terms, "phrases", -without and ?any.

Source: CloudWatch Logs user guide, "Filter pattern syntax for metric filters, subscription filters, filter log events".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hostmaker.domain.errors import ApiError

TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)')


class InvalidParameterException(ApiError):
    """A parameter of a Logs operation that it cannot take."""

    code, status = "InvalidParameterException", 400


def pattern(text: str) -> Callable[[str], bool]:
    """Give the test that `text` is: every term, no `-term`, and one of the `?terms` if there are any.

    Case counts. Raises InvalidParameterException, also for patterns of JSON, of columns and of regular expressions.
    """
    text = text.strip()
    if text.startswith(("{", "[", "%")):
        raise InvalidParameterException(
            f"Filter pattern '{text}' is not supported here: use terms, \"phrases\", -without and ?any."
        )
    wanted: list[str] = []
    without: list[str] = []
    optional: list[str] = []
    at = 0
    while at < len(text):
        match = TERM.match(text, at)
        if match is None:
            raise InvalidParameterException(f"Invalid character(s) in term '{text[at:].strip()}'")
        sign, phrase, word = match.groups()
        term = word if phrase is None else re.sub(r"\\(.)", r"\1", phrase)
        {"": wanted, "-": without, "?": optional}[sign].append(term)
        at = match.end()

    def matches(message: str) -> bool:
        return (
            all(term in message for term in wanted)
            and not any(term in message for term in without)
            and (not optional or any(term in message for term in optional))
        )

    return matches
