"""Verifies AWS Signature Version 4, in the header form and the presigned form.

Source: AWS General Reference, "Signature Version 4 signing process"; error codes and texts as the services answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote_plus

from hostmaker.domain.errors import AuthError
from hostmaker.ports import Identity

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 300
LONGEST_PRESIGNED_S = 604800
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
QUERY_SERVICES = frozenset(("sts", "iam", "sns", "monitoring"))

Headers = Sequence[tuple[bytes, bytes]]


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
            signed = _from_header(authorization.decode("latin-1"), found)
        elif "X-Amz-Signature=" in query:
            signed = _from_query(query)
        else:
            raise AuthError("MissingAuthenticationTokenException", "Missing Authentication Token")
        signed.check_time(now)
        secret = self._secrets.get(signed.access_key_id)
        if secret is None:
            raise _unknown_key(signed.service)
        return SigV4Verification(self._signing_key(signed, secret), signed, method, path, query, headers, found)

    def _signing_key(self, signed: Signed, secret: str) -> bytes:
        key = (signed.access_key_id, signed.scope)
        known = self._signing_keys.get(key)
        if known is None:
            if len(self._signing_keys) > 1000:  # a day, a region and a service each; strangers cannot get here
                self._signing_keys.clear()
            known = f"AWS4{secret}".encode()
            for part in signed.scope.split("/"):
                known = hmac.digest(known, part.encode(), "sha256")
            self._signing_keys[key] = known
        return known


class Signed:
    """What a request says of its own signature."""

    __slots__ = (
        "access_key_id",
        "expires_s",
        "is_presigned",
        "region",
        "scope",
        "service",
        "signature",
        "signed_headers",
        "stamp",
    )

    def __init__(self, credential: str, stamp: str, signed_headers: str, signature: str, expires_s: int | None) -> None:
        parts = credential.split("/")
        if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
            raise _incomplete(
                f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
                f"got '{credential}'"
            )
        self.access_key_id, date, self.region, self.service, _ = parts
        self.scope = credential[len(self.access_key_id) + 1 :]
        self.stamp = stamp
        self.signed_headers = signed_headers
        self.signature = signature
        self.is_presigned = expires_s is not None
        self.expires_s = expires_s
        if not stamp.startswith(date):
            raise _mismatch(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {stamp}")

    def check_time(self, now: float) -> None:
        """Refuse what was signed too long ago, or in the future; `now` is real Unix seconds."""
        try:
            at = datetime.strptime(self.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise _incomplete(
                f"Date must be in ISO-8601 'basic format'. Got '{self.stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ) from None
        if at > now + SKEW_S:
            raise _mismatch(
                f"Signature not yet current: {self.stamp} is still later than {_stamp(now + SKEW_S)} "
                f"({_stamp(now)} + 5 min.)"
            )
        if self.expires_s is not None:
            if now > at + self.expires_s:
                raise AuthError("ExpiredTokenException", f"Request has expired: it was signed for {self.expires_s} s.")
        elif at < now - SKEW_S:
            raise _mismatch(
                f"Signature expired: {self.stamp} is now earlier than {_stamp(now - SKEW_S)} ({_stamp(now)} - 5 min.)"
            )


class SigV4Verification:
    """Implements `ports.Verification`."""

    __slots__ = ("_body", "_found", "_headers", "_key", "_method", "_path", "_query", "_signed", "_stated")

    def __init__(
        self,
        key: bytes,
        signed: Signed,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        found: Mapping[bytes, bytes],
    ) -> None:
        self._key = key
        self._signed = signed
        self._method = method
        self._path = path
        self._query = query
        self._headers = headers
        self._found = found
        self._stated = found.get(b"x-amz-content-sha256", b"").decode("latin-1")
        self._body: hashlib._Hash | None = None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._body is None:
            self._body = hashlib.sha256(chunk)
        else:
            self._body.update(chunk)

    def finish(self) -> Identity:
        """Say who calls; raises AuthError when the signature is another than ours."""
        signed = self._signed
        canonical = (
            f"{self._method}\n{_canonical_path(self._path, signed.service)}\n{_canonical_query(self._query)}\n"
            f"{self._canonical_headers()}\n{signed.signed_headers}\n{self._body_hash()}"
        )
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"{ALGORITHM}\n{signed.stamp}\n{signed.scope}\n{digest}"
        ours = hmac.digest(self._key, text.encode("latin-1"), "sha256").hex()
        if not hmac.compare_digest(ours, signed.signature.encode("ascii", "replace").decode()):
            raise _mismatch(MISMATCH)
        return Identity(signed.access_key_id, signed.region, signed.service)

    def _body_hash(self) -> str:
        body = EMPTY_SHA256 if self._body is None else self._body.hexdigest()
        if not self._stated or self._stated == body:
            return body
        if self._stated == UNSIGNED:
            return UNSIGNED
        raise _mismatch("The provided 'x-amz-content-sha256' header does not match what was computed.")

    def _canonical_headers(self) -> str:
        names = self._signed.signed_headers.split(";")
        found = self._found
        if len(found) == len(self._headers):  # no header came twice
            try:
                values = [found[name.encode("latin-1")] for name in names]
            except KeyError:
                raise _mismatch(MISMATCH) from None
        else:
            values = [b",".join(v for n, v in self._headers if n == name.encode("latin-1")) for name in names]
        return "".join(f"{name}:{_folded(value)}\n" for name, value in zip(names, values, strict=True))


def _folded(value: bytes) -> str:
    text = value.decode("latin-1").strip()
    return " ".join(text.split()) if "  " in text else text


def _from_header(authorization: str, found: Mapping[bytes, bytes]) -> Signed:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported authorization algorithm {algorithm!r}: this server takes {ALGORITHM}.")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter. Authorization={authorization}")
    stamp = found.get(b"x-amz-date", b"").decode("latin-1")
    if not stamp:
        raise _incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            f"Authorization={authorization}"
        )
    names = fields["SignedHeaders"].split(";")
    if "host" not in names and ":authority" not in names:
        raise _mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    return Signed(fields["Credential"], stamp, fields["SignedHeaders"], fields["Signature"], None)


def _from_query(query: str) -> Signed:
    fields = {name: unquote_plus(value) for name, _, value in (part.partition("=") for part in query.split("&"))}
    for name in ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires"):
        if not fields.get(name):
            raise _incomplete(f"AWS query-string parameters must include '{name}'.")
    if fields.get("X-Amz-Algorithm") != ALGORITHM:
        raise _incomplete(f"Unsupported algorithm {fields.get('X-Amz-Algorithm')!r}: this server takes {ALGORITHM}.")
    expires = fields["X-Amz-Expires"]
    if not expires.isdigit() or not 0 < int(expires) <= LONGEST_PRESIGNED_S:
        raise _incomplete(f"X-Amz-Expires is 1 to {LONGEST_PRESIGNED_S} seconds, not {expires!r}.")
    signature = fields["X-Amz-Signature"]
    return Signed(
        fields["X-Amz-Credential"], fields["X-Amz-Date"], fields["X-Amz-SignedHeaders"], signature, int(expires)
    )


def _canonical_path(path: str, service: str) -> str:
    """S3 signs the path as it is sent; every other service signs its percent-encoding once more."""
    if service == "s3":
        return path
    return quote(_without_dots(path) or "/", safe="/-_.~")


def _without_dots(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    tail = "/" if path.endswith("/") and kept else ""
    return "/" + "/".join(kept) + tail


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name and name != "X-Amz-Signature":
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    """Give the strict percent-encoding of what is, more or less strictly, percent-encoded already."""
    return quote(unquote_plus(text.replace("+", "%20")), safe="-_.~")


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def _incomplete(message: str) -> AuthError:
    return AuthError("IncompleteSignatureException", message, 400)


def _mismatch(message: str) -> AuthError:
    return AuthError("InvalidSignatureException", message)


def _unknown_key(service: str) -> AuthError:
    code = "InvalidClientTokenId" if service in QUERY_SERVICES else "UnrecognizedClientException"
    return AuthError(code, "The security token included in the request is invalid.")


def scope_of(headers: Mapping[bytes, bytes], query: str) -> tuple[str, str] | None:
    """Give region and service of a request's scope without verifying anything; None when it is not signed."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    _, found, credential = authorization.partition("Credential=")
    if not found:
        _, found, credential = query.partition("X-Amz-Credential=")
        credential = unquote_plus(credential.partition("&")[0])
    parts = credential.partition(",")[0].split("/")
    return (parts[2], parts[3]) if found and len(parts) >= 4 else None
