"""Brings model data to the model directory, in each of its layouts."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, Protocol, TypeVar, assert_never

from hostmaker.domain.location import parse_location
from hostmaker.domain.model import DataLayout, ModelData
from hostmaker.fleet.archive_kind import HEAD_BYTES, refusal_of
from hostmaker.fleet.extract import ExtractionError, extract
from hostmaker.ports import ObjectDamagedError, ObjectForbiddenError, ObjectMissingError, ObjectsUnavailableError

SAY_EVERY_S = 5.0
T = TypeVar("T")


class DataError(Exception):
    """Model data that cannot be had; the message is what the FailureReason says: AWS's sentence, then the cause."""


class Downloads(Protocol):
    """The object store, as far as downloads need it.

    Raises ObjectMissingError, ObjectsUnavailableError and ObjectDamagedError.
    """

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all).

        `is_borrowed`: whoever asks reads the file and removes it, and nobody writes to it; so others may have it, too.
        """
        ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys under a prefix."""
        ...


def fetch(
    data: ModelData,
    target: Path,
    downloads: Downloads,
    say: Callable[[str], None],
    limit_s: float,
    used_s: float = 0.0,
) -> None:
    """Bring `data` into the empty directory `target` within `limit_s` seconds, of which `used_s` are over.

    Raises DataError; `domain.errors.ValidationException` for a URI that is none of S3.
    """
    location = parse_location(data.uri)
    job = _Job(downloads, say, location.bucket, time.monotonic() + limit_s - used_s)
    try:
        match data.layout:
            case DataLayout.GZIP:
                job.fetch_archive(location.key, target)
            case DataLayout.OBJECT:
                job.fetch_object(location.key, target)
            case DataLayout.PREFIX:
                job.fetch_prefix(location.key, target)
            case _:
                assert_never(data.layout)
    except (ObjectMissingError, ObjectForbiddenError, _NothingThere) as error:
        raise DataError(f"{_failed(data.uri)} {ENSURE} {error}") from error
    except TimeoutError as error:
        advice = "Raise ModelDataDownloadTimeoutInSeconds, the time to download and extract."
        raise DataError(f"{_failed(data.uri)} It took more than {limit_s:g} s: {error}. {advice}") from error
    except (_RefusedError, ObjectsUnavailableError, ObjectDamagedError) as error:
        raise DataError(f"{_failed(data.uri)} {error}") from error
    except ExtractionError as error:
        raise DataError(f"{_not_extracted(data.uri)} The archive is refused: {error}.") from error
    except OSError as error:
        raise DataError(f"{_failed(data.uri)} Writing it failed: {error.strerror or error}.") from error


ENSURE = (
    "Please ensure that there is an object located at the URL and that the role passed to CreateModel has permissions "
    "to download the object."
)


def _failed(uri: str) -> str:
    return f'Failed to download model data for container "container_1" from URL: "{uri}".'


def _not_extracted(uri: str) -> str:
    return (
        f'Failed to extract model data archive for container "container_1" from URL "{uri}". Please ensure that the '
        "object located at the URL is a valid tar.gz archive."
    )


class _NothingThere(Exception):
    """Nothing lies under a prefix."""


