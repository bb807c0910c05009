"""Keys of S3 are no paths: a bucket behaves like a dict of keys, whatever is in them, in every call that names one."""

from __future__ import annotations

import random
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from urllib3.filepost import encode_multipart_formdata

from .conftest import Server

pytestmark = pytest.mark.integration
HOSTILE = [
    *("a//b", "a/b", "a", "a/", "a//", "/", "//", "/a", "./a", "../a", ".", "..", "a/.", "a/..", "a/./b", "a/../b"),
    *(
        "a\\b",
        "a\\",
        "a%2Fb",
        "a%b",
        "a?b#c",
        "a b",
        "a+b",
        "a\tb",
        "!",
        "a/!",
        "a/!!/b",
        "a/!b",
        "\t",
        "a/\t/b",
        "a\nb",
        "a\rb",
        "a\x01b",
        "a&<\"'>",
    ),
    *("é", "e\u0301", "漢/😀", ".uploads/x", ".uploads", "m.versions/1", "m.versions", "\uf05c", "a\uf01b", "A", "..."),
    *("a-b", "a.b", "x/-", "x//", "x/ ", "\uf000", "p/" * 500 + "q", "/" * 300),
]
ALPHABET = [
    "/",
    "/",
    "/",
    ".",
    "..",
    "\\",
    "a",
    "b",
    "-",
    "%2F",
    "+",
    "ü",
    " ",
    "!",
    "\t",
    "\uf05c",
    ".uploads",
    ".versions",
]


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    client = server.client("s3")
    for bucket in ("keys", "calls", "pages", "random"):
        client.create_bucket(Bucket=bucket)
    return client


def listed(s3: Any, bucket: str, version: int = 2, **asked: Any) -> tuple[list[str], list[str]]:
    """Give keys and common prefixes of all pages."""
    pages = s3.get_paginator("list_objects_v2" if version == 2 else "list_objects").paginate(Bucket=bucket, **asked)
    found: tuple[list[str], list[str]] = ([], [])
    for page in pages:
        found[0].extend(each["Key"] for each in page.get("Contents", []))
        found[1].extend(each["Prefix"] for each in page.get("CommonPrefixes", []))
    return found


def put(url: str) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, b"by url", {"Content-Type": "text/plain"}, method="PUT"))


def in_order(keys: Any) -> list[str]:
    return sorted(keys, key=str.encode)


def grouped(keys: Any, prefix: str) -> tuple[list[str], list[str]]:
    """Give what a list by `prefix` and the delimiter `/` is."""
    under = [key[len(prefix) :] for key in keys if key.startswith(prefix)]
    groups = {prefix + rest.partition("/")[0] + "/" for rest in under if "/" in rest}
    return in_order(prefix + rest for rest in under if "/" not in rest), in_order(groups)


def test_a_bucket_of_hostile_keys_is_a_dict(s3: Any) -> None:
    kept = {key: f"{number}".encode() for number, key in enumerate(HOSTILE)}
    for key, content in kept.items():
        s3.put_object(Bucket="keys", Key=key, Body=content)
    assert listed(s3, "keys")[0] == listed(s3, "keys", 1)[0] == in_order(kept)
    for key, content in kept.items():
        assert s3.get_object(Bucket="keys", Key=key)["Body"].read() == content
        assert s3.head_object(Bucket="keys", Key=key)["ContentLength"] == len(content)
    for prefix in (
        "",
        "a",
        "a/",
        "a//",
        "/",
        "//",
        ".",
        "./",
        "a\\",
        "x/",
        ".uploads/",
        "m.versions/",
        "none/",
        "a/!",
        "!",
    ):
        expected = in_order(key for key in kept if key.startswith(prefix))
        assert listed(s3, "keys", Prefix=prefix)[0] == expected, prefix
        for version in (1, 2):
            assert listed(s3, "keys", version, Prefix=prefix, Delimiter="/") == grouped(kept, prefix), prefix
    for number, key in enumerate(HOSTILE):
        s3.delete_object(Bucket="keys", Key=key)
        if number % 8 == 0:
            assert set(listed(s3, "keys")[0]) == set(HOSTILE[number + 1 :])
    assert listed(s3, "keys") == ([], [])
    s3.delete_bucket(Bucket="keys")


