"""The store of control's process on SQLite: WAL, synchronous FULL, so what was answered is on disk.

Every method is one transaction. Only control writes, from one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hostmaker.domain.endpoint import Desired, Endpoint, Recorded
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.model import Model
from hostmaker.kit.codec import decode, encode
from hostmaker.ports import NameTakenError, StoreUnavailableError
from hostmaker.store.migrate import migrate, named_queries

T = TypeVar("T")


class SqliteStore:
    """Implements `ports.Store`; raises StoreUnavailableError when the disk does not take a write."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        migrate(self._db)
        self._sql = named_queries()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # Models

    def add_model(self, model: Model, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new model and its tags; raises NameTakenError."""
        with self._transaction():
            self._insert("add_model", model.region, model.name.lower(), model.arn, _dump(model))
            self._set_tags(model.arn, tags)

    def model(self, region: str, name: str) -> Model | None:
        """Give the model of that name."""
        return self._one(Model, "model", region, name.lower())

    def models(self, region: str) -> Sequence[Model]:
        """Give all models of a region."""
        return [_load(Model, row[0]) for row in self._all("models", region)]

    def delete_model(self, region: str, name: str) -> bool:
        """Forget a model and its tags; False when there was none."""
        return self._delete("delete_model", region, name.lower())

    # Endpoint configs

    def add_endpoint_config(self, config: EndpointConfig, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new config and its tags; raises NameTakenError."""
        with self._transaction():
            self._insert("add_endpoint_config", config.region, config.name.lower(), config.arn, _dump(config))
            self._set_tags(config.arn, tags)

    def endpoint_config(self, region: str, name: str) -> EndpointConfig | None:
        """Give the config of that name."""
        return self._one(EndpointConfig, "endpoint_config", region, name.lower())

    def endpoint_configs(self, region: str) -> Sequence[EndpointConfig]:
        """Give all configs of a region."""
        return [_load(EndpointConfig, row[0]) for row in self._all("endpoint_configs", region)]

    def delete_endpoint_config(self, region: str, name: str) -> bool:
        """Forget a config and its tags; False when there was none."""
        return self._delete("delete_endpoint_config", region, name.lower())

    # Endpoints

    def add_endpoint(self, desired: Desired, recorded: Recorded, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new endpoint and its tags; raises NameTakenError."""
        key = (desired.uid, desired.region, desired.name.lower(), desired.arn, desired.generation)
        with self._transaction():
            self._insert("add_endpoint", *key, _dump(desired), _dump(recorded))
            self._set_tags(desired.arn, tags)

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """Give the endpoint of that name, in any case."""
        rows = self._all("endpoint", region, name.lower())
        return _endpoint(rows[0]) if rows else None

    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        """Give all endpoints, of one region or of all."""
        rows = self._all("endpoints") if region is None else self._all("endpoints_of_region", region)
        return [_endpoint(row) for row in rows]

    def put_desired(self, desired: Desired, recorded: Recorded) -> None:
        """Replace what is desired, and the status that the change itself brings, in one transaction."""
        with self._transaction():
            values = (desired.generation, _dump(desired), _dump(recorded), desired.uid)
            self._db.execute(self._sql["put_desired"], values)

    def record(self, recorded: Recorded, generation: int) -> bool:
        """Replace what is recorded if the desired generation still is `generation`; False when it is not."""
        with self._transaction():
            return self._db.execute(self._sql["record"], (_dump(recorded), recorded.uid, generation)).rowcount == 1

    def forget_endpoint(self, uid: str) -> None:
        """Drop an endpoint whose deletion is done, and its tags."""
        self._delete("forget_endpoint", uid)

    def next_number(self, counter: str) -> int:
        """Count: 1, 2, 3 ... for each name of a counter, never the same twice."""
        with self._transaction():
            (value,) = self._db.execute(self._sql["next_number"], (counter,)).fetchone()
        return int(value)

    # Tags

    def tags(self, arn: str) -> dict[str, str] | None:
        """Give the tags of a resource in the order they were first set; None when no such resource exists."""
        (exists,) = self._db.execute(self._sql["has_arn"], (arn,)).fetchone()
        return {row[0]: row[1] for row in self._all("tags", arn)} if exists else None

    def put_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, replacing values of keys that exist."""
        with self._transaction():
            self._set_tags(arn, tags)

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; absent keys are no error."""
        with self._transaction():
            for key in keys:
                self._db.execute(self._sql["delete_tag"], (arn, key))

    # What they share

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(f"The state database cannot be written: {error}.") from error

    def _insert(self, name: str, *values: str | int) -> None:
        try:
            self._db.execute(self._sql[name], values)
        except sqlite3.IntegrityError as error:
            raise NameTakenError(str(error)) from error

    def _delete(self, name: str, *key: str) -> bool:
        with self._transaction():
            row = self._db.execute(self._sql[name], key).fetchone()
            if row is not None:
                self._db.execute(self._sql["delete_tags_of"], row)
        return row is not None

    def _set_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        for key, value in tags:
            self._db.execute(self._sql["put_tag"], (arn, key, value))

    def _all(self, name: str, *values: str) -> list[tuple[str, ...]]:
        return self._db.execute(self._sql[name], values).fetchall()

    def _one(self, cls: type[T], name: str, *values: str) -> T | None:
        row = self._db.execute(self._sql[name], values).fetchone()
        return _load(cls, row[0]) if row else None


def _dump(value: object) -> str:
    return json.dumps(encode(value), separators=(",", ":"))


def _load(cls: type[T], document: str) -> T:
    return decode(cls, json.loads(document))


def _endpoint(row: tuple[str, ...]) -> Endpoint:
    return Endpoint(_load(Desired, row[0]), _load(Recorded, row[1]))
