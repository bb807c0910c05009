"""Pages of a list that stay right while things come and go: a token names the last item shown."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from hostmaker.kit.json_value import Json


class BadTokenError(ValueError):
    """A token that no page has given."""


def page(items: Sequence[str], limit: Json, token: Json) -> tuple[Sequence[str], str | None]:
    """Give the items, in order, that follow `token`, at most `limit`, and the token of what follows them."""
    rest = sorted(items)
    if token is not None:
        last = _read(str(token))
        rest = [item for item in rest if item > last]
    if not isinstance(limit, int) or len(rest) <= limit:
        return rest, None
    return rest[:limit], base64.urlsafe_b64encode(rest[limit - 1].encode()).decode()


def _read(token: str) -> str:
    try:
        return base64.b64decode(token, altchars="-_", validate=True).decode()
    except ValueError as error:
        raise BadTokenError(token) from error