@pytest.mark.parametrize("seed", range(3))
def test_random_keys_are_those_of_a_dict(s3: Any, seed: int) -> None:
    chance, kept = random.Random(seed), dict[str, bytes]()
    for _ in range(80):
        key = "".join(chance.choices(ALPHABET, k=chance.randint(1, 6)))
        if chance.random() < 0.7:
            kept[key] = f"{seed} {key}".encode()
            s3.put_object(Bucket="random", Key=key, Body=kept[key])
        else:
            key = chance.choice([*kept, key])
            kept.pop(key, None)
            s3.delete_object(Bucket="random", Key=key)
    assert listed(s3, "random")[0] == in_order(kept)
    assert {key: s3.get_object(Bucket="random", Key=key)["Body"].read() for key in kept} == kept
    gone = s3.delete_objects(Bucket="random", Delete={"Objects": [{"Key": key} for key in kept]})
    assert sorted(each["Key"] for each in gone["Deleted"]) == sorted(kept)
    assert listed(s3, "random") == ([], [])


def test_pages_of_hostile_keys_lose_none(s3: Any) -> None:
    keys = ["a//b", "a/b", "a", "a/", "x/", "x/y", "x//", "x/./z", "\\", "/", "b", ".uploads/1", "a+b% c", "+", "\x01"]
    for key in keys:
        s3.put_object(Bucket="pages", Key=key, Body=b"x")
    for version in (1, 2):
        for size in (1, 2, 5):
            found = listed(s3, "pages", version, PaginationConfig={"PageSize": size})
            assert in_order(found[0]) == in_order(keys), (version, size)
            groups = listed(s3, "pages", version, Delimiter="/", PaginationConfig={"PageSize": size})
            assert (in_order(groups[0]), in_order(groups[1])) == grouped(keys, ""), (version, size)
    after = s3.list_objects_v2(Bucket="pages", StartAfter="x/")["Contents"]
    assert [each["Key"] for each in after if each["Key"] != "\\"] == ["x/./z", "x//", "x/y"]
    after = s3.list_objects_v2(Bucket="pages", StartAfter="x", MaxKeys=1)["Contents"]  # itself no key, but a directory
    assert [each["Key"] for each in after] == ["x/"]


