"""One suite for the port `Objects` and a node's downloads: the fake in memory, and S3 as SeaweedFS serves it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.contract.conftest import KEY, SECRET, Seaweed

from hostmaker.domain.object_key import stored_key
from hostmaker.objects.s3 import S3Access, S3Objects
from hostmaker.ports import (
    ObjectDamagedError,
    ObjectForbiddenError,
    ObjectKeyError,
    ObjectMissingError,
    ObjectsUnavailableError,
    ObjectTooLargeError,
)
from hostmaker.testing.objects import MemoryObjects

numbers = itertools.count()


class Case(Protocol):
    """An adapter, a way to put objects, and an adapter of the same kind whose store is away."""

    objects: Any
    away: Any
    bucket: str

    def put(self, key: str, content: bytes = b"x") -> None: ...


class FakeCase:
    def __init__(self) -> None:
        self.objects, self.away, self.bucket = MemoryObjects(), MemoryObjects(), "models"
        self.objects.make_bucket(self.bucket)
        self.away.is_away = True

    def put(self, key: str, content: bytes = b"x") -> None:
        self.objects.put(self.bucket, key, content)


class RealCase:
    def __init__(self, seaweed: Seaweed, closed_port: int) -> None:
        self.objects = S3Objects(S3Access(seaweed.url, KEY, SECRET, "us-east-1", takes_paths=True))
        self.away = S3Objects(S3Access(f"http://127.0.0.1:{closed_port}", KEY, SECRET, "us-east-1", takes_paths=True))
        self.client, self.bucket = seaweed.client(), f"port-{next(numbers)}"
        self.client.create_bucket(Bucket=self.bucket)

    def put(self, key: str, content: bytes = b"x") -> None:
        self.client.put_object(Bucket=self.bucket, Key=stored_key(key), Body=content)  # as a gateway does it


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(params=["memory", "seaweedfs"])
def case(request: pytest.FixtureRequest, closed_port: int) -> Case:
    if request.param == "memory":
        return FakeCase()
    return RealCase(request.getfixturevalue("seaweed"), closed_port)


def exists(objects: Any, bucket: str, key: str) -> bool:
    return asyncio.run(objects.exists(bucket, key))


ODD_KEYS = ["a//b", "/a", "a/./../b", "a\\b", ".uploads/a", "m.versions/a", "a/[b]{c}^~`|", "a&<>\"'", "n/.."]
ODD_KEYS += ["a b", "ü/漢", "a%41", "+plus", "q?#x", "deep/er/and/deeper", "tilde~_-.", "0"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_object_is_where_it_was_put(case: Case, key: str, tmp_path: Path) -> None:
    case.put(key, key.encode())
    assert exists(case.objects, case.bucket, key)
    assert list(case.objects.download(case.bucket, key, tmp_path / "f"))[-1] == (len(key.encode()),) * 2
    assert (tmp_path / "f").read_bytes() == key.encode()
    assert case.objects.keys(case.bucket, "") == [key]


def test_keys_that_paths_take_for_one_are_several(case: Case, tmp_path: Path) -> None:
    keys = ["a", "a/b", "a//b", "a/./b", "a\\b", "/a", "a/c/../b"]
    for key in keys:
        case.put(key, key.encode())
    assert case.objects.keys(case.bucket, "") == sorted(keys)
    assert case.objects.keys(case.bucket, "a//") == ["a//b"]
    assert exists(case.objects, case.bucket, "a//")
    assert not exists(case.objects, case.bucket, "a///")
    for key in keys:
        list(case.objects.download(case.bucket, key, tmp_path / "f"))
        assert (tmp_path / "f").read_bytes() == key.encode()


def test_an_s3_of_ones_own_is_not_asked_for_another_key(seaweed: Seaweed) -> None:
    """The client would ask for `a/b` instead of `a//b`, and for `a` instead of `a/`."""
    objects = S3Objects(S3Access(seaweed.url, KEY, SECRET, "us-east-1"))
    for key in ("a//b", "/a", "a/../b", "./a"):
        with pytest.raises(ObjectKeyError, match="cannot be read"):
            exists(objects, "models", key)
        with pytest.raises(ObjectKeyError):
            objects.open("models", key)
        with pytest.raises(ObjectKeyError):
            objects.keys("models", f"{key}/")


def test_a_key_is_exact(case: Case) -> None:
    case.put("model/a.tar.gz")
    for key in ("model", "model/a", "model/a.tar.gz2", "Model/a.tar.gz"):
        assert not exists(case.objects, case.bucket, key)


def test_a_prefix_is_a_directory(case: Case) -> None:
    case.put("model/a")
    case.put("model.tar.gz")
    case.put("model/sub/b")
    assert exists(case.objects, case.bucket, "model/")
    assert exists(case.objects, case.bucket, "model/sub/")
    assert not exists(case.objects, case.bucket, "mod/")
    assert case.objects.keys(case.bucket, "model/") == ["model/a", "model/sub/b"]
    assert case.objects.keys(case.bucket, "mod/") == []
    assert case.objects.keys(case.bucket, "") == ["model.tar.gz", "model/a", "model/sub/b"]


def test_markers_of_directories_are_no_files_under_them(case: Case, tmp_path: Path) -> None:
    """Consoles make "folders": empty objects whose key ends in a slash. They are objects like any other."""
    for marker in ("model/", "model/sub/", "model/empty/"):
        case.put(marker, b"")
    case.put("model/__init__.py", b"")
    case.put("model/sub/f")
    assert case.objects.keys(case.bucket, "model/") == ["model/__init__.py", "model/sub/f"]
    list(case.objects.download(case.bucket, "model/", tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == b""
    with pytest.raises(ObjectMissingError):
        list(case.objects.download(case.bucket, "other/", tmp_path / "f"))


def test_an_empty_bucket_holds_nothing(case: Case) -> None:
    assert not exists(case.objects, case.bucket, "")
    assert case.objects.keys(case.bucket, "") == []


@pytest.mark.parametrize("key", ["a", "a/", "", "a/../b", "a//b"])
def test_nothing_is_in_a_bucket_that_is_not(case: Case, key: str, tmp_path: Path) -> None:
    assert not exists(case.objects, "no-such-bucket", key)
    with pytest.raises(ObjectMissingError):
        case.objects.keys("no-such-bucket", key)
    with pytest.raises(ObjectMissingError):
        list(case.objects.download("no-such-bucket", key or "a", tmp_path / "f"))


@pytest.mark.parametrize("key", ["missing", "a/../b", "404", "NoSuchBucket"])
def test_a_missing_object(case: Case, key: str, tmp_path: Path) -> None:
    assert not exists(case.objects, case.bucket, key)
    with pytest.raises(ObjectMissingError, match=f"s3://{case.bucket}/"):
        list(case.objects.download(case.bucket, key, tmp_path / "f"))
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("size", [0, 1, 9 * 1024 * 1024 + 7])
def test_a_download_tells_how_far_it_is(case: Case, size: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    case.put("big", content)
    steps = list(case.objects.download(case.bucket, "big", tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == content
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert {total for _, total in steps} <= {size}
    assert not size or steps[-1] == (size, size)


@pytest.mark.parametrize("size", [0, 1, 4 * 1024 * 1024])
def test_a_small_object_is_read_whole(case: Case, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    case.put("small ü", content)
    assert asyncio.run(case.objects.read(case.bucket, "small ü", size)) == content
    if size:
        with pytest.raises(ObjectTooLargeError, match=rf"^It has {size} bytes; at most {size - 1} are read\.$"):
            asyncio.run(case.objects.read(case.bucket, "small ü", size - 1))


@pytest.mark.parametrize("key", ["missing", "a/../b", "404", "NoSuchBucket"])
def test_what_is_missing_is_not_read(case: Case, key: str) -> None:
    for bucket in (case.bucket, "no-such-bucket"):
        with pytest.raises(ObjectMissingError, match=f"s3://{bucket}/"):
            asyncio.run(case.objects.read(bucket, key, 10))


@pytest.mark.parametrize("key", ["a", "dir/", "404", ""])
def test_a_store_that_is_away_is_not_an_object_that_is_missing(case: Case, key: str, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: exists(case.away, case.bucket, key),
        lambda: asyncio.run(case.away.read(case.bucket, key or "404", 10)),
        lambda: case.away.keys(case.bucket, key),
        lambda: list(case.away.download(case.bucket, key or "404", tmp_path / "f")),
    ]
    for call in calls:
        with pytest.raises(ObjectsUnavailableError, match="does not answer"):
            call()


@pytest.mark.parametrize("size", [0, 5, 9 * 1024 * 1024 + 7])
def test_the_store_tells_versions_whose_etag_is_the_md5(seaweed: Seaweed, tmp_path: Path, size: int) -> None:
    case = RealCase(seaweed, 1)
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    case.put("m", content)
    version, chunks = case.objects.open(case.bucket, "m")
    assert b"".join(chunks) == content
    assert case.objects.version(case.bucket, "m") == version
    assert (version.etag.strip('"'), version.size) == (hashlib.md5(content).hexdigest(), size)
    with pytest.raises(ObjectMissingError):
        case.objects.version(case.bucket, "missing")
    with pytest.raises(ObjectsUnavailableError):
        case.away.version(case.bucket, "m")


def test_an_object_of_several_parts_is_downloaded_whole(seaweed: Seaweed, tmp_path: Path) -> None:
    case = RealCase(seaweed, 1)
    upload = case.client.create_multipart_upload(Bucket=case.bucket, Key="m")["UploadId"]
    parts = []
    for number, content in enumerate((b"a" * 5 * 1024 * 1024, b"b" * 7), 1):
        sent = case.client.upload_part(Bucket=case.bucket, Key="m", UploadId=upload, PartNumber=number, Body=content)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    case.client.complete_multipart_upload(
        Bucket=case.bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert list(case.objects.download(case.bucket, "m", tmp_path / "f"))[-1] == (5 * 1024 * 1024 + 7,) * 2
    assert case.objects.version(case.bucket, "m").etag.strip('"').endswith("-2")


@pytest.mark.parametrize("compares_md5", [True, False])
@pytest.mark.parametrize("etag", [hashlib.md5(b"model").hexdigest(), "0" * 32, "0" * 32 + "-2", "1"])
def test_content_is_compared_with_an_etag_that_is_an_md5(tmp_path: Path, etag: str, compares_md5: bool) -> None:
    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("ETag", f'"{etag}"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(b"model")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        access = S3Access(f"http://127.0.0.1:{server.server_address[1]}", KEY, SECRET, "us-east-1")
        steps = S3Objects(access, compares_md5=compares_md5).download("models", "a", tmp_path / "f")
        try:
            if compares_md5 and etag == "0" * 32:
                with pytest.raises(
                    ObjectDamagedError, match=rf"s3://models/a has the MD5 [0-9a-f]+, and its ETag is {etag}"
                ):
                    list(steps)
            else:
                assert list(steps) == [(5, 5)]
        finally:
            server.shutdown()
            thread.join(5)


def test_a_wrong_secret_is_not_an_object_that_is_missing(seaweed: Seaweed) -> None:
    objects = S3Objects(S3Access(seaweed.url, KEY, "wrong" * 8, "us-east-1"))
    for key in ("a", "a/"):
        with pytest.raises(ObjectForbiddenError, match="refuses the server's access key"):
            exists(objects, "models", key)


def test_a_store_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        objects = S3Objects(S3Access(url, KEY, SECRET, "us-east-1"), answer_within_s=0.2)
        for key in ("a", "a/"):
            with pytest.raises(ObjectsUnavailableError, match=r"within 0\.2 s"):
                exists(objects, "models", key)
            with pytest.raises(ObjectsUnavailableError, match=r"within 0\.2 s"):
                asyncio.run(objects.read("models", "a", 10))


def test_a_download_that_breaks_off_is_no_success(tmp_path: Path) -> None:
    """A store that dies in the middle of an object: what is there is less than what was said."""
    head = (
        b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "e"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n'
    )

    def serve(listener: socket.socket) -> None:
        for _ in range(20):
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(head + b"only this")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        objects = S3Objects(S3Access(url, KEY, SECRET, "us-east-1"))
        with pytest.raises(ObjectsUnavailableError):
            list(objects.download("models", "a", tmp_path / "f"))
        with pytest.raises(ObjectsUnavailableError):
            asyncio.run(objects.read("models", "a", 10_000))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("is_patient", [False, True])
def test_a_store_that_has_just_been_started_again_is_waited_for_by_who_is_patient(
    tmp_path: Path, is_patient: bool
) -> None:
    """It answers 500 for as long as it does not know what it holds."""
    began, serves_after_s = time.monotonic(), 2.5

    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_ready = time.monotonic() - began >= serves_after_s
            self.send_response(200 if is_ready else 500)
            self.send_header("Content-Length", "5")
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(b"model")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        access = S3Access(f"http://127.0.0.1:{server.server_address[1]}", KEY, SECRET, "us-east-1")
        objects = S3Objects(access, is_patient=is_patient)
        try:
            if is_patient:
                assert list(objects.download("models", "a", tmp_path / "f")) == [(5, 5)]
                assert (tmp_path / "f").read_bytes() == b"model"
            else:
                with pytest.raises(ObjectsUnavailableError):
                    list(objects.download("models", "a", tmp_path / "f"))
        finally:
            server.shutdown()
            thread.join(5)
