"""What is signed with temporary credentials for S3 is signed anew with the key that the store knows."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.auth.credentials import Credentials
from hostmaker.auth.session_resign import SessionResigner
from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.errors import AuthError
from hostmaker.ports import RequestHead

from .test_auth_sessions import SESSIONS, issued
from .test_auth_sigv4 import HOST, SECRET, Wire, check, queries, replaced, sign, wire

STORE = Credentials("AKIASTORE", "secret of the store")
RESIGNER = SessionResigner(SESSIONS, STORE, is_store_ours=True)
KNOWS_ITS_OWN_KEY = SigV4Authenticator({STORE.access_key_id: STORE.secret_access_key})


def signed(
    path: str = "/b/k", method: str = "PUT", body: bytes = b"content", headers: dict[str, str] | None = None
) -> Wire:
    session = issued()
    request = AWSRequest(method, f"http://{HOST}{path}", data=body, headers=headers or {})
    keys = Keys(session.access_key_id, session.secret_access_key, session.token)
    signer = SigV4Auth if headers and "X-Amz-Content-SHA256" in headers else S3SigV4Auth  # the latter states its own
    signer(keys, "s3", "us-east-1").add_auth(request)
    return wire(request, body)


def presigned(path: str = "/b/k", method: str = "GET") -> Wire:
    session = issued()
    request = AWSRequest(method, f"http://{HOST}{path}", headers={})
    keys = Keys(session.access_key_id, session.secret_access_key, session.token)
    S3SigV4QueryAuth(keys, "s3", "us-east-1", 60).add_auth(request)
    return wire(request, b"")


def resigned(sent: Wire) -> Wire:
    anew = RESIGNER(head(sent), time.time())
    assert anew is not None
    identity, asked = anew
    assert identity.role == "Role"
    return asked.method, asked.target, [(name.lower(), value) for name, value in asked.fields], sent[3]


def head(sent: Wire) -> RequestHead:
    return RequestHead(sent[0], sent[1], tuple(sent[2]))


@given(queries)
def test_the_store_finds_its_own_key(query: str) -> None:
    for sent in (signed(f"/b/k?{query}"), presigned(f"/b/k?{query}")):
        anew = resigned(sent)
        identity = check(KNOWS_ITS_OWN_KEY, anew, time.time(), 7)
        assert (identity.access_key_id, identity.role) == (STORE.access_key_id, None)
        assert b"security-token" not in b"".join([anew[1].lower(), *(name for name, _ in anew[2])])


def test_addresses_of_version_2_hold_too() -> None:
    """boto3 presigns by it unless told otherwise."""
    session = issued()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}",
        region_name="us-east-1",
        aws_access_key_id=session.access_key_id,
        aws_secret_access_key=session.secret_access_key,
        aws_session_token=session.token,
    )
    url = urlsplit(client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "a b"}, 60))
    assert "AWSAccessKeyId=" in url.query
    sent: Wire = ("GET", f"{url.path}?{url.query}".encode(), [(b"host", HOST.encode())], b"")
    assert check(KNOWS_ITS_OWN_KEY, resigned(sent), time.time(), 7).access_key_id == STORE.access_key_id
    for target in (sent[1].replace(b"a%20b", b"a%20c"), sent[1].replace(b"Expires=", b"Expires=9"), sent[1] + b"&acl"):
        with pytest.raises(AuthError):
            RESIGNER(RequestHead("GET", target, tuple(sent[2])), time.time())


def test_an_unsigned_body_stays_one() -> None:
    sent = signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert check(KNOWS_ITS_OWN_KEY, (*resigned(sent)[:3], b"another"), time.time(), 7)


def test_another_body_is_noticed_by_the_store() -> None:
    with pytest.raises(AuthError, match="x-amz-content-sha256"):
        check(KNOWS_ITS_OWN_KEY, (*resigned(signed())[:3], b"another"), time.time(), 7)


@given(st.data())
def test_what_was_changed_is_not_signed(data: st.DataObject) -> None:
    method, target, headers, body = signed(headers={"X-Amz-Copy-Source": "b/other"})
    name = data.draw(st.sampled_from([b"host", b"x-amz-copy-source", b"x-amz-content-sha256", b"x-amz-date"]))
    changed = dict(headers)[name][:-1] + b"!"
    for sent in (
        replaced((method, target, headers, body), name, changed),
        ("DELETE", target, headers, body),
        (method, target + b"!", headers, body),
        (method, target + b"?acl", headers, body),
        (method, presigned()[1] + b"&acl", [(b"host", HOST.encode())], b""),
    ):
        with pytest.raises(AuthError):
            RESIGNER(head(sent), time.time())


def test_a_token_that_is_not_ours() -> None:
    stranger = sign("GET", "/b/k", b"", service="s3", token="of another", signer=S3SigV4Auth)
    with pytest.raises(AuthError) as caught:
        RESIGNER(head(stranger), time.time())
    assert caught.value.code == "InvalidToken"
    foreign = SessionResigner(SESSIONS, STORE, is_store_ours=False)
    assert foreign(head(stranger), time.time()) is None  # the store that gave it out knows it
    assert foreign(head(signed()), time.time()) is not None


def test_bodies_signed_by_piece_are_refused_by_name() -> None:
    sent = signed(headers={"X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})
    with pytest.raises(AuthError, match="chunks are signed one by one") as caught:
        RESIGNER(head(sent), time.time())
    assert caught.value.code == "NotImplemented"


def test_another_service_is_not_let_in_by_this_door() -> None:
    session = issued()
    for service in ("sagemaker", "sts"):
        request = AWSRequest("GET", f"http://{HOST}/b/k", headers={})
        keys = Keys(session.access_key_id, session.secret_access_key, session.token)
        S3SigV4Auth(keys, service, "us-east-1").add_auth(request)
        with pytest.raises(AuthError, match="scoped to correct service: 's3'"):
            RESIGNER(head(wire(request, b"")), time.time())


def test_our_own_secret_is_not_theirs() -> None:
    assert SECRET not in (issued().secret_access_key, issued().token)
