"""An S3 client for what the platform itself reads: existence checks of control, downloads of a node's children."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from hostmaker.domain.object_key import plain_key, stored_key, stored_prefix
from hostmaker.objects.writing import written
from hostmaker.ports import (
    ObjectDamagedError,
    ObjectForbiddenError,
    ObjectKeyError,
    ObjectMissingError,
    ObjectsUnavailableError,
    ObjectTooLargeError,
    ObjectVersion,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import RetryConfig

DOWNLOAD_TURN_BYTES = 4 * 1024 * 1024
MOST_STORES = 100
QUICK: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
# A store that has just been started again answers 500 until it knows what it holds. Waits are 0.5 s and more.
PATIENT: RetryConfig = {
    "max_retries": 12,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(seconds=0.5), "max_backoff": timedelta(seconds=2), "base": 2},
}
MD5 = re.compile(r'"?([0-9a-f]{32})"?')  # the ETag of an object that was put in one piece, unless KMS encrypts it
NO_NAMES = frozenset(("", ".", ".."))  # segments that the client drops or refuses
CONTROL = re.compile("[\x00-\x1f\x7f]")  # characters that it refuses
RAISED = (BaseError, FileNotFoundError, PermissionError, ValueError)  # some come as the builtins


@dataclass(frozen=True, slots=True)
class S3Access:
    """Which S3, and as whom. `takes_paths`: it is SeaweedFS, where keys have the names of `domain.object_key`."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str
    takes_paths: bool = False

    def name_of(self, key: str) -> str:
        """Return the name of an object there; raises ObjectKeyError for one that the client would change."""
        name = stored_key(key) if self.takes_paths else key
        if NO_NAMES.isdisjoint(name.split("/")) and not CONTROL.search(name):
            return name
        raise _unreachable(key)

    def start_of(self, prefix: str) -> str:
        """Return what the names under a directory begin with (empty: in the whole bucket); raises ObjectKeyError."""
        directory = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        start = stored_prefix(directory) if self.takes_paths else directory
        if not start or (NO_NAMES.isdisjoint(start.removesuffix("/").split("/")) and not CONTROL.search(start)):
            return start
        raise _unreachable(prefix)

    def key_of(self, name: str) -> str:
        """Return the key of an object there."""
        return plain_key(name) if self.takes_paths else name


