"""Signs a request of a caller anew when it goes on without some of its headers, as a signature covers them all.

Only what the caller has signed rightly is signed again; the hash of the body stays the one that the caller has stated,
and whoever gets the request compares the body with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hostmaker.auth.claim import ALGORITHM, Claim, claim_of_header
from hostmaker.auth.form import Form, SigningKey
from hostmaker.domain.errors import AuthError

Fields = Sequence[tuple[bytes, bytes]]
SIGNED_BY_PIECE = b"STREAMING-AWS4-"


class Resigner:
    """Signs with the keys of a fixed set."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` gives the secret access key of each access key id."""
        self._secrets = dict(secrets)

    def without(
        self, method: str, target: bytes, fields: Fields, dropped: frozenset[bytes], now: float
    ) -> list[tuple[bytes, bytes]] | None:
        """Give header fields without those `dropped` (names in lower case), signed anew; `now` is real Unix seconds.

        None when that cannot be: the signature does not hold, or stands in the query, or covers each piece of the body.
        """
        try:
            return self._without(method, target, fields, dropped, now)
        except AuthError:
            return None

    def _without(
        self, method: str, target: bytes, fields: Fields, dropped: frozenset[bytes], now: float
    ) -> list[tuple[bytes, bytes]] | None:
        told = {name.lower(): value for name, value in fields}
        stamp, body_hash = told.get(b"x-amz-date", b""), told.get(b"x-amz-content-sha256", b"").strip()
        claim, signature = claim_of_header(told.get(b"authorization", b"").decode("latin-1"), stamp.decode("latin-1"))
        claim.check_time(stamp.decode("latin-1"), now)
        secret = self._secrets.get(claim.access_key_id)
        if secret is None or not body_hash or body_hash.startswith(SIGNED_BY_PIECE):
            return None
        key = SigningKey.of(secret, claim.scope)
        asked = _sign(key, claim, method, target, fields, stamp, body_hash)
        if not hmac.compare_digest(asked, signature.encode("latin-1", "replace")):
            return None
        signed = [name for name in claim.signed_headers.split(";") if name.encode("latin-1") not in dropped]
        claim = replace(claim, signed_headers=";".join(signed))
        kept = [(name, value) for name, value in fields if name.lower() not in dropped]
        anew = _sign(key, claim, method, target, kept, stamp, body_hash).decode()
        line = (
            f"{ALGORITHM} Credential={claim.access_key_id}/{claim.scope}, "
            f"SignedHeaders={claim.signed_headers}, Signature={anew}"
        )
        return [(name, line.encode("latin-1") if name.lower() == b"authorization" else value) for name, value in kept]


def _sign(
    key: SigningKey, claim: Claim, method: str, target: bytes, fields: Fields, stamp: bytes, body_hash: bytes
) -> bytes:
    path, _, query = target.decode("latin-1").partition("?")
    form = Form(key, claim, method, path, query, [name.lower() for name, _ in fields])
    return form.sign([value for _, value in fields], stamp, body_hash)
