"""Who judges signed requests: the code that verifies them, by itself, or a real gateway."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from botocore.credentials import Credentials

from hostmaker.auth.credentials import Credentials as StoreKey
from hostmaker.auth.session_resign import SessionResigner
from hostmaker.auth.sessions import Sessions
from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.errors import AuthError
from hostmaker.ports import RequestHead
from soak.signatures import Keys, Signed

# What a gateway or the store says of signatures, and a gateway of what is no HTTP; all else has passed the signature.
REFUSALS = frozenset(
    (
        *("MissingAuthenticationTokenException", "IncompleteSignatureException", "IncompleteSignature"),
        *("InvalidSignatureException", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"),
        *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken"),
        *(
            "ExpiredTokenException",
            "ExpiredToken",
            "RequestTimeTooSkewed",
            "XAmzContentSHA256Mismatch",
            "InvalidRequest",
        ),
        *("400", "403", "404", "405", "431"),
    )
)
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class Verifier:
    """Verifies as a gateway does, without one: requests to S3 that bear a session token are signed anew."""

    def __init__(self, key: str = KEY, secret: str = SECRET, instances: Sequence[str] = ("one", "two")) -> None:
        self.sessions = Sessions(secret, lambda instance: True)
        self._authenticator = SigV4Authenticator({key: secret}, self.sessions)
        self._resigner = SessionResigner(self.sessions, StoreKey("AKIASTORE", "store"), is_store_ours=True)
        issued = [self.sessions.issue(self.sessions.ticket(name, "Role"), time.time()) for name in instances]
        self.keys = Keys(
            Credentials(key, secret),
            [Credentials(each.access_key_id, each.secret_access_key, each.token) for each in issued if each],
        )

    def judge(self, sent: Signed) -> str:
        """See `signatures.Judge`."""
        headers = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in sent.headers
        ]
        names, values = tuple(name for name, _ in headers), [value for _, value in headers]
        target = sent.target.encode("latin-1", "replace")
        try:
            if sent.service == "s3":
                self._resigner(RequestHead(sent.method, target, tuple(headers)), time.time())
            authorization = dict(headers).get(b"authorization", b"")
            verification = self._authenticator.begin(sent.method, target, authorization, names, values, time.time())
            verification.update(sent.body)
            verification.finish()
            return ""
        except AuthError as error:
            return error.code


class Gateway:
    """A real one, of which `instance` is an instance that runs."""

    def __init__(self, ready: Mapping[str, Any], instance: str, endpoint: str) -> None:
        self._address = urlsplit(ready["endpoint_url"]).netloc
        issued = Verifier(ready["access_key_id"], ready["secret_access_key"], (instance,))
        self.keys = replace(issued.keys, endpoint=endpoint)

    def judge(self, sent: Signed) -> str:
        """See `signatures.Judge`; raises AssertionError for an answer of a server that is at fault."""
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.putrequest(sent.method, sent.target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.headers:
                if name != "content-length":
                    connection.putheader(name, value.encode("latin-1", "replace"))
            connection.putheader("Content-Length", str(len(sent.body)))
            connection.endheaders(sent.body)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 500 and answer.status != 501:
            raise AssertionError(f"answered {answer.status}: {body[:300]!r}")
        code = _code(answer, body) or str(answer.status)
        return code if code in REFUSALS else ""


def _code(answer: http.client.HTTPResponse, body: bytes) -> str:
    if (kind := answer.getheader("x-amzn-ErrorType")) is not None:
        return kind
    try:
        return ElementTree.fromstring(body).findtext(".//{*}Code") or ""  # noqa: S314 - of our own server
    except ElementTree.ParseError:
        pass
    try:
        return str(json.loads(body).get("__type", ""))
    except (ValueError, AttributeError):
        return ""
