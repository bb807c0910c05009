"""A request that goes on without some of its headers: whoever gets it finds its signature right."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hostmaker.auth.resign import Resigner
from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.errors import AuthError
from hostmaker.ports import RequestHead

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


def signed_again(fields: Fields, target: bytes = TARGET, keys: dict[str, str] | None = None) -> Fields:
    """Give what goes on without the headers that are dropped."""
    asked = RequestHead("POST", target, tuple(fields))
    sent = replace(asked, fields=tuple(field for field in fields if field[0].lower() not in DROPPED))
    given = Resigner({KEY: SECRET} if keys is None else keys)(asked, sent, time.time())
    assert given.target == target.partition(b"&X-Amz-")[0]
    return list(given.fields)


def code(fields: Fields, target: bytes = TARGET, keys: dict[str, str] | None = None) -> str:
    with pytest.raises(AuthError) as refused:
        signed_again(fields, target, keys)
    return refused.value.code


def verify(fields: Fields, target: bytes = TARGET) -> str:
    names, values = tuple(name.lower() for name, _ in fields), [value for _, value in fields]
    authorization = values[names.index(b"authorization")]
    under_way = SigV4Authenticator({KEY: SECRET}).begin("POST", target, authorization, names, values, time.time())
    under_way.update(BODY)
    return under_way.finish().access_key_id


def test_what_is_dropped_is_neither_sent_nor_signed() -> None:
    asked = sign(**{"x-amz-server-side-encryption-context": "e30="})
    given = signed_again(asked)
    assert {name.lower() for name, _ in given} == {name.lower() for name, _ in asked} - DROPPED
    assert b"encryption" not in dict(given)[b"Authorization"]
    assert verify(given) == KEY


def test_a_target_that_has_changed_is_signed() -> None:
    asked = RequestHead("POST", TARGET, tuple(sign()))
    given = Resigner({KEY: SECRET})(asked, replace(asked, target=b"/bucket/a%21?uploads"), time.time())
    assert verify(list(given.fields), given.target) == KEY


def test_a_path_may_be_sent_less_strictly_encoded_than_it_is_signed() -> None:
    """As AWS takes it: what is signed is the strict percent-encoding of the key."""
    given = signed_again(sign(), target=b"/bucket/%61%20key?uploads")
    assert verify(given, b"/bucket/%61%20key?uploads") == KEY


def test_the_body_stays_signed() -> None:
    given = signed_again(sign())
    forged = [(name, b"0" * 64 if name.lower() == b"x-amz-content-sha256" else value) for name, value in given]
    with pytest.raises(AuthError):
        verify(forged)


@pytest.mark.parametrize("changed", [b"x-amz-meta-a", b"X-Amz-Server-Side-Encryption", b"X-Amz-Content-SHA256"])
def test_nothing_that_was_changed_on_the_way_is_signed(changed: bytes) -> None:
    forged = [(name, b"forged" if name == changed else value) for name, value in sign()]
    assert forged != sign()
    assert code(forged) == "SignatureDoesNotMatch"


def test_nothing_is_signed_for_others() -> None:
    assert code(sign(secret="another")) == "SignatureDoesNotMatch"
    assert code(sign(), target=b"/bucket/another") == "SignatureDoesNotMatch"
    assert code(sign(), keys={}) == "InvalidAccessKeyId"


def test_what_nobody_has_signed_stays_so() -> None:
    unsigned = [(name, value) for name, value in sign() if name != b"Authorization"]
    assert signed_again(unsigned) == [field for field in unsigned if field[0].lower() not in DROPPED]


@pytest.mark.parametrize(
    "authorization", [None, b"AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="], ids=["by piece", "version 2"]
)
def test_what_cannot_be_signed_anew_is_refused_by_name(authorization: bytes | None) -> None:
    class ByPiece(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: AWSRequest) -> str:
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    fields = sign(signer=ByPiece)
    if authorization is not None:
        fields = [(name, authorization if name == b"Authorization" else value) for name, value in fields]
    assert code(fields) == "NotImplemented"


@pytest.mark.parametrize(("expires", "expected"), [(60, None), (-60, "AccessDenied")])
def test_a_presigned_url_of_version_2_becomes_a_header(expires: int, expected: str | None) -> None:
    """What boto3 makes of `generate_presigned_url` unless it is told otherwise."""
    request = AWSRequest("POST", f"http://127.0.0.1:4747{TARGET.decode()}")
    HmacV1QueryAuth(Credentials(KEY, SECRET), expires=expires).add_auth(request)
    target = request.url.removeprefix("http://127.0.0.1:4747").encode()
    asked = RequestHead("POST", target, ((b"Host", b"127.0.0.1:4747"),))
    if expected:
        with pytest.raises(AuthError) as refused:
            Resigner({KEY: SECRET})(asked, asked, time.time())
        assert refused.value.code == expected
        return
    given = Resigner({KEY: SECRET})(asked, asked, time.time())
    assert given.target == TARGET.replace(b"uploads", b"uploads=") or given.target == TARGET
    assert verify(list(given.fields), given.target) == KEY
    with pytest.raises(AuthError):
        Resigner({KEY: SECRET})(replace(asked, target=target.replace(b"a%20key", b"b")), asked, time.time())


def test_a_presigned_url_becomes_a_header() -> None:
    request = AWSRequest("POST", f"http://127.0.0.1:4747{TARGET.decode()}")
    S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", "us-east-1", 60).add_auth(request)
    target = request.url.removeprefix("http://127.0.0.1:4747").encode()
    asked = RequestHead("POST", target, ((b"Host", b"127.0.0.1:4747"),))
    given = Resigner({KEY: SECRET})(asked, replace(asked, target=target.replace(b"a%20key", b"b")), time.time())
    assert given.target.startswith(b"/bucket/b?uploads")
    assert b"X-Amz-" not in given.target
    assert verify(list(given.fields), given.target) == KEY
