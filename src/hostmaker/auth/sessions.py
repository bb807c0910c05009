"""Temporary credentials of instances: stateless, sealed with a key of the server, checked by any gateway alone.

An instance's process holds a *ticket*, for as long as it lives. The AWS SDK in it exchanges the ticket for temporary
credentials again and again (the container credentials of the AWS SDKs); their session token says who they belong to
and until when. Both are worthless once the instance has ended.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass

SESSION_S = 3600  # SDKs renew credentials a quarter of an hour before they expire
TICKET, SESSION = b"ticket", b"session"
SECRET_CHARACTERS = 40
KEY_ID_CHARACTERS = 16
MAX_TOKEN = 2048  # characters; a longer one is none of ours
MAX_KNOWN = 1000  # session tokens whose seal has been checked


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials, and whose they are. `expires_s` is in Unix seconds."""

    access_key_id: str
    secret_access_key: str
    token: str
    instance: str
    role: str
    expires_s: int


class Sessions:
    """Issues and opens the temporary credentials of one server."""

    def __init__(self, secret: str, lives: Callable[[str], bool]) -> None:
        """`secret` is the server's secret access key; `lives` says whether an instance has not ended yet."""
        self._key = hmac.digest(secret.encode(), b"hostmaker instance credentials", "sha256")
        self._lives = lives
        self._known: dict[str, Session] = {}

    def ticket(self, instance: str, role: str) -> str:
        """Return the ticket of an instance; `role` is the name that its calls bear."""
        return self._seal(TICKET, [instance, role])

    def issue(self, ticket: str, now: float) -> Session | None:
        """Return new credentials for a ticket; None when it is not of this server, or its instance has ended."""
        content = self._open(TICKET, ticket)
        if content is None or not self._lives(instance := str(content[0])):
            return None
        expires_s = int(now) + SESSION_S
        return self._session(self._seal(SESSION, [instance, content[1], expires_s]))

    def open(self, token: str) -> Session | None:
        """Return the credentials of a session token, expired or not; None as for `issue`."""
        session = self._known.get(token)
        if session is None:
            session = self._session(token)
            if session is None:
                return None
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[token] = session
        return session if self._lives(session.instance) else None

    def is_ours(self, token: str) -> bool:
        """Whether this server has issued a session token, whatever has become of its instance."""
        return self._open(SESSION, token) is not None

    def _session(self, token: str) -> Session | None:
        content = self._open(SESSION, token)
        if content is None:
            return None
        instance, role, expires_s = content
        made = hmac.digest(self._key, b"key id\0" + token.encode(), "sha256")
        secret = hmac.digest(self._key, b"secret\0" + token.encode(), "sha256")
        return Session(
            access_key_id="ASIA" + base64.b32encode(made).decode()[:KEY_ID_CHARACTERS],
            secret_access_key=base64.b64encode(secret).decode()[:SECRET_CHARACTERS],
            token=token,
            instance=str(instance),
            role=str(role),
            expires_s=int(expires_s),
        )

    def _seal(self, purpose: bytes, content: list[str | int]) -> str:
        text = _encoded(json.dumps(content, separators=(",", ":")).encode())
        return f"{text}.{self._code(purpose, text)}"

    def _open(self, purpose: bytes, sealed: str) -> list[str | int] | None:
        text, _, code = sealed.partition(".")
        if len(sealed) > MAX_TOKEN or not sealed.isascii():
            return None
        if not hmac.compare_digest(self._code(purpose, text), code):
            return None
        try:
            content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, binascii.Error):  # sealed by another version
            return None
        return content if isinstance(content, list) else None

    def _code(self, purpose: bytes, text: str) -> str:
        return _encoded(hmac.digest(self._key, purpose + b"\0" + text.encode(), "sha256"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
