"""What clients rely on of the object store, asked with boto3 of the SeaweedFS that comes along."""

from __future__ import annotations

import io
import itertools
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.contract.conftest import KEY, SECRET, Seaweed

MIB = 1024 * 1024
numbers = itertools.count()


@pytest.fixture
def s3(seaweed: Seaweed) -> Any:
    return seaweed.client()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"contract-{next(numbers)}"
    s3.create_bucket(Bucket=name)
    return name


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_a_bucket_is_not_made_by_writing_to_it(s3: Any) -> None:
    assert code(lambda: s3.put_object(Bucket="never-made", Key="k", Body=b"")) == "NoSuchBucket"
    assert code(lambda: s3.list_objects_v2(Bucket="never-made")) == "NoSuchBucket"
    assert code(lambda: s3.get_object(Bucket="never-made", Key="k")) == "NoSuchBucket"
    assert code(lambda: s3.head_bucket(Bucket="never-made")) == "404"


def test_a_bucket_with_objects_is_not_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    assert code(lambda: s3.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_bucket_is_made_in_any_region(seaweed: Seaweed, region: str) -> None:
    s3, name = seaweed.client(region), f"contract-{next(numbers)}-{region}"
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)
    s3.head_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert "LocationConstraint" in s3.get_bucket_location(Bucket=name)


def test_objects_come_back_as_they_were(s3: Any, bucket: str) -> None:
    content = bytes(range(256)) * 8192
    put = s3.put_object(Bucket=bucket, Key="a/b c+ü.bin", Body=content, ContentType="text/csv", Metadata={"who": "me"})
    got = s3.get_object(Bucket=bucket, Key="a/b c+ü.bin")
    assert got["Body"].read() == content
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (put["ETag"], "text/csv", {"who": "me"})
    head = s3.head_object(Bucket=bucket, Key="a/b c+ü.bin")
    assert (head["ContentLength"], head["ETag"]) == (len(content), put["ETag"])
    part = s3.get_object(Bucket=bucket, Key="a/b c+ü.bin", Range="bytes=100-199")
    assert part["Body"].read() == content[100:200]
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_bodies_in_chunks_with_a_checksum_behind_them(s3: Any, bucket: str, algorithm: str) -> None:
    """botocore sends a stream as aws-chunked with a trailer."""
    stream = io.BytesIO(b"streamed" * 50_000)
    s3.put_object(Bucket=bucket, Key="k", Body=stream, ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"streamed" * 50_000


def test_what_is_missing(s3: Any, bucket: str) -> None:
    assert code(lambda: s3.get_object(Bucket=bucket, Key="k")) == "NoSuchKey"
    assert code(lambda: s3.head_object(Bucket=bucket, Key="k")) == "404"
    s3.delete_object(Bucket=bucket, Key="k")  # which S3 does not mind


def test_lists_go_by_prefix_delimiter_and_pages(s3: Any, bucket: str) -> None:
    for key in ("a/1", "a/2", "a/b/3", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/")
    assert [each["Key"] for each in listed["Contents"]] == ["a/1", "a/2"]
    assert [each["Prefix"] for each in listed["CommonPrefixes"]] == ["a/b/"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [each["Key"] for page in pages for each in page.get("Contents", [])] == ["a/1", "a/2", "a/b/3", "c"]
    assert [each["Key"] for each in s3.list_objects(Bucket=bucket, Prefix="c")["Contents"]] == ["c"]


def test_an_upload_in_parts(s3: Any, bucket: str) -> None:
    begun = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    parts = []
    for number, content in ((1, b"1" * 5 * MIB), (2, b"2" * 10)):
        part = s3.upload_part(Bucket=bucket, Key="big", UploadId=begun, PartNumber=number, Body=content)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=begun, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"1" * 5 * MIB + b"2" * 10
    given_up = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=given_up)
    assert code(lambda: s3.head_object(Bucket=bucket, Key="never")) == "404"


def test_copies(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"content", Metadata={"a": "b"})
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (b"content", {"a": "b"})


def test_tags(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "fraud"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "team", "Value": "fraud"}]


def test_many_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    assert sorted(each["Key"] for each in gone["Deleted"]) == ["a", "b"]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]


def test_presigned_urls(seaweed: Seaweed, bucket: str) -> None:
    s3 = seaweed.client(signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(url, b"by url", method="PUT")) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"}, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by url"
    assert seaweed.status(url.replace("a%20b", "another")) == 403


def test_a_bucket_in_the_name_of_the_host(seaweed: Seaweed, bucket: str) -> None:
    """What botocore writes when the endpoint is named localhost; the name need not resolve for this."""
    seaweed.client().put_object(Bucket=bucket, Key="k", Body=b"by host")
    host = f"{bucket}.localhost:{seaweed.command.s3_port}"
    url = seaweed.client(
        endpoint=f"http://localhost:{seaweed.command.s3_port}",
        s3={"addressing_style": "virtual"},
        signature_version="s3v4",
    ).generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert url.startswith(f"http://{host}/k?")
    request = urllib.request.Request(url.replace(f"http://{host}", seaweed.url), headers={"Host": host})
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"by host"


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [(KEY, "wrong" * 8, "SignatureDoesNotMatch"), ("AKIANOBODY", SECRET, "InvalidAccessKeyId")],
)
def test_a_wrong_key_is_refused(seaweed: Seaweed, bucket: str, key: str, secret: str, expected: str) -> None:
    stranger = seaweed.client(key=key, secret=secret)
    assert code(lambda: stranger.put_object(Bucket=bucket, Key="k", Body=b"x")) == expected
    assert code(lambda: stranger.list_buckets()) == expected
    assert code(lambda: stranger.get_object(Bucket=bucket, Key="k")) == expected


def test_no_key_is_refused(seaweed: Seaweed, bucket: str) -> None:
    assert seaweed.status(f"{seaweed.url}/{bucket}/k") == 403
    assert seaweed.status(f"{seaweed.url}/{bucket}?list-type=2") == 403


@pytest.mark.parametrize("path", ["/", "/buckets/", "/etc/", "/?pretty=y"])
def test_the_filer_serves_nobody_without_its_key(seaweed: Seaweed, path: str) -> None:
    assert seaweed.status(f"http://127.0.0.1:{seaweed.flag('filer.port')}{path}") == 401


def test_a_volume_serves_no_content_without_its_key(seaweed: Seaweed) -> None:
    assert seaweed.status(f"http://127.0.0.1:{seaweed.flag('volume.port')}/1,01637037d6") == 401


@pytest.mark.parametrize("path", ["/", "/login", "/api/users", "/object-store/users"])
def test_there_is_no_admin_interface(seaweed: Seaweed, path: str) -> None:
    assert seaweed.status(f"http://127.0.0.1:{seaweed.flag('admin.port')}{path}") == 404


def test_the_file_of_keys_is_for_this_user_alone(seaweed: Seaweed) -> None:
    path = Path(seaweed.flag("s3.config"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["identities"][0]["credentials"] == [{"accessKey": KEY, "secretKey": SECRET}]
