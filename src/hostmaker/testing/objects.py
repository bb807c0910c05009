"""An object store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hostmaker.ports import ObjectMissingError, ObjectsUnavailableError, ObjectTooLargeError


class MemoryObjects:
    """Implements `ports.Objects` and the downloads of a node; forgets everything with the process."""

    def __init__(self, turn_bytes: int = 4 * 1024 * 1024) -> None:
        """`turn_bytes` is how much a download gives at a time."""
        self._buckets: dict[str, dict[str, bytes]] = {}
        self._turn_bytes = turn_bytes
        self.is_away = False
        """Whether nobody answers."""

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Keep an object, and its bucket when there was none."""
        self._buckets.setdefault(bucket, {})[key] = content

    def delete(self, bucket: str, key: str) -> None:
        """Forget an object."""
        self._buckets.get(bucket, {}).pop(key, None)

    def make_bucket(self, bucket: str) -> None:
        """Keep an empty bucket."""
        self._buckets.setdefault(bucket, {})

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object lies at `key`, or any under it when it ends in `/` or is empty."""
        self._answer()
        kept = self._buckets.get(bucket, {})
        return any(name.startswith(key) for name in kept) if not key or key.endswith("/") else key in kept

    async def read(self, bucket: str, key: str, most: int) -> bytes:
        """Give a small object, of at most so many bytes."""
        self._answer()
        content = self._buckets.get(bucket, {}).get(key)
        if content is None:
            raise ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
        if len(content) > most:
            raise ObjectTooLargeError(f"It has {len(content)} bytes; at most {most} are read.")
        return content

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        """Write an object to `path`, giving (bytes so far, bytes in all)."""
        self._answer()
        content = self._buckets.get(bucket, {}).get(key)
        if content is None:
            raise ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
        with path.open("wb") as file:
            for start in range(0, len(content), self._turn_bytes):
                file.write(content[start : start + self._turn_bytes])
                yield min(len(content), start + self._turn_bytes), len(content)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Give the keys of the objects under a directory (empty: the whole bucket), sorted; no markers."""
        self._answer()
        if bucket not in self._buckets:
            raise ObjectMissingError(f"There is no object at s3://{bucket}/{prefix}.")
        directory = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        return sorted(key for key in self._buckets[bucket] if key.startswith(directory) and not key.endswith("/"))

    def _answer(self) -> None:
        if self.is_away:
            raise ObjectsUnavailableError("The object store does not answer: it is away.")
