"""Model data in its three layouts, against an object store in memory."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hostmaker.domain.errors import ValidationException
from hostmaker.domain.model import DataLayout, ModelData
from hostmaker.fleet.model_data import DataError, fetch
from hostmaker.ports import ObjectDamagedError, ObjectForbiddenError, ObjectMissingError, ObjectsUnavailableError

AWS_MISSING = (
    'Failed to download model data for container "container_1" from URL: "{}". Please ensure that there is an '
    "object located at the URL and that the role passed to CreateModel has permissions to download the object."
)
AWS_NOT_EXTRACTED = (
    'Failed to extract model data archive for container "container_1" from URL "{}". Please ensure that the object '
    "located at the URL is a valid tar.gz archive."
)


@dataclass
class Memory:
    """Objects by key, in one bucket; `hangs` names a key whose download never ends."""

    objects: dict[str, bytes]
    hangs: str | None = None
    released: threading.Event = field(default_factory=threading.Event)

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        if bucket == "away":
            raise ObjectsUnavailableError("The object store does not answer: connection refused")
        if key not in self.objects:
            raise ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
        yield 0, len(self.objects[key])
        if key == self.hangs:
            self.released.wait(30)
        path.write_bytes(self.objects[key])
        yield len(self.objects[key]), len(self.objects[key])

    def keys(self, bucket: str, prefix: str) -> list[str]:
        if prefix == self.hangs:
            self.released.wait(30)
        return sorted(key for key in self.objects if key.startswith(prefix))


def archive(**members: bytes) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as target:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return body.getvalue()


def zipped() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as target:
        target.writestr("model", b"x")
    return body.getvalue()


def fetched(
    tmp_path: Path, objects: Memory, uri: str, layout: DataLayout, said: list[str] | None = None, limit_s: float = 20
) -> dict[str, bytes]:
    target = tmp_path / "model"
    target.mkdir(mode=0o700)
    try:
        fetch(ModelData(uri, layout), target, objects, (said if said is not None else []).append, limit_s)
    finally:
        objects.released.set()
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_an_archive(tmp_path: Path) -> None:
    said: list[str] = []
    objects = Memory({"m/model.tar.gz": archive(model=b"abc")})
    assert fetched(tmp_path, objects, "s3://b/m/model.tar.gz", DataLayout.GZIP, said) == {"model": b"abc"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert said[0].startswith("model data: m/model.tar.gz (")
    assert said[1].startswith("model data: extracted in ")


def test_an_https_url(tmp_path: Path) -> None:
    objects = Memory({"m/model.tar.gz": archive(model=b"abc")})
    uri = "https://bucket.s3.eu-west-1.amazonaws.com/m/model.tar.gz"
    assert fetched(tmp_path, objects, uri, DataLayout.GZIP) == {"model": b"abc"}


def test_one_object_under_its_base_name(tmp_path: Path) -> None:
    objects = Memory({"m/deep/model.gguf": b"abc"})
    assert fetched(tmp_path, objects, "s3://b/m/deep/model.gguf", DataLayout.OBJECT) == {"model.gguf": b"abc"}


def test_a_prefix_keeps_names_unpacks_nothing_and_skips_markers(tmp_path: Path) -> None:
    objects = Memory({"m/": b"", "m/a": b"1", "m/b/": b"", "m/b/c.tar.gz": b"2", "m2/not": b"3", "m": b"4"})
    assert fetched(tmp_path, objects, "s3://b/m/", DataLayout.PREFIX) == {"a": b"1", "b/c.tar.gz": b"2"}


def test_a_whole_bucket(tmp_path: Path) -> None:
    assert fetched(tmp_path, Memory({"a": b"1"}), "s3://b/", DataLayout.PREFIX) == {"a": b"1"}


@pytest.mark.parametrize(
    ("uri", "layout"),
    [
        ("s3://b/absent.tar.gz", DataLayout.GZIP),
        ("s3://b/absent", DataLayout.OBJECT),
        ("s3://b/absent/", DataLayout.PREFIX),
        ("s3://b/marker/", DataLayout.PREFIX),
    ],
)
def test_what_is_missing_is_told_in_the_sentence_that_clients_know(
    tmp_path: Path, uri: str, layout: DataLayout
) -> None:
    with pytest.raises(DataError) as caught:
        fetched(tmp_path, Memory({"marker/": b"", "marker/deeper/": b""}), uri, layout)
    assert str(caught.value).startswith(AWS_MISSING.format(uri) + " There is no")


@pytest.mark.parametrize(
    ("keys", "uri", "says"),
    [
        (("m/a", "m/a/b"), "s3://b/m/", "The key 'm/a' is a file where 'm/a/b' needs a directory"),
        (("m/a/b/c", "m/a"), "s3://b/m/", "'m/a' is a file"),
        (("m/a//b", "m/a/b"), "s3://b/m/", "name the same file"),
        (("m/../b",), "s3://b/m/", "does not name a file below"),
        (("m//etc/x",), "s3://b/m/", "does not name a file below"),
        (("m/x\0y",), "s3://b/m/", "does not name a file below"),
        (("m/a",), "s3://b/m", 'must end with "/"'),
    ],
)
def test_prefixes_that_cannot_become_files(tmp_path: Path, keys: tuple[str, ...], uri: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fetched(tmp_path, Memory(dict.fromkeys(keys, b"x")), uri, DataLayout.PREFIX)
    assert list((tmp_path / "model").iterdir()) == []


def test_an_object_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a prefix"):
        fetched(tmp_path, Memory({"m/a": b"x"}), "s3://b/m/", DataLayout.OBJECT)


def test_a_refused_archive_names_the_member(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The archive is refused: '\.\./evil' leads out") as caught:
        fetched(tmp_path, Memory({"m.tar.gz": archive(**{"../evil": b"x"})}), "s3://b/m.tar.gz", DataLayout.GZIP)
    assert str(caught.value).startswith(AWS_NOT_EXTRACTED.format("s3://b/m.tar.gz"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the object is empty. Pack"),
        (zipped(), "the object is a zip archive, not a gzip file. Pack the files with tar -czf."),
        (gzip.decompress(archive(model=b"x")), "the object is a tar archive that is not compressed. Compress it"),
        (b"<html>Not Found</html>", "a page in HTML or XML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\x00" * 600, "it begins with the bytes 00 00 00 00 00 00 00 00"),
        (archive(model=b"x" * 9999)[:60], "not a whole .tar.gz"),
        (gzip.compress(b"no tar"), "not a whole .tar.gz"),
        (gzip.compress(zipped()), "a gzip file, and its content is a zip archive, not a tar archive. Pack"),
        (gzip.compress(pickle.dumps([1, 2])), "its content is a Python pickle"),
        (gzip.compress(archive(model=b"x")), "its content is compressed with gzip"),
    ],
)
def test_what_is_no_tar_gz_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        fetched(tmp_path, Memory({"m.tar.gz": content}), "s3://b/m.tar.gz", DataLayout.GZIP)
    sentence = AWS_NOT_EXTRACTED.format("s3://b/m.tar.gz")
    assert str(caught.value).startswith(f"{sentence} The archive is refused: the ")
    assert says in str(caught.value)


@pytest.mark.parametrize("key", ["m/..", "m/.", "..", "m/a\0"])
def test_an_object_whose_key_ends_in_no_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError, match="does not name a file below"):
        fetched(tmp_path, Memory({key: b"x"}), f"s3://b/{key}", DataLayout.OBJECT)


def test_a_store_that_refuses(tmp_path: Path) -> None:
    class Refusing(Memory):
        def download(
            self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False
        ) -> Iterator[tuple[int, int]]:
            raise ObjectForbiddenError("The object store refuses the server's access key: AccessDenied")

    with pytest.raises(DataError) as caught:
        fetched(tmp_path, Refusing({}), "s3://b/m", DataLayout.OBJECT)
    assert str(caught.value) == AWS_MISSING.format("s3://b/m") + (
        " The object store refuses the server's access key: AccessDenied"
    )


def test_a_store_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not answer: connection refused"):
        fetched(tmp_path, Memory({}), "s3://away/m.tar.gz", DataLayout.GZIP)


@pytest.mark.parametrize(
    ("uri", "layout", "hangs", "says"),
    [
        ("s3://b/m/a", DataLayout.OBJECT, "m/a", "downloading m/a"),
        ("s3://b/m/a", DataLayout.GZIP, "m/a", "downloading m/a"),
        ("s3://b/m/", DataLayout.PREFIX, "m/", "listing the prefix"),
    ],
)
def test_a_read_that_hangs_ends_with_the_time_limit(
    tmp_path: Path, uri: str, layout: DataLayout, hangs: str, says: str
) -> None:
    with pytest.raises(DataError, match=rf"more than 0\.2 s: {says}.*ModelDataDownloadTimeoutInSeconds"):
        fetched(tmp_path, Memory({"m/a": b"x"}, hangs=hangs), uri, layout, limit_s=0.2)


def test_what_came_damaged_is_a_failed_download(tmp_path: Path) -> None:
    class Damaged(Memory):
        def download(
            self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False
        ) -> Iterator[tuple[int, int]]:
            yield from super().download(bucket, key, path, is_borrowed=is_borrowed)
            raise ObjectDamagedError("What has come of s3://b/m has the MD5 0, and its ETag is 1.")

    with pytest.raises(
        DataError, match=r'Failed to download model data .* from URL: "s3://b/m"\. What has come of'
    ) as caught:
        fetched(tmp_path, Damaged({"m": archive(model=b"x")}), "s3://b/m", DataLayout.GZIP)
    assert str(caught.value).endswith("its ETag is 1.")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert list((tmp_path / "model").iterdir()) == []


def test_what_is_extracted_is_borrowed_and_what_a_model_gets_is_not(tmp_path: Path) -> None:
    class Asked(Memory):
        def download(
            self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False
        ) -> Iterator[tuple[int, int]]:
            borrowed[key] = is_borrowed
            return super().download(bucket, key, path)

    borrowed: dict[str, bool] = {}
    objects = Asked({"m.tar.gz": archive(model=b"x"), "p/a": b"1"})
    for uri, layout in (
        ("s3://b/m.tar.gz", DataLayout.GZIP),
        ("s3://b/p/a", DataLayout.OBJECT),
        ("s3://b/p/", DataLayout.PREFIX),
    ):
        folder = tmp_path / layout.value
        folder.mkdir()
        fetched(folder, objects, uri, layout)
        assert borrowed.popitem()[1] is (layout is DataLayout.GZIP)


def test_more_than_the_disk_has(tmp_path: Path) -> None:
    class Giant(Memory):
        def download(
            self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False
        ) -> Iterator[tuple[int, int]]:
            yield 1, 10**18
            raise AssertionError("the rest was asked for")

    with pytest.raises(DataError, match="are still to come"):
        fetched(tmp_path, Giant({"m": b""}), "s3://b/m", DataLayout.OBJECT)


def test_a_uri_that_is_none_of_s3(tmp_path: Path) -> None:
    with pytest.raises(ValidationException):
        fetched(tmp_path, Memory({}), "https://example.invalid/model.tar.gz", DataLayout.GZIP)