def test_every_call_that_names_a_key(s3: Any) -> None:
    key, other = "d//e/./f", "d/e/f"
    s3.put_object(Bucket="calls", Key=other, Body=b"other")

    begun = s3.create_multipart_upload(Bucket="calls", Key=key)
    assert begun["Key"] == key
    named = {"Bucket": "calls", "Key": key, "UploadId": begun["UploadId"]}
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket="calls", Prefix="d//").get("Uploads", [])] == [key]
    etag = s3.upload_part(**named, PartNumber=1, Body=b"in parts")["ETag"]
    assert s3.list_parts(**named)["Key"] == key
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert done["Key"] == key
    assert done["Location"].endswith("/calls/d//e/./f")
    assert s3.get_object(Bucket="calls", Key=key, Range="bytes=3-")["Body"].read() == b"parts"
    given_up = s3.create_multipart_upload(Bucket="calls", Key="d//never")["UploadId"]
    s3.abort_multipart_upload(Bucket="calls", Key="d//never", UploadId=given_up)

    s3.put_object_tagging(Bucket="calls", Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_object_tagging(Bucket="calls", Key=key)["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert s3.get_object_tagging(Bucket="calls", Key=other)["TagSet"] == []
    assert s3.get_object_attributes(Bucket="calls", Key=key, ObjectAttributes=["ObjectSize"])["ObjectSize"] == 8

    s3.copy_object(Bucket="calls", Key="copy//1", CopySource={"Bucket": "calls", "Key": key})
    s3.copy_object(Bucket="calls", Key="copy/1", CopySource=f"/calls/{other}")
    assert s3.get_object(Bucket="calls", Key="copy//1")["Body"].read() == b"in parts"
    assert s3.get_object(Bucket="calls", Key="copy/1")["Body"].read() == b"other"
    copied = s3.create_multipart_upload(Bucket="calls", Key="copy\\2")["UploadId"]
    part = s3.upload_part_copy(Bucket="calls", Key="copy\\2", UploadId=copied, PartNumber=1, CopySource=f"calls/{key}")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(Bucket="calls", Key="copy\\2", UploadId=copied, MultipartUpload=parts)
    assert s3.get_object(Bucket="calls", Key="copy\\2")["Body"].read() == b"in parts"

    s3.put_object(Bucket="calls", Key="kms//1", Body=b"kms", ServerSideEncryption="aws:kms")
    assert s3.get_object(Bucket="calls", Key="kms//1")["Body"].read() == b"kms"
    for source, code in (("calls/none", "NoSuchKey"), ("calls", "InvalidArgument"), ("calls/", "InvalidArgument")):
        with pytest.raises(ClientError, match=code):
            s3.copy_object(Bucket="calls", Key="copy/3", CopySource=source)
    with pytest.raises(ClientError) as missing:
        s3.get_object(Bucket="calls", Key="none//1")
    assert missing.value.response["Error"]["Code"] == "NoSuchKey"
    assert "!" not in str(missing.value.response["Error"])


def test_folder_markers_of_an_earlier_version_are_listed_and_go(s3: Any, server: Server) -> None:
    """They were directories of the store; what is under them stays."""
    before = server.client("s3", endpoint_url=server.ready["s3_url"])
    s3.create_bucket(Bucket="folders")
    for name in ("a/", "b/", "b/c/"):
        before.put_object(Bucket="folders", Key=name)
    s3.put_object(Bucket="folders", Key="b/d", Body=b"d")
    assert listed(s3, "folders")[0] == ["a/", "b/", "b/c/", "b/d"]
    s3.delete_object(Bucket="folders", Key="b/")
    assert listed(s3, "folders")[0] == ["a/", "b/c/", "b/d"]
    assert s3.get_object(Bucket="folders", Key="b/d")["Body"].read() == b"d"
    asked = {"Objects": [{"Key": key} for key in ("a/", "b/c/", "b/d")]}
    gone = s3.delete_objects(Bucket="folders", Delete=asked)
    assert sorted(each["Key"] for each in gone["Deleted"]) == ["a/", "b/c/", "b/d"]
    s3.delete_bucket(Bucket="folders")


def test_versions_of_hostile_keys(s3: Any) -> None:
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for key in ("a//b", "a//b", "a", "a/"):
        s3.put_object(Bucket="versions", Key=key, Body=key.encode())
    versions = s3.list_object_versions(Bucket="versions")["Versions"]
    assert sorted(each["Key"] for each in versions) == ["a", "a/", "a//b", "a//b"]
    for each in versions:
        named = {"Bucket": "versions", "Key": each["Key"], "VersionId": each["VersionId"]}
        assert s3.get_object(**named)["Body"].read() == each["Key"].encode()
    s3.delete_object(Bucket="versions", Key="a//b")
    assert listed(s3, "versions")[0] == ["a", "a/"]


@pytest.mark.parametrize(
    ("key", "refused"), [("form/1", False), ("form//1", True), ("f/${filename}", False), ("f//${filename}", True)]
)
def test_a_form_uploads_to_its_key_or_not_at_all(s3: Any, key: str, refused: bool) -> None:
    made = s3.generate_presigned_post("calls", key)
    files = {**{name: (None, value) for name, value in made["fields"].items()}, "file": ("1", b"by form" * 50_000)}
    body, kind = encode_multipart_formdata(files)
    sent = urllib.request.Request(made["url"], body, {"Content-Type": kind}, method="POST")
    if refused:
        with pytest.raises(urllib.error.HTTPError, match="501"):
            urllib.request.urlopen(sent)
        assert "form//1" not in listed(s3, "calls", Prefix="f")[0]
    else:
        with urllib.request.urlopen(sent) as answer:
            assert answer.status == 204
        uploaded = key.replace("${filename}", "1")
        assert s3.get_object(Bucket="calls", Key=uploaded)["Body"].read() == b"by form" * 50_000


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_of_hostile_keys(s3: Any, server: Server, version: str) -> None:
    signer = server.client("s3", config=Config(signature_version=version))
    named = {"Bucket": "calls", "Key": f"url//{version}/./ü +"}
    url = signer.generate_presigned_url("put_object", {**named, "ContentType": "text/plain"})
    assert put(url).status == 200
    assert s3.get_object(**named)["Body"].read() == b"by url"
    with urllib.request.urlopen(signer.generate_presigned_url("get_object", named)) as answer:
        assert answer.read() == b"by url"
    for forged in (
        url.replace("url//", "url//other/"),
        signer.generate_presigned_url("get_object", named, ExpiresIn=-9),
    ):
        with pytest.raises(urllib.error.HTTPError, match="403|400"):
            put(forged)


def test_a_hostile_key_in_a_bucket_of_the_hosts_name(s3: Any, server: Server) -> None:
    address = server.ready["endpoint_url"].rpartition("/")[2]
    host = f"calls.localhost:{address.rpartition(':')[2]}"
    for version in ("s3", "s3v4"):
        settings = Config(signature_version=version, s3={"addressing_style": "virtual"})
        named = {"Bucket": "calls", "Key": "host//1"}
        s3.put_object(**named, Body=b"by host")
        client = server.client("s3", endpoint_url=f"http://localhost:{address.rpartition(':')[2]}", config=settings)
        url = client.generate_presigned_url("get_object", named)
        assert url.startswith(f"http://{host}/host//1?")
        with urllib.request.urlopen(
            urllib.request.Request(url.replace(host, address), headers={"Host": host})
        ) as answer:
            assert answer.read() == b"by host"


def test_what_cannot_be_changed_is_refused_by_name(s3: Any, server: Server) -> None:
    class ByPiece(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: AWSRequest) -> str:
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    url = f"{server.ready['endpoint_url']}/calls/piece//1"
    request = AWSRequest("PUT", url, data=b"x", headers={"x-amz-decoded-content-length": "1"})
    credentials = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    ByPiece(credentials, "s3", "us-east-1").add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"x", dict(request.headers.items()), method="PUT"))
    assert refused.value.code == 501
    assert b"<Code>NotImplemented</Code>" in refused.value.read()
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.list_objects_v2(Bucket="calls", Delimiter="//")
    with pytest.raises(ClientError, match="KeyTooLongError"):
        s3.put_object(Bucket="calls", Key="n" * 256, Body=b"")
    stranger = server.client("s3", aws_secret_access_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.put_object(Bucket="calls", Key="a//b", Body=b"")
    nobody = server.client("s3", aws_access_key_id="AKIANOBODY")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        nobody.delete_objects(Bucket="calls", Delete={"Objects": [{"Key": "a//b"}]})


def test_model_data_and_code_at_hostile_keys_are_served(s3: Any, server: Server) -> None:
    """`code_location` with its slash makes such keys; `odd/model.tar.gz` is another object."""
    script = "def model_fn(d):\n    return 1\ndef transform_fn(m, b, c, a):\n    return '%s', 'text/plain'\n"
    server.upload("odd/model.tar.gz", {"code/inference.py": script % "another"})
    url = server.upload("odd//./model.tar.gz", {"weights": "x"})
    code = server.upload("code//odd\\source.tar.gz", {"inference.py": script % "right"})
    for key in ("parts//a", "parts//b/c", "parts/d"):
        s3.put_object(Bucket="models", Key=key, Body=b"x")
    parts = {"S3Uri": "s3://models/parts//", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {
        "ModelDataUrl": url,
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": code},
        "AdditionalModelDataSources": [{"ChannelName": "parts", "S3DataSource": parts}],
    }
    server.create("odd-keys", container=container)
    assert server.wait_while("odd-keys", "Creating")["EndpointStatus"] == "InService"
    answer = server.client("sagemaker-runtime").invoke_endpoint(EndpointName="odd-keys", Body=b"1")
    assert answer["Body"].read() == b"right"
    server.client("sagemaker").delete_endpoint(EndpointName="odd-keys")
