"""What clients ask of S3 as a matter of course, and the store that comes along would refuse."""

from __future__ import annotations

from typing import Any

import pytest
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
