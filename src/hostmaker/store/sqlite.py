"""The store of control's process on SQLite: WAL, synchronous FULL, so what was answered is on disk.

Every method is one transaction. Only control writes, from one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Desired, Endpoint, Recorded
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.event import Change, EndpointEvent
from hostmaker.domain.model import Model
from hostmaker.domain.role import Role
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.database import is_disk_error, migrate, named_queries
from hostmaker.ports import EventsOf, NameTakenError, StoreUnavailableError
from hostmaker.store.event_log import EventLog

T = TypeVar("T")


class SqliteStore:
    """Implements `ports.Store` and `ports.RoleStore`; raises StoreUnavailableError when the disk does not serve."""

    def __init__(
        self, path: Path, events_of: EventsOf = lambda _: (), noticed: Callable[[], None] = lambda: None
    ) -> None:
        """Open the database at `path`, making or migrating it; raises SchemaTooNewError.

        `events_of` says which events each change of an endpoint tells; `noticed` is called when some have been kept.
        """
        with _translated():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, "hostmaker.store")
        self._sql = named_queries("hostmaker.store")
        self._events = EventLog(self._db, self._sql)
        self._events_of, self._noticed = events_of, noticed
        # What was decoded last of each endpoint, beside its text: the reconciler reads all of them on each look, and
        # few have changed since the last.
        self._decoded: dict[str, tuple[str, str, Endpoint]] = {}

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
            self._tell(None, Endpoint(desired, recorded))
        self._noticed()

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """Give the endpoint of that name, in any case."""
        rows = self._all("endpoint", region, name.lower())
        return self._decode(*rows[0]) if rows else None

    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        """Give all endpoints, of one region or of all."""
        rows = self._all("endpoints") if region is None else self._all("endpoints_of_region", region)
        return [self._decode(*row) for row in rows]

    def put_desired(self, desired: Desired, recorded: Recorded) -> None:
        """Replace what is desired, and the status that the change itself brings, in one transaction."""
        with self._transaction():
            before = self._of_uid(desired.uid)
            values = (desired.generation, _dump(desired), _dump(recorded), desired.uid)
            self._db.execute(self._sql["put_desired"], values)
            if before is not None:
                self._tell(before, Endpoint(desired, recorded))
        self._noticed()

    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        """Replace what is recorded if the desired generation still is `generation`; False when it is not."""
        with self._transaction():
            before = self._of_uid(recorded.uid)
            changed = self._db.execute(self._sql["record"], (_dump(recorded), recorded.uid, generation)).rowcount
            if changed and before is not None:
                self._keep(recorded.uid, ended)
                self._tell(before, Endpoint(before.desired, recorded), ended)
        self._noticed()
        return changed == 1

    def forget_endpoint(self, uid: str, ended: Deployment | None = None) -> None:
        """Drop an endpoint whose deletion is done, and its tags; its deployments stay."""
        with self._transaction():
            before = self._of_uid(uid)
            self._keep(uid, ended)
            self._tell(before, None, ended)
            row = self._db.execute(self._sql["forget_endpoint"], (uid,)).fetchone()
            if row is not None:
                self._db.execute(self._sql["delete_tags_of"], row)
        self._decoded.pop(uid, None)
        self._noticed()

    def deployments(self, region: str, name: str) -> Sequence[Deployment]:
        """Give the deployments that have ended, of all endpoints that ever had that name, the oldest first."""
        return [_load(Deployment, row[0]) for row in self._all("deployments", region, name.lower())]

    def _keep(self, uid: str, ended: Deployment | None) -> None:
        if ended is not None:
            self._db.execute(self._sql["keep_deployment"], (ended.number, _dump(ended), uid))

    def _of_uid(self, uid: str) -> Endpoint | None:
        rows = self._all("endpoint_of_uid", uid)
        return self._decode(*rows[0]) if rows else None

    # Events

    def events(
        self, after: int = 0, most: int = 1000, region: str | None = None, endpoint: str | None = None
    ) -> Sequence[EndpointEvent]:
        """Give events with numbers above `after`, the oldest first, at most so many."""
        with _translated():
            return self._events.read(after, most, region, endpoint)

    def event_numbers(self) -> tuple[int, int]:
        """Give the numbers of the oldest and of the newest event that is kept; (0, 0) when there has been none."""
        with _translated():
            return self._events.numbers()

    def _tell(self, before: Endpoint | None, after: Endpoint | None, ended: Deployment | None = None) -> None:
        of = after or before
        if of is not None:
            self._events.append(self._events_of(Change(before, after, ended, self.tags(of.desired.arn) or {})))

    # Counters

    def next_number(self, counter: str) -> int:
        """Count: 1, 2, 3 ... for each name of a counter, never the same twice."""
        with self._transaction():
            (value,) = self._db.execute(self._sql["next_number"], (counter,)).fetchone()
        return int(value)

    # Tags

    def tags(self, arn: str) -> dict[str, str] | None:
        """Give the tags of a resource in the order they were first set; None when no such resource exists."""
        return {row[0]: row[1] for row in self._all("tags", arn)} if self._has(arn) else None

    def put_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, replacing values of keys that exist; nothing is kept for a resource that does not."""
        with self._transaction():
            if self._has(arn):
                self._set_tags(arn, tags)

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; absent keys are no error."""
        with self._transaction():
            for key in keys:
                self._db.execute(self._sql["delete_tag"], (arn, key))

    # Roles

    def add_role(self, role: Role) -> None:
        """Keep a new role; raises NameTakenError."""
        with self._transaction():
            self._insert("add_role", role.name.lower(), _dump(role))

    def role(self, name: str) -> Role | None:
        """Give the role of that name."""
        return self._one(Role, "role", name.lower())

    # What they share

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                # SQLite has rolled back by itself after some errors (disk full), not after others.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

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

    def _has(self, arn: str) -> bool:
        return bool(self._all("has_arn", arn)[0][0])

    def _decode(self, uid: str, desired: str, recorded: str) -> Endpoint:
        kept = self._decoded.get(uid)
        if kept is None or kept[:2] != (desired, recorded):
            endpoint = Endpoint(_load(Desired, desired), _load(Recorded, recorded))
            kept = self._decoded[uid] = (desired, recorded, endpoint)
        return kept[2]

    def _all(self, name: str, *values: str) -> list[tuple[str, ...]]:
        with _translated():
            return self._db.execute(self._sql[name], values).fetchall()

    def _one(self, cls: type[T], name: str, *values: str) -> T | None:
        rows = self._all(name, *values)
        return _load(cls, rows[0][0]) if rows else None


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what SQLite says of the disk into the port's exception."""
    try:
        yield
    except sqlite3.Error as error:
        if not is_disk_error(error):
            raise
        raise StoreUnavailableError(f"The state database does not serve: {error}.") from error


def _dump(value: object) -> str:
    return json.dumps(encode(value), separators=(",", ":"))


def _load(cls: type[T], document: str) -> T:
    try:
        return decode(cls, json.loads(document))
    except ValueError as error:  # CodecError is one; a database can be whole and hold what nobody can read
        raise StoreUnavailableError(f"The state database holds a record that cannot be read: {error}.") from error
