"""Signs a request for the object store anew when its head is changed on the way there, as a signature covers it.

Only what the caller has signed rightly is signed again. The hash of the body stays the one that the caller has stated,
and the gateway compares the body with it (`gateway.store_body`).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote, unquote_to_bytes

from hostmaker.auth.claim import Claim, claim_of_header, claim_of_query, stamp_of_date
from hostmaker.auth.form import Form, SigningKey
from hostmaker.auth.refusals import S3, invalid, unknown_key
from hostmaker.auth.signer import UNSIGNED, Signer
from hostmaker.domain.errors import AuthError
from hostmaker.domain.permissions import wrong_service
from hostmaker.ports import RequestHead

SIGNED_BY_PIECE = "STREAMING-AWS4-"
STAMP = "%Y%m%dT%H%M%SZ"
OF_SIGNATURES = frozenset((b"authorization", b"x-amz-date", b"date", b"x-amz-content-sha256"))
SIGNATURE_IN_QUERY = re.compile(
    r"(?:X-Amz-(?:Algorithm|Credential|Date|Expires|SignedHeaders|Signature)|AWSAccessKeyId|Signature|Expires)(?:=|$)"
)
# Parameters that version 2 signs besides the path. Source: S3 user guide, "Signing and authenticating REST requests".
SUBRESOURCES = frozenset(
    (
        *("acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy"),
        *("requestPayment", "restore", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning"),
        *("versions", "website", "response-cache-control", "response-content-disposition"),
        *("response-content-encoding", "response-content-language", "response-content-type", "response-expires"),
    )
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Who has signed a request, when (YYYYMMDDTHHMMSSZ), and what stands for its body in the signed text."""

    access_key_id: str
    region: str
    stamp: str
    body_hash: str


class Resigner:
    """Implements `ports.Resign` with the keys of a fixed set."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` gives the secret access key of each access key id."""
        self._secrets = dict(secrets)

    def __call__(
        self, asked: RequestHead, sent: RequestHead, now: float, body_sha256: bytes | None = None
    ) -> RequestHead:
        """Return `sent`, signed by whoever has signed `asked`; unsigned requests stay so. Raises AuthError."""
        proof = self.proof(asked, now)
        if proof is None:
            return sent
        if body_sha256 is not None:
            proof = replace(proof, body_hash=body_sha256.decode())
        return signed(sent, proof, self._secrets[proof.access_key_id])

    def proof(self, asked: RequestHead, now: float) -> Proof | None:
        """Return who has signed a request; None for an unsigned one. Raises AuthError; `now` is real Unix seconds."""
        authorization, query = asked.header(b"authorization"), asked.target.decode("latin-1").partition("?")[2]
        try:
            if authorization is not None:
                return self._of_header(asked, authorization.decode("latin-1"))
            if "X-Amz-Signature=" in query:
                return self._of_query(asked, query, now)
            return self._of_version_2(asked, query, now) if "AWSAccessKeyId=" in query else None
        except AuthError as error:  # in the codes of S3
            code = "SignatureDoesNotMatch" if error.code == "InvalidSignatureException" else error.code
            raise AuthError(code, error.message, error.status) from error

    def _of_header(self, asked: RequestHead, authorization: str) -> Proof:
        if authorization.startswith("AWS "):
            raise _not_implemented("requests with a header of signature version 2; sign with version 4")
        stamp = (asked.header(b"x-amz-date") or b"").decode("latin-1") or stamp_of_date(asked.header(b"date") or b"")
        body_hash = (asked.header(b"x-amz-content-sha256") or b"").decode("latin-1").strip()
        if body_hash.startswith(SIGNED_BY_PIECE):
            raise _not_implemented("bodies whose chunks are signed one by one; sign the body as a whole, or not at all")
        claim, signature = claim_of_header(authorization, stamp)
        secret = self._secret(claim.access_key_id)
        _check_claim(asked, SigningKey.of(secret, claim.scope), claim, stamp, body_hash, signature)
        return Proof(claim.access_key_id, claim.region, stamp, body_hash)

    def _of_query(self, asked: RequestHead, query: str, now: float) -> Proof:
        claim, signature, stamp = claim_of_query(query)
        secret = self._secret(claim.access_key_id)
        claim.check_time(stamp, now)
        stated = asked.header(b"x-amz-content-sha256")
        body_hash = UNSIGNED if stated is None else stated.decode("latin-1").strip()
        _check_claim(asked, SigningKey.of(secret, claim.scope), claim, stamp, body_hash, signature)
        return Proof(claim.access_key_id, claim.region, _stamp(now), body_hash)

    def _of_version_2(self, asked: RequestHead, query: str, now: float) -> Proof:
        """Verify a presigned URL of version 2, which boto3 makes unless it is told otherwise."""
        values = {name: unquote(value) for name, _, value in (part.partition("=") for part in query.split("&"))}
        if len(values) < query.count("&") + 1:
            raise invalid(S3)  # whoever reads the first and whoever reads the last would differ
        access_key_id, expires = values["AWSAccessKeyId"], values.get("Expires", "")
        secret = self._secret(access_key_id)
        if not expires.isdecimal() or len(expires) > 12 or int(expires) < now:
            raise AuthError("AccessDenied", "Request has expired")
        text = _text_of_version_2(asked, values, expires)
        ours = base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), "sha1"))
        _check(ours, values.get("Signature", ""))
        return Proof(access_key_id, "us-east-1", _stamp(now), UNSIGNED)

    def _secret(self, access_key_id: str) -> str:
        secret = self._secrets.get(access_key_id)
        if secret is None:
            raise unknown_key(S3)
        return secret


