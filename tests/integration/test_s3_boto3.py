"""What clients ask of S3 as a matter of course, and the store that comes along would refuse."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from .conftest import Server

pytestmark = pytest.mark.integration
KMS: list[dict[str, Any]] = [
    {"ServerSideEncryption": "aws:kms"},
    {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine", "BucketKeyEnabled": True},
    {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSEncryptionContext": "e30="},
]


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    client = server.client("s3")
    client.create_bucket(Bucket="encrypted")
    return client


@pytest.mark.parametrize("asked", KMS)
def test_encryption_by_kms_may_be_asked_for(s3: Any, asked: dict[str, Any]) -> None:
    """SageMaker's SDK asks for it with each script that it uploads."""
    s3.put_object(Bucket="encrypted", Key="a key/ü", Body=b"one", **asked)
    s3.copy_object(Bucket="encrypted", Key="copy", CopySource="encrypted/a key/ü", **asked)
    assert s3.get_object(Bucket="encrypted", Key="copy")["Body"].read() == b"one"

    upload = s3.create_multipart_upload(Bucket="encrypted", Key="parts", **asked)["UploadId"]
    named = {"Bucket": "encrypted", "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"two")
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.get_object(Bucket="encrypted", Key="parts")["Body"].read() == b"two"


def test_a_wrong_key_is_refused_as_ever(s3: Any, server: Server) -> None:
    stranger = server.client("s3", aws_secret_access_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.put_object(Bucket="encrypted", Key="k", Body=b"", ServerSideEncryption="aws:kms")


@pytest.mark.parametrize("head", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_client_that_leaves_behind_the_head_replaces_nothing(s3: Any, server: Server, head: str) -> None:
    """The store that comes along would keep an empty object."""
    s3.put_object(Bucket="encrypted", Key="left", Body=b"before")
    address = urlsplit(server.ready["endpoint_url"])
    keys = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    request = AWSRequest(
        "PUT", f"{address.geturl()}/encrypted/left", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    )
    SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    lines = [f"PUT {address.path}/encrypted/left HTTP/1.1", f"Host: {address.netloc}", head]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall("\r\n".join((*lines, "", "")).encode())
        time.sleep(0.1)  # until the head has gone on, if it does
    time.sleep(0.2)
    assert s3.get_object(Bucket="encrypted", Key="left")["Body"].read() == b"before"
