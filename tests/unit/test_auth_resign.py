"""A request that goes on without some of its headers: whoever gets it finds its signature right."""

from __future__ import annotations

import time

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hostmaker.auth.resign import Resigner
from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.errors import AuthError

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DROPPED = frozenset((b"x-amz-server-side-encryption", b"x-amz-server-side-encryption-context"))
TARGET = b"/bucket/a%20key?uploads"
BODY = b"some bytes"
Fields = list[tuple[bytes, bytes]]


def sign(secret: str = SECRET, signer: type = S3SigV4Auth, body: bytes = BODY, **further: str) -> Fields:
    headers = {"X-Amz-Server-Side-Encryption": "aws:kms", "x-amz-meta-a": "b  c", **further}
    request = AWSRequest("POST", f"http://127.0.0.1:4747{TARGET.decode()}", data=body, headers=headers)
    signer(Credentials(KEY, secret), "s3", "us-east-1").add_auth(request)
    lines = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    return [(b"Host", b"127.0.0.1:4747"), *lines]


def signed_again(fields: Fields, now: float = 0, target: bytes = TARGET) -> Fields | None:
    return Resigner({KEY: SECRET}).without("POST", target, fields, DROPPED, now or time.time())


def verify(fields: Fields) -> str:
    names, values = tuple(name.lower() for name, _ in fields), [value for _, value in fields]
    authorization = values[names.index(b"authorization")]
    under_way = SigV4Authenticator({KEY: SECRET}).begin("POST", TARGET, authorization, names, values, time.time())
    under_way.update(BODY)
    return under_way.finish().access_key_id


def test_what_is_dropped_is_neither_sent_nor_signed() -> None:
    asked = sign(**{"x-amz-server-side-encryption-context": "e30="})
    given = signed_again(asked)
    assert given is not None
    assert [name for name, _ in asked if name.lower() not in DROPPED] == [name for name, _ in given]
    assert b"encryption" not in dict(given)[b"Authorization"]
    assert verify(given) == KEY


def test_the_body_stays_signed() -> None:
    given = signed_again(sign())
    assert given is not None
    forged = [(name, b"0" * 64 if name.lower() == b"x-amz-content-sha256" else value) for name, value in given]
    with pytest.raises(AuthError):
        verify(forged)


@pytest.mark.parametrize("changed", [b"x-amz-meta-a", b"X-Amz-Server-Side-Encryption", b"X-Amz-Content-SHA256"])
def test_nothing_that_was_changed_on_the_way_is_signed(changed: bytes) -> None:
    forged = [(name, b"forged" if name == changed else value) for name, value in sign()]
    assert forged != sign()
    assert signed_again(forged) is None


def test_nothing_is_signed_for_others() -> None:
    assert signed_again(sign(secret="another")) is None
    assert signed_again(sign(), target=b"/bucket/another") is None
    assert signed_again(sign(), now=time.time() + 3600) is None
    assert signed_again([(name, value) for name, value in sign() if name != b"Authorization"]) is None
    assert Resigner({}).without("POST", TARGET, sign(), DROPPED, time.time()) is None


def test_what_cannot_be_signed_anew_is_told() -> None:
    class ByPiece(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: AWSRequest) -> str:
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    assert signed_again(sign(signer=ByPiece)) is None

    def in_the_query(credentials: Credentials, service: str, region: str) -> S3SigV4QueryAuth:
        return S3SigV4QueryAuth(credentials, service, region, 60)

    assert signed_again(sign(signer=in_the_query, body=b"")) is None  # type: ignore[arg-type]
