"""Verifies AWS Signature Version 4, in the header form and the presigned form.

Comes in: the head of a request, then its body in turns. Goes out: who calls, or an AuthError. On the gateway's hot
way, so each step is done once.
Source: AWS General Reference, "Signature Version 4 signing process"; error codes and texts as the services answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from hostmaker.auth.canonical import Headers, canonical_headers, canonical_path, canonical_query
from hostmaker.auth.claim import ALGORITHM, Claim, claim_of_header, claim_of_query, scope_of
from hostmaker.auth.refusals import invalid, missing, unknown_key
from hostmaker.ports import Identity

__all__ = ["SigV4Authenticator", "SigV4Verification", "scope_of"]

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
MOST_SIGNING_KEYS = 1000  # a day, a region and a service each


class SigV4Authenticator:
    """Implements `ports.Authenticator` for a fixed set of keys."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` gives the secret access key of each access key id."""
        self._secrets = dict(secrets)
        self._signing_keys: dict[tuple[str, str], bytes] = {}

    def begin(self, method: str, target: bytes, headers: Headers, now: float) -> SigV4Verification:
        """Start the check of a request; raises AuthError for what the head alone shows."""
        found = dict(headers)
        path, _, query = target.decode("latin-1").partition("?")
        authorization = found.get(b"authorization")
        if authorization is not None:
            claim = claim_of_header(authorization.decode("latin-1"), found)
        elif "X-Amz-Signature=" in query:
            claim = claim_of_query(query)
        else:
            raise missing()
        claim.check_time(now)
        secret = self._secrets.get(claim.access_key_id)
        if secret is None:
            raise unknown_key(claim.service)
        names = claim.signed_headers.split(";")
        _check_covered(claim.service, names, found)
        signed = canonical_headers(names, headers, found)
        if signed is None:
            raise invalid(claim.service)
        head = (
            f"{method}\n{canonical_path(path, claim.service)}\n"
            f"{canonical_query(query, None if claim.expires_s is None else 'X-Amz-Signature')}\n"
            f"{signed}\n{claim.signed_headers}\n"
        )
        return SigV4Verification(self._signing_key(claim, secret), claim, head, found.get(b"x-amz-content-sha256"))

    def _signing_key(self, claim: Claim, secret: str) -> bytes:
        key = (claim.access_key_id, claim.scope)
        known = self._signing_keys.get(key)
        if known is None:
            if len(self._signing_keys) >= MOST_SIGNING_KEYS:
                self._signing_keys.clear()
            known = f"AWS4{secret}".encode()
            for part in claim.scope.split("/"):
                known = hmac.digest(known, part.encode("latin-1"), "sha256")
            self._signing_keys[key] = known
        return known


class SigV4Verification:
    """Implements `ports.Verification`; `head` is the canonical request up to the hash of the body."""

    __slots__ = ("_body", "_claim", "_head", "_key", "_stated")

    def __init__(self, key: bytes, claim: Claim, head: str, stated: bytes | None) -> None:
        self._key = key
        self._claim = claim
        self._head = head
        self._stated = None if stated is None else stated.decode("latin-1").strip()
        self._body: hashlib._Hash | None = None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._body is None:
            self._body = hashlib.sha256(chunk)
        else:
            self._body.update(chunk)

    def finish(self) -> Identity:
        """Say who calls; raises AuthError when the signature is another than ours."""
        claim = self._claim
        canonical = hashlib.sha256((self._head + self._body_hash()).encode("latin-1")).hexdigest()
        text = f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{canonical}".encode("latin-1")
        ours = hmac.digest(self._key, text, "sha256").hex().encode()
        if not hmac.compare_digest(ours, claim.signature.encode("latin-1", "replace")):
            raise invalid(claim.service)
        return Identity(claim.access_key_id, claim.region, claim.service)

    def _body_hash(self) -> str:
        """Give what stands for the body in the signed text; a client may say that it has not signed the body."""
        stated, claim = self._stated, self._claim
        if stated == UNSIGNED or (stated is None and claim.expires_s is not None and claim.service == "s3"):
            return UNSIGNED
        body = EMPTY_SHA256 if self._body is None else self._body.hexdigest()
        if stated is not None and stated != body:
            raise invalid(claim.service, "The provided 'x-amz-content-sha256' header does not match what was computed.")
        return body


def _check_covered(service: str, names: list[str], found: Mapping[bytes, bytes]) -> None:
    """Refuse a signature that leaves open whom or what the request asks: its host, or any x-amz- header."""
    if "host" not in names and ":authority" not in names:
        raise invalid(service, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for key in found:
        if key.startswith(b"x-amz-") and key.decode("latin-1") not in names and key != b"x-amz-content-sha256":
            name = key.decode("latin-1").title()
            raise invalid(service, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
