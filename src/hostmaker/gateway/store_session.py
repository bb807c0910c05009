"""Requests to the object store that are signed with temporary credentials, of which the store knows nothing.

They are verified here, allowed or not, and signed anew with the store's own key. All others pass as they are.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from hostmaker.domain.permissions import Caller, check_objects
from hostmaker.ports import RequestHead, SignSession

TOKEN = "x-amz-security-token"  # noqa: S105 - the name of a header, and of a parameter


def by_store_key(asked: RequestHead, sign: SignSession, account: str, now: float) -> RequestHead:
    """Return the request to go on with. `now` is real Unix seconds; raises ApiError."""
    path, _, query = asked.target.decode("latin-1").partition("?")
    names = {unquote_plus(part.partition("=")[0]).lower() for part in query.split("&") if part}
    if not (asked.header(TOKEN.encode()) or b"").strip() and TOKEN not in names:
        return asked
    signed = sign(asked, now)
    if signed is None:
        return asked
    identity, sent = signed
    if identity.role is not None:
        check_objects(Caller(identity.role, account, identity.region), asked.method, path, names)
    return sent
