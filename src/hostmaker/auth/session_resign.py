"""Has requests to the object store that bear temporary credentials signed by the key that the store knows."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from hostmaker.auth.credentials import Credentials
from hostmaker.auth.form import TOKEN
from hostmaker.auth.refusals import S3, expired_token, missing, unknown_token
from hostmaker.auth.resign import Resigner, signed
from hostmaker.auth.sessions import Sessions
from hostmaker.ports import Identity, RequestHead


class SessionResigner:
    """Implements `ports.SignSession`. A store that is not ours may know session tokens that are not ours."""

    def __init__(self, sessions: Sessions, store: Credentials, is_store_ours: bool) -> None:
        self._sessions = sessions
        self._store = store
        self._is_store_ours = is_store_ours

    def __call__(self, asked: RequestHead, now: float) -> tuple[Identity, RequestHead] | None:
        """See `ports.SignSession`."""
        token = _token(asked)
        if not self._is_store_ours and not self._sessions.is_ours(token):
            return None
        session = self._sessions.open(token)
        if session is None:
            raise unknown_token(S3)
        if session.expires_s <= now:
            raise expired_token(S3)
        proof = Resigner({session.access_key_id: session.secret_access_key}).proof(asked, now)
        if proof is None:
            raise missing()
        fields = tuple((name, value) for name, value in asked.fields if name.lower() != TOKEN)
        sent = replace(asked, target=_without_token(asked.target), fields=fields)
        anew = signed(sent, replace(proof, access_key_id=self._store.access_key_id), self._store.secret_access_key)
        return Identity(session.access_key_id, proof.region, S3, session.role), anew


def _token(asked: RequestHead) -> str:
    in_header = (asked.header(TOKEN) or b"").decode("latin-1").strip()
    query = asked.target.decode("latin-1").partition("?")[2]
    parts = (part.partition("=") for part in query.split("&"))
    in_query = [unquote(value) for name, _, value in parts if name.lower().encode("latin-1") == TOKEN]
    told = [token for token in (in_header, *in_query) if token]
    if len(told) != 1:
        raise unknown_token(S3)
    return told[0]


def _without_token(target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    kept = [part for part in query.split(b"&") if part.partition(b"=")[0].lower() != TOKEN]
    return path + mark + b"&".join(kept)
