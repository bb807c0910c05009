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
from hostmaker.auth.form import TOKEN, Form, SigningKey
from hostmaker.auth.refusals import S3, expired_token, invalid, missing, other_body, unknown_key, unknown_token
from hostmaker.auth.sessions import Sessions
from hostmaker.domain.errors import AuthError
from hostmaker.ports import Identity

__all__ = ["SigV4Authenticator", "SigV4Verification", "scope_of"]

UNSIGNED = b"UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest().encode()
SIGNATURE_DIGITS = 64
MOST_SIGNING_KEYS = 1000  # a day, a region and a service each
MOST_FORMS = 1000
MOST_FORM_BYTES = 1024  # of a target and a claim; what is longer is not kept
ONE_MECHANISM = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)

FormKey = tuple[str, bytes, bytes, tuple[bytes, ...]]


class SigV4Authenticator:
    """Implements `ports.Authenticator` for a fixed set of permanent keys, and for temporary credentials."""

    def __init__(self, secrets: Mapping[str, str], sessions: Sessions | None = None) -> None:
        """`secrets` has the secret of each permanent access key id; without `sessions`, no session token holds."""
        self._secrets = dict(secrets)
        self._sessions = sessions
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
            if form.token_at >= 0:
                self.secret_of(form.claim, values[form.token_at].decode("latin-1"), now)
            return SigV4Verification(form, values, stamp, signature)
        claim, given, told, token = read_claim(target, authorization, names, values)
        claim.check_time(told, now)
        secret, role = self.secret_of(claim, token, now)
        path, _, query = target.decode("latin-1").partition("?")
        form = Form(self._signing_key(claim, secret), claim, method, path, query, names, role)
        if given.encode("latin-1", "replace") == signature and form.stamp_at >= 0:
            self._keep(key, form)
        return SigV4Verification(form, values, told.encode("latin-1"), given.encode("latin-1", "replace"))

    def secret_of(self, claim: Claim, token: str, now: float) -> tuple[str, str | None]:
        """Return the secret access key of a claim and, of temporary credentials, their role. Raises AuthError.

        `token` is the session token, empty for a permanent key; `now` is in Unix seconds.
        """
        if not token:
            secret = self._secrets.get(claim.access_key_id)
            if secret is None:
                raise unknown_key(claim.service)
            return secret, None
        session = self._sessions.open(token) if self._sessions is not None else None
        if session is None or session.access_key_id != claim.access_key_id:
            raise unknown_token(claim.service)
        if session.expires_s <= now:
            raise expired_token(claim.service)
        return session.secret_access_key, session.role

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


class SessionsOnly:
    """Implements `ports.Authenticator` for a server without signatures: temporary credentials of its own still hold.

    What instances may do, and who they are, is thus the same as on a server that verifies every signature.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._strict = SigV4Authenticator({}, sessions)

    def begin(
        self,
        method: str,
        target: bytes,
        authorization: bytes,
        names: tuple[bytes, ...],
        values: Sequence[bytes],
        now: float,
    ) -> SigV4Verification | None:
        """Start the check of a request that bears a session token of ours; None for any other."""
        if TOKEN not in names and b"X-Amz-Security-Token=" not in target:
            return None
        try:
            token = read_claim(target, authorization, names, values)[3]
        except AuthError:
            return None
        if not self._sessions.is_ours(token):
            return None
        return self._strict.begin(method, target, authorization, names, values, now)


class SigV4Verification:
    """Implements `ports.Verification`."""

    __slots__ = ("_body", "_form", "_is_checked", "_signature", "_stamp", "_values")

    def __init__(self, form: Form, values: Sequence[bytes], stamp: bytes, signature: bytes) -> None:
        self._form = form
        self._values = values
        self._stamp = stamp
        self._signature = signature
        self._body: hashlib._Hash | None = None
        self._is_checked = False

    def check_head(self) -> bool:
        """Whether the head alone shows who calls, as it states the body's hash; raises AuthError when it is forged.

        `finish` still compares the body with what is stated.
        """
        stated = self._stated()
        if stated is not None:
            form = self._form
            if not hmac.compare_digest(form.sign(self._values, self._stamp, stated), self._signature):
                raise invalid(form.claim.service)
            self._is_checked = True
        return self._is_checked

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._body is None:
            self._body = hashlib.sha256(chunk)
        else:
            self._body.update(chunk)

    def finish(self) -> Identity:
        """Say who calls; raises AuthError when the signature is another than ours."""
        form, body_hash = self._form, self._body_hash()
        if not self._is_checked and not hmac.compare_digest(
            form.sign(self._values, self._stamp, body_hash), self._signature
        ):
            raise invalid(form.claim.service)
        return form.identity

    def _stated(self) -> bytes | None:
        """Return what the head says of the body, None where it says nothing."""
        form = self._form
        if form.hash_at >= 0:
            return self._values[form.hash_at].strip()
        claim = form.claim
        return UNSIGNED if claim.expires_s is not None and claim.service == S3 else None

    def _body_hash(self) -> bytes:
        """Return what stands for the body in the signed text; a client of S3 may say that it has not signed it."""
        form = self._form
        if form.hash_at < 0 and form.claim.expires_s is None:
            return EMPTY_SHA256 if self._body is None else self._body.hexdigest().encode()
        stated, service = self._stated(), form.claim.service
        if stated == UNSIGNED and service == S3:
            return UNSIGNED
        body = EMPTY_SHA256 if self._body is None else self._body.hexdigest().encode()
        if stated is not None and stated != body:
            raise other_body(service)
        return body


def read_claim(
    target: bytes, authorization: bytes, names: Sequence[bytes], values: Sequence[bytes]
) -> tuple[Claim, str, str, str]:
    """Return what a request claims: its claim, signature, stamp and session token (empty: none). Raises AuthError."""
    query = target.partition(b"?")[2].decode("latin-1")
    is_presigned = "X-Amz-Signature=" in query
    token = values[names.index(TOKEN)].decode("latin-1").strip() if TOKEN in names else ""
    if authorization or b"authorization" in names:
        stamp = _stamp(names, values)
        claim, signature = claim_of_header(authorization.decode("latin-1"), stamp)
        if is_presigned:
            raise invalid(claim.service, ONE_MECHANISM)
        return claim, signature, stamp, token
    if not is_presigned:
        raise missing()
    claim, signature, stamp = claim_of_query(query)
    return claim, signature, stamp, claim.token or token


def _stamp(names: Sequence[bytes], values: Sequence[bytes]) -> str:
    """Give when a request was signed, from the header that says it; empty when none does."""
    if b"x-amz-date" in names:
        return values[names.index(b"x-amz-date")].decode("latin-1")
    return stamp_of_date(values[names.index(b"date")]) if b"date" in names else ""