def signed(sent: RequestHead, proof: Proof, secret: str) -> RequestHead:
    """Return a request signed in its header, as of a proof, with the secret of the proof's key."""
    path, _, query = sent.target.partition(b"?")
    kept = [part for part in query.decode("latin-1").split("&") if part and not SIGNATURE_IN_QUERY.match(part)]
    target = path.decode("latin-1") + ("?" + "&".join(kept) if kept else "")
    fields = [(name, value) for name, value in sent.fields if name.lower() not in OF_SIGNATURES]
    covered: dict[str, str] = {}
    for name, value in fields:
        lower = name.lower().decode("latin-1")
        if lower == "host" or lower.startswith("x-amz-"):
            before = f"{covered[lower]}," if lower in covered else ""
            covered[lower] = before + value.decode("latin-1")
    signer = Signer(proof.access_key_id, secret, proof.region, S3)
    at = datetime.strptime(proof.stamp, STAMP).replace(tzinfo=UTC)
    anew = signer.sign(sent.method, target, covered, proof.body_hash, at)
    added = [(name.encode(), anew[name].encode("latin-1")) for name in anew.keys() - covered.keys()]
    return RequestHead(sent.method, target.encode("latin-1"), (*fields, *sorted(added)))


def _check_claim(asked: RequestHead, key: SigningKey, claim: Claim, stamp: str, body_hash: str, signature: str) -> None:
    """Raise AuthError unless the signature holds for the path as it was sent, or in its strict percent-encoding."""
    if claim.service != S3:
        raise wrong_service(S3, is_query=True)
    path, _, query = asked.target.decode("latin-1").partition("?")
    names, values = [name.lower() for name, _ in asked.fields], [value for _, value in asked.fields]
    strict = quote(unquote_to_bytes(path.encode("latin-1")), safe="/-_.~")
    for each in dict.fromkeys((path, strict)):
        form = Form(key, claim, asked.method, each, query, names)
        ours = form.sign(values, stamp.encode("latin-1"), body_hash.encode())
        if hmac.compare_digest(ours, signature.encode("latin-1", "replace")):
            return
    raise invalid(S3)


def _check(ours: bytes, given: str) -> None:
    if not hmac.compare_digest(ours, given.encode("latin-1", "replace")):
        raise invalid(S3)


def _text_of_version_2(asked: RequestHead, values: Mapping[str, str], expires: str) -> str:
    """Return what is signed. Source: S3 user guide, "Signing and authenticating REST requests"."""
    told = {name.lower().decode("latin-1"): value.decode("latin-1").strip() for name, value in asked.fields}
    told |= {name: value for name, value in values.items() if name.startswith("x-amz-")}
    ours = [f"{name}:{told[name]}\n" for name in sorted(told) if name.startswith("x-amz-")]
    named = [f"{name}={values[name]}" if values[name] else name for name in sorted(values) if name in SUBRESOURCES]
    bucket = asked.host_bucket.decode("latin-1")
    path = (f"/{bucket}" if bucket else "") + asked.target.decode("latin-1").partition("?")[0]
    resource = path + ("?" + "&".join(named) if named else "")
    head = (asked.method, told.get("content-md5", ""), told.get("content-type", ""), expires)
    return "\n".join((*head, "".join(ours) + resource))


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime(STAMP)


def _not_implemented(what: str) -> AuthError:
    return AuthError("NotImplemented", f"This server cannot change {what}.", 501)
