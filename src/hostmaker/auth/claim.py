"""What a request says of its own signature: who signed it, when, for what, and over which headers."""

from __future__ import annotations

import functools
import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

from hostmaker.auth.refusals import S3, incomplete, invalid, skewed
from hostmaker.domain.errors import AuthError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S, S3_SKEW_S = 300, 900  # seconds that a client's clock may differ from ours
HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
LONGEST_PRESIGNED_S = 604800
SCOPE_PART = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature claims of its caller; nothing of it is verified.

    `scope` is DATE/REGION/SERVICE/aws4_request; `expires_s` is None in the header form. `token` is the session token of
    the presigned form; in the header form it is a header of its own.
    """

    access_key_id: str
    scope: str
    date: str
    region: str
    service: str
    signed_headers: str
    expires_s: int | None
    token: str = ""

    def check_time(self, stamp: str, now: float) -> None:
        """Refuse what was signed too long ago, or in the future; `now` is real Unix seconds. Raises AuthError."""
        if stamp[:8] != self.date:
            raise invalid(
                self.service,
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{self.date}' != '{stamp[:8]}', from '{stamp}'.",
            )
        at = _seconds(stamp)
        if at is None:
            raise incomplete(
                self.service,
                f"Date must be in ISO-8601 'basic format'. Got '{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601",
            )
        skew_s = S3_SKEW_S if self.service == S3 else SKEW_S
        if at > now + skew_s:
            latest = f"{_stamp(now + skew_s)} ({_stamp(now)} + {skew_s // 60} min.)"
            raise skewed(self.service, f"Signature not yet current: {stamp} is still later than {latest}")
        if self.expires_s is not None:
            if now > at + self.expires_s:
                raise self._presigned_expired(stamp, now)
        elif at < now - skew_s:
            earliest = f"{_stamp(now - skew_s)} ({_stamp(now)} - {skew_s // 60} min.)"
            raise skewed(self.service, f"Signature expired: {stamp} is now earlier than {earliest}")

    def _presigned_expired(self, stamp: str, now: float) -> AuthError:
        if self.service == S3:
            return AuthError("AccessDenied", "Request has expired")
        assert self.expires_s is not None
        earliest = f"{_stamp(now - self.expires_s)} ({_stamp(now)} - {self.expires_s} s.)"
        return invalid(self.service, f"Signature expired: {stamp} is now earlier than {earliest}")


def claim_of_header(authorization: str, stamp: str) -> tuple[Claim, str]:
    """Read the header form: claim and signature. Raises AuthError for one that is not whole; an empty stamp is none."""
    algorithm, _, rest = authorization.partition(" ")
    service = _service_of(rest)
    if algorithm != ALGORITHM:
        raise incomplete(service, f"Unsupported authorization algorithm '{algorithm}': this server takes {ALGORITHM}.")
    parts = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in rest.split(","))]
    fields = dict(parts)
    for name in HEADER_PARTS:
        if not fields.get(name):
            raise incomplete(
                service, f"Authorization header requires '{name}' parameter. Authorization={authorization}"
            )
    if len(parts) != len(HEADER_PARTS):  # whoever reads the first and whoever reads the last would differ
        raise incomplete(
            service,
            f"Authorization header has one each of {', '.join(HEADER_PARTS)}, and nothing else. "
            f"Authorization={authorization}",
        )
    if not stamp:
        raise incomplete(
            service,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            f"Authorization={authorization}",
        )
    return _claim(fields["Credential"], fields["SignedHeaders"], None), fields["Signature"]


def claim_of_query(query: str) -> tuple[Claim, str, str]:
    """Read the presigned form: claim, signature and stamp. Raises AuthError for one that is not whole."""
    fields: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            raise incomplete("", f"The query-string parameter '{name}' comes twice in a presigned request.")
        fields[name] = unquote_plus(value)
    service = _service_of(f"Credential={fields.get('X-Amz-Credential', '')}")
    for name in ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires"):
        if not fields.get(name):
            raise incomplete(service, f"AWS query-string parameters must include '{name}'.")
    if (algorithm := fields.get("X-Amz-Algorithm")) != ALGORITHM:
        raise incomplete(service, f"Unsupported algorithm '{algorithm}': this server takes {ALGORITHM}.")
    expires = fields["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and 0 < int(expires) <= LONGEST_PRESIGNED_S):
        raise incomplete(service, f"X-Amz-Expires is 1 to {LONGEST_PRESIGNED_S} seconds, not '{expires}'.")
    claim = _claim(fields["X-Amz-Credential"], fields["X-Amz-SignedHeaders"], int(expires))
    claim = replace(claim, token=fields.get("X-Amz-Security-Token", ""))
    return claim, fields["X-Amz-Signature"], fields["X-Amz-Date"]


def scope_of(headers: Mapping[bytes, bytes], query: str) -> tuple[str, str] | None:
    """Give region and service of a request's scope without verifying anything; None when it is not signed."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    _, found, credential = authorization.partition("Credential=")
    if not found:
        _, found, credential = query.partition("X-Amz-Credential=")
        credential = unquote_plus(credential.partition("&")[0])
    parts = credential.partition(",")[0].split("/")
    return (parts[2], parts[3]) if found and len(parts) >= 4 else None


def _claim(credential: str, signed_headers: str, expires_s: int | None) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise incomplete(
            _service_of(f"Credential={credential}"),
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'",
        )
    access_key_id, date, region, service, _ = parts
    if not (SCOPE_PART(region) and SCOPE_PART(service)):  # they go on into paths of files and heads of requests
        raise invalid(service, f"Credential should be scoped to a valid region and service, not '{region}/{service}'.")
    if not signed_headers.isascii():
        raise incomplete(service, f"SignedHeaders must be names of headers, not '{signed_headers}'.")
    scope = credential[len(access_key_id) + 1 :]
    return Claim(access_key_id, scope, date, region, service, signed_headers, expires_s)


def _service_of(authorization: str) -> str:
    """Guess the service of a header that may be broken, for the error's code alone."""
    parts = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return parts[3] if len(parts) > 3 else ""


def stamp_of_date(date: bytes) -> str:
    """Give the stamp that a `Date` header stands for, where there is no `X-Amz-Date`; empty when it stands for none."""
    text = date.decode("latin-1").strip()
    if _seconds(text) is not None:
        return text
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return ""
    return (at.astimezone(UTC) if at.tzinfo else at).strftime("%Y%m%dT%H%M%SZ")


@functools.lru_cache(maxsize=256)  # clients sign within one second with one stamp
def _seconds(stamp: str) -> int | None:
    """Give the Unix seconds of a stamp YYYYMMDDTHHMMSSZ, or None when it is none."""
    digits = stamp[:8] + stamp[9:15]
    if len(stamp) != 16 or stamp[8] != "T" or stamp[15] != "Z" or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return timegm(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timetuple())
    except ValueError:
        return None


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