class _RefusedError(Exception):
    """The data's form is not that of its layout."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One container's data on its way; `deadline` in steady seconds."""

    downloads: Downloads
    say: Callable[[str], None]
    bucket: str
    deadline: float

    def fetch_archive(self, key: str, target: Path) -> None:
        archive = target.with_name(target.name + "~.tar.gz")  # no directory beside it can have that name
        try:
            self._download(key, archive, is_borrowed=True)
            began = time.monotonic()
            _check_kind(archive)
            extract(archive, target, limit_s=max(0.1, self.deadline - began))
            self.say(f"model data: extracted in {time.monotonic() - began:.2f} s")
        finally:
            archive.unlink(missing_ok=True)

    def fetch_object(self, key: str, target: Path) -> None:
        name = key.rpartition("/")[2]
        if not name:
            raise _RefusedError("S3DataType S3Object needs the URI of one object, not a prefix.")
        if name in (".", "..") or "\0" in name:
            raise _RefusedError(f"The key {key!r} does not name a file below the model directory.")
        self._download(key, target / name)

    def fetch_prefix(self, prefix: str, target: Path) -> None:
        if prefix and not prefix.endswith("/"):
            raise _RefusedError('The S3Uri of S3DataType S3Prefix must end with "/".')
        listed = (self.downloads.keys(self.bucket, prefix) for _ in range(1))
        keys = [key for found in _bounded(listed, self.deadline, "listing the prefix") for key in found]
        files = _file_names([key for key in keys if not key.endswith("/")], prefix)  # markers of consoles are no files
        if not files:
            raise _NothingThere("There is nothing under the prefix.")
        for key, path in files.items():
            (target / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._download(key, target / path)

    def _download(self, key: str, path: Path, *, is_borrowed: bool = False) -> None:
        began = said = time.monotonic()
        done = 0
        steps = self.downloads.download(self.bucket, key, path, is_borrowed=is_borrowed)
        for done, size in _bounded(steps, self.deadline, f"downloading {key}"):
            _check_room(path, size - done)
            if (now := time.monotonic()) - said >= SAY_EVERY_S:
                said = now
                self.say(f"model data: {done / 1e6:.0f} of {size / 1e6:.0f} MB of {key}")
        self.say(f"model data: {key} ({done / 1e6:.1f} MB) in {time.monotonic() - began:.2f} s")


def _file_names(keys: list[str], prefix: str) -> dict[str, PurePosixPath]:
    """Give each key's path below the model directory; raises _RefusedError for keys that cannot lie side by side."""
    files = {key: PurePosixPath(key[len(prefix) :]) for key in keys}
    taken: dict[PurePosixPath, str] = {}
    for key, path in files.items():
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in key:
            raise _RefusedError(f"The key {key!r} does not name a file below the model directory.")
        if path in taken:
            raise _RefusedError(f"The keys {taken[path]!r} and {key!r} name the same file.")
        taken[path] = key
    for key, path in files.items():
        above = next((taken[folder] for folder in path.parents if folder in taken), None)
        if above is not None:
            raise _RefusedError(f"The key {above!r} is a file where {key!r} needs a directory.")
    return files


def _check_kind(archive: Path) -> None:
    """Raise ExtractionError for what is no gzip file, saying what it is."""
    with archive.open("rb") as file:
        refusal = refusal_of(file.read(HEAD_BYTES))
    if refusal is not None:
        raise ExtractionError(refusal)


def _check_room(path: Path, more: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if more > free:
        raise _RefusedError(f"The disk has {free / 1e9:.1f} GB free; {more / 1e9:.1f} GB are still to come.")


@dataclass(frozen=True, slots=True)
class _Given(Generic[T]):
    item: T


def _bounded(work: Iterable[T], deadline: float, doing: str) -> Iterator[T]:
    """Give what `work` gives, raise what it raises, and raise TimeoutError at the deadline.

    `work` runs in a thread of its own, since a read that hangs comes back to nobody; such a thread ends with its
    process, which has nothing else to do then.
    """
    told: queue.Queue[_Given[T] | BaseException | None] = queue.Queue(maxsize=4)

    def run() -> None:
        try:
            for item in work:
                told.put(_Given(item))
        except BaseException as error:  # owned by the reader, who raises it
            told.put(error)
        else:
            told.put(None)

    threading.Thread(target=run, name="download", daemon=True).start()
    while True:
        try:
            match told.get(timeout=max(0.0, deadline - time.monotonic())):
                case None:
                    return
                case BaseException() as error:
                    raise error
                case _Given(item):
                    yield item
        except queue.Empty:
            raise TimeoutError(doing) from None
