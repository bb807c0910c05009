"""What we sign ourselves is what botocore would have signed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hostmaker.auth.signer import UNSIGNED, Signer
from hostmaker.auth.sigv4 import SigV4Authenticator

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("service", "method", "target", "body"),
    [
        ("sagemaker", "POST", "/", b'{"a": 1}'),
        ("sagemaker", "POST", "/endpoints/a%20b/invocations?x=1&a=b%20c", b"x"),
        ("s3", "PUT", "/bucket/a%20key/with%2Bplus", b"content"),
        ("s3", "GET", "/bucket?list-type=2&prefix=a%2Fb", b""),
    ],
)
def test_as_botocore_signs(service: str, method: str, target: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    signed = Signer(KEY, SECRET, "eu-west-1", service).sign(
        method, target, {"Host": "127.0.0.1:4747", "X-Amz-Target": "A.B"}, digest, datetime.now(UTC)
    )
    request = AWSRequest(method, "http://127.0.0.1:4747" + target, data=body)
    request.headers["X-Amz-Target"] = "A.B"
    request.headers["X-Amz-Content-SHA256"] = digest
    request.context["timestamp"] = signed["X-Amz-Date"]
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(KEY, SECRET), service, "eu-west-1")
    request.headers["X-Amz-Date"] = signed["X-Amz-Date"]
    theirs = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert signed["Authorization"].endswith(f"Signature={theirs}")


@pytest.mark.parametrize(
    ("service", "digest"), [("sagemaker", hashlib.sha256(b"content").hexdigest()), ("s3", UNSIGNED)]
)
def test_as_we_verify(service: str, digest: str) -> None:
    now = datetime.now(UTC)
    signed = Signer(KEY, SECRET, "us-east-1", service).sign("POST", "/a?b=c", {"Host": "h"}, digest, now)
    headers = {name.lower().encode(): value.encode() for name, value in signed.items() if name != "Authorization"}
    verification = SigV4Authenticator({KEY: SECRET}).begin(
        "POST", b"/a?b=c", signed["Authorization"].encode(), tuple(headers), tuple(headers.values()), now.timestamp()
    )
    verification.update(b"content")
    assert verification.finish().access_key_id == KEY
