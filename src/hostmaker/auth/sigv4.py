"""Verifies AWS Signature Version 4, in the header form and the presigned form.

Comes in: the head of a request, then its body in turns. Goes out: who calls, or an AuthError. On the gateway's hot
way, so what requests have in common is worked out once.
Source: AWS General Reference, "Signature Version 4 signing process"; error codes and texts as the services answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from hostmaker.auth.claim import Claim, claim_of_header, claim_of_query, scope_of, stamp_of_date
from hostmaker.auth.form import Form, SigningKey
from hostmaker.auth.refusals import invalid, missing, unknown_key
from hostmaker.ports import Identity

__all__ = ["SigV4Authenticator", "SigV4Verification", "scope_of"]

UNSIGNED = b"UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest().encode()
SIGNATURE_DIGITS = 64
MOST_SIGNING_KEYS = 1000  # a day, a region and a service each
MOST_FORMS = 1000
MOST_FORM_BYTES = 1024  # of a target and a claim; what is longer is not kept

FormKey = tuple[str, bytes, bytes, tuple[bytes, ...]]


class SigV4Authenticator:
    """Implements `ports.Authenticator` for a fixed set of keys."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` gives the secret access key of each access key id."""
        self._secrets = dict(secrets)
        self._signing_keys: dict[tuple[str, str], SigningKey] = {}
        self._forms: dict[FormKey, Form] = {}

    def begin(
        self,
        method: str,
        target: bytes,
        authorization: bytes,
        names: tuple[bytes, ...],
        values: Sequence[bytes],
        now: float,
    ) -> SigV4Verification:
        """Start the check of a request; raises AuthError for what the head alone shows."""
        claimed, _, signature = authorization.rpartition(b"Signature=")
        key = (method, target, claimed, names)
        form = self._forms.get(key)
        if form is not None and len(signature) == SIGNATURE_DIGITS:
            stamp = values[form.stamp_at]
            form.claim.check_time(stamp.decode("latin-1"), now)
            return SigV4Verification(form, values, stamp, signature)
        path, _, query = target.decode("latin-1").partition("?")
        if authorization or b"authorization" in names:
            told = _stamp(names, values)
            claim, given = claim_of_header(authorization.decode("latin-1"), told)
        elif "X-Amz-Signature=" in query:
            claim, given, told = claim_of_query(query)
        else:
            raise missing()
        claim.check_time(told, now)
        secret = self._secrets.get(claim.access_key_id)
        if secret is None:
            raise unknown_key(claim.service)
        form = Form(self._signing_key(claim, secret), claim, method, path, query, names)
        if given.encode("latin-1", "replace") == signature and form.stamp_at >= 0:
            self._keep(key, form)
        return SigV4Verification(form, values, told.encode("latin-1"), given.encode("latin-1", "replace"))

    def _keep(self, key: FormKey, form: Form) -> None:
        if len(key[1]) + len(key[2]) <= MOST_FORM_BYTES:
            if len(self._forms) >= MOST_FORMS:
                self._forms.clear()
            self._forms[key] = form

    def _signing_key(self, claim: Claim, secret: str) -> SigningKey:
        key = (claim.access_key_id, claim.scope)
        known = self._signing_keys.get(key)
        if known is None:
            if len(self._signing_keys) >= MOST_SIGNING_KEYS:
                self._signing_keys.clear()
            known = self._signing_keys[key] = SigningKey.of(secret, claim.scope)
        return known


class SigV4Verification:
    """Implements `ports.Verification`."""

    __slots__ = ("_body", "_form", "_signature", "_stamp", "_values")

    def __init__(self, form: Form, values: Sequence[bytes], stamp: bytes, signature: bytes) -> None:
        self._form = form
        self._values = values
        self._stamp = stamp
        self._signature = signature
        self._body: hashlib._Hash | None = None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._body is None:
            self._body = hashlib.sha256(chunk)
        else:
            self._body.update(chunk)

    def finish(self) -> Identity:
        """Say who calls; raises AuthError when the signature is another than ours."""
        form = self._form
        if not hmac.compare_digest(form.sign(self._values, self._stamp, self._body_hash()), self._signature):
            raise invalid(form.claim.service)
        return form.identity

    def _body_hash(self) -> bytes:
        """Give what stands for the body in the signed text; a client may say that it has not signed the body."""
        form = self._form
        stated = None if form.hash_at < 0 else self._values[form.hash_at].strip()
        claim = form.claim
        if stated == UNSIGNED or (stated is None and claim.expires_s is not None and claim.service == "s3"):
            return UNSIGNED
        body = EMPTY_SHA256 if self._body is None else self._body.hexdigest().encode()
        if stated is not None and stated != body:
            raise invalid(claim.service, "The provided 'x-amz-content-sha256' header does not match what was computed.")
        return body


def _stamp(names: Sequence[bytes], values: Sequence[bytes]) -> str:
    """Give when a request was signed, from the header that says it; empty when none does."""
    if b"x-amz-date" in names:
        return values[names.index(b"x-amz-date")].decode("latin-1")
    return stamp_of_date(values[names.index(b"date")]) if b"date" in names else ""
