"""Brings model data to the model directory, in each of its layouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from hostmaker.domain.location import parse_location
from hostmaker.domain.model import DataLayout, ModelData
from hostmaker.fleet.extract import ExtractionError, extract

SAY_EVERY_S = 5.0


class DataError(Exception):
    """Model data that cannot be had; the message is the sentence for the FailureReason."""


class Downloads(Protocol):
    """The object store, as far as downloads need it; raises `ports.ObjectMissingError` and others."""

    def download(self, bucket: str, key: str, path: Path) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all)."""
        ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys under a prefix."""
        ...


def fetch(data: ModelData, target: Path, downloads: Downloads, say: Callable[[str], None], limit_s: float) -> None:
    """Bring `data` into the empty directory `target`; raises DataError, or what `downloads` raises."""
    deadline = time.monotonic() + limit_s
    location = parse_location(data.uri)
    match data.layout:
        case DataLayout.GZIP:
            archive = target.with_name(target.name + ".tar.gz")
            try:
                _download(downloads, location.bucket, location.key, archive, say, deadline)
                extract(archive, target)
            except ExtractionError as error:
                raise DataError(f"The archive at {data.uri} is refused: {error}.") from error
            finally:
                archive.unlink(missing_ok=True)
        case DataLayout.OBJECT:
            name = PurePosixPath(location.key).name
            _download(downloads, location.bucket, location.key, target / name, say, deadline)
        case DataLayout.PREFIX:
            _fetch_prefix(data, location.bucket, location.key, target, downloads, say, deadline)


def _fetch_prefix(
    data: ModelData,
    bucket: str,
    prefix: str,
    target: Path,
    downloads: Downloads,
    say: Callable[[str], None],
    deadline: float,
) -> None:
    if prefix and not prefix.endswith("/"):
        raise DataError(f'The S3Uri "{data.uri}" of S3DataType S3Prefix must end with "/".')
    keys = [key for key in downloads.keys(bucket, prefix) if not key.endswith("/")]
    if not keys:
        raise DataError(missing(data.uri))
    for key in keys:
        path = PurePosixPath(key[len(prefix) :])
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise DataError(f"The key {key!r} leads out of the model directory.")
        file = target / path
        if file.is_dir() or any(parent.is_file() for parent in file.parents if parent.is_relative_to(target)):
            raise DataError(f"The key {key!r} is a file where another key needs a directory.")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _download(downloads, bucket, key, file, say, deadline)


def _download(
    downloads: Downloads, bucket: str, key: str, path: Path, say: Callable[[str], None], deadline: float
) -> None:
    began = said = time.monotonic()
    done = 0
    for done, size in downloads.download(bucket, key, path):
        now = time.monotonic()
        if now > deadline:
            raise DataError(
                f"Failed to download model data: s3://{bucket}/{key} had {done} of {size} bytes when the time of "
                "ModelDataDownloadTimeoutInSeconds was over. Please raise it."
            )
        if now - said >= SAY_EVERY_S:
            said = now
            say(f"model data: {done / 1e6:.0f} of {size / 1e6:.0f} MB of {key}")
    say(f"model data: {key} ({done / 1e6:.1f} MB) in {time.monotonic() - began:.2f} s")


def missing(uri: str) -> str:
    """Give AWS's sentence for model data that is not there."""
    return (
        f'Failed to download model data for container "container_1" from URL: "{uri}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the model."
    )