class S3Objects:
    """Implements `ports.Objects` and the downloads of an instance's preparation."""

    def __init__(
        self,
        access: S3Access,
        answer_within_s: float = 10.0,
        *,
        is_patient: bool = False,
        compares_md5: bool = True,
    ) -> None:
        """`answer_within_s` bounds the waits of `exists` and `read`.

        `is_patient`: what fails is tried again for ten seconds. `compares_md5`: an ETag that looks like an MD5 must be
        that of the content.
        """
        self._access = access
        self._compares_md5 = compares_md5
        self._answer_within_s = answer_within_s
        self._retries = PATIENT if is_patient else QUICK
        self._stores: dict[str, S3Store] = {}

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object lies at `key`, or any under it when it ends in `/` or is empty.

        Raises ObjectsUnavailableError.
        """
        try:
            async with asyncio.timeout(self._answer_within_s):
                return await self._exists(self._store(bucket), key)
        except TimeoutError as error:
            raise self._late() from error
        except RAISED as error:
            if _is_missing(error):
                return False
            raise _unavailable(error) from error

    async def _exists(self, store: S3Store, key: str) -> bool:
        if key and not key.endswith("/"):
            await store.head_async(self._access.name_of(key))
            return True
        async for page in store.list(self._access.start_of(key) or None, chunk_size=1):
            return bool(page)
        return False

    async def read(self, bucket: str, key: str, most: int) -> bytes:
        """Give a small object, of at most so many bytes.

        Raises ObjectMissingError, ObjectTooLargeError and ObjectsUnavailableError.
        """
        try:
            async with asyncio.timeout(self._answer_within_s):
                found = await obstore.get_async(self._store(bucket), self._access.name_of(key))
                size = found.meta["size"]
                if size > most:
                    raise ObjectTooLargeError(f"It has {size} bytes; at most {most} are read.")
                content = bytes(await found.bytes_async())
        except TimeoutError as error:
            raise self._late() from error
        except RAISED as error:
            raise _translated(error, bucket, key) from error
        if len(content) != size:
            raise ObjectsUnavailableError(f"Of s3://{bucket}/{key}, {len(content)} of {size} bytes have come.")
        return content

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all) as it goes; borrowed or not, the file is new.

        Raises ObjectMissingError, ObjectsUnavailableError and ObjectDamagedError.
        """
        version, content = self.open(bucket, key)
        yield from written(version, content, path)

    def version(self, bucket: str, key: str) -> ObjectVersion:
        """Give the version that lies at a key; raises ObjectMissingError and ObjectsUnavailableError."""
        try:
            return _version(obstore.head(self._store(bucket), self._access.name_of(key)))
        except RAISED as error:
            raise _translated(error, bucket, key) from error

    def open(self, bucket: str, key: str) -> tuple[ObjectVersion, Iterator[bytes]]:
        """Give an object's version and its content.

        Raises ObjectMissingError and ObjectsUnavailableError, the content also ObjectDamagedError.
        """
        try:
            found = obstore.get(self._store(bucket), self._access.name_of(key))
            chunks = iter(found.stream(min_chunk_size=DOWNLOAD_TURN_BYTES))
        except RAISED as error:
            raise _translated(error, bucket, key) from error
        version = _version(found.meta)
        return version, self._whole(bucket, key, version, chunks)

    def _whole(self, bucket: str, key: str, version: ObjectVersion, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the content on, and raise when it was not that of the version."""
        size, content = 0, hashlib.md5(usedforsecurity=False)
        told = MD5.fullmatch(version.etag) if self._compares_md5 else None
        while True:
            try:
                chunk = next(chunks, None)
            except RAISED as error:
                raise _translated(error, bucket, key) from error
            if chunk is None:
                break
            size += len(chunk)
            if told is not None:
                content.update(chunk)
            yield chunk
        if size != version.size:
            raise ObjectDamagedError(f"Of s3://{bucket}/{key}, {size} of {version.size} bytes have come.")
        if told is not None and content.hexdigest() != told[1]:
            raise ObjectDamagedError(
                f"What has come of s3://{bucket}/{key} has the MD5 {content.hexdigest()}, and its ETag is {told[1]}. "
                "If KMS encrypts it, its ETag is no MD5: start the server with objects.compare_md5=false."
            )

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys of the objects under a directory (empty: the whole bucket), sorted; no markers of directories.

        Raises ObjectMissingError without a bucket, ObjectsUnavailableError.
        """
        store = self._store(bucket)
        try:
            start = self._access.start_of(prefix)
            listed = [meta for page in obstore.list(store, start or None) for meta in page]
            names = [meta["path"] for meta in listed if meta["size"] or _is_object(store, meta["path"])]
        except RAISED as error:
            raise _translated(error, bucket, prefix) from error
        return sorted(key for key in map(self._access.key_of, names) if not key.endswith("/"))

    def _late(self) -> ObjectsUnavailableError:
        return ObjectsUnavailableError(f"The object store does not answer within {self._answer_within_s:g} s.")

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            if len(self._stores) >= MOST_STORES:
                self._stores.clear()
            self._stores[bucket] = S3Store(
                bucket,
                endpoint=self._access.endpoint_url,
                access_key_id=self._access.access_key_id,
                secret_access_key=self._access.secret_access_key,
                region=self._access.region,
                virtual_hosted_style_request=False,
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=5),
                    "timeout": timedelta(hours=1),
                },
                retry_config=self._retries,
            )
        return self._stores[bucket]


def _version(meta: ObjectMeta) -> ObjectVersion:
    return ObjectVersion(meta["e_tag"] or "", meta["size"])


def _is_object(store: S3Store, path: str) -> bool:
    """Tell an empty object from the marker of a directory, `path/`: the listing gives both without their slash."""
    try:
        obstore.head(store, path)
    except (NotFoundError, FileNotFoundError):
        return False
    return True


def _unreachable(key: str) -> ObjectKeyError:
    return ObjectKeyError(
        f"The key {key!r} cannot be read: it has a control character, or (in an S3 of your own) an empty segment, "
        '"." or "..". Copy the object to a key without.'
    )


def _translated(error: Exception, bucket: str, key: str) -> Exception:
    if _is_missing(error):
        return ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
    return _unavailable(error)


def _is_missing(error: Exception) -> bool:
    """Tell what is not there from what cannot be reached; a key that no object can have (`a/../b`) is not there."""
    if isinstance(error, NotFoundError | FileNotFoundError | ValueError):
        return True
    return "<Code>NoSuchBucket</Code>" in str(error)


def _unavailable(error: Exception) -> ObjectsUnavailableError:
    said = str(error).strip().splitlines()[0][:300]
    is_refused = " 401 Unauthorized" in said or " 403 Forbidden" in said  # which lists are not told by their class
    if is_refused or isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
        return ObjectForbiddenError(f"The object store refuses the server's access key: {said}")
    return ObjectsUnavailableError(f"The object store does not answer: {said}")
