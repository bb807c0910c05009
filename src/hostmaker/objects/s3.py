"""An S3 client for what the platform itself reads: existence checks of control, downloads of a node's children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from hostmaker.ports import ObjectMissingError, ObjectsUnavailableError


@dataclass(frozen=True, slots=True)
class S3Access:
    """Which S3, and as whom."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str


class S3Objects:
    """Implements `ports.Objects` and the downloads of an instance's preparation."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._stores: dict[str, S3Store] = {}

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object lies at `key`, or any under it when it ends in `/` or is empty."""
        store = self._store(bucket)
        try:
            if not key or key.endswith("/"):
                async for page in store.list(key or None, chunk_size=1):
                    return bool(page)
                return False
            await store.head_async(key)
        except (BaseError, FileNotFoundError) as error:
            if _is_missing(error):
                return False
            raise ObjectsUnavailableError(f"The object store does not answer: {_first_line(error)}") from error
        return True

    def download(self, bucket: str, key: str, path: Path) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all) as it goes.

        Raises ObjectMissingError and ObjectsUnavailableError.
        """
        try:
            found = obstore.get(self._store(bucket), key)
            size, done = found.meta["size"], 0
            with path.open("wb") as file:
                for chunk in found.stream(min_chunk_size=4 * 1024 * 1024):
                    file.write(chunk)
                    done += len(chunk)
                    yield done, size
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, bucket, key) from error

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys of all objects under a prefix, sorted; raises ObjectMissingError without a bucket."""
        try:
            return sorted(meta["path"] for page in obstore.list(self._store(bucket), prefix) for meta in page)
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, bucket, prefix) from error

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
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
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
            )
        return self._stores[bucket]


def _translated(error: Exception, bucket: str, key: str) -> Exception:
    if _is_missing(error):
        return ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
    return ObjectsUnavailableError(f"The object store does not answer: {_first_line(error)}")


def _is_missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or "404" in str(error) or "NoSuchBucket" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
