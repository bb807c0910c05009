"""What the inside asks of the outside. Each port is small, with one contract suite for fake and real adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Desired, Endpoint, Recorded
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.event import Change, EndpointEvent
from hostmaker.domain.fleet import Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.domain.model import Model
from hostmaker.domain.role import Role
from hostmaker.domain.routing import RoutingTable, TableChange
from hostmaker.kit.json_value import Json


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, in which region and for which service (from the signature's scope).

    `role` is the name of the role of temporary credentials; None for a permanent key, which may do everything.
    """

    access_key_id: str
    region: str
    service: str
    role: str | None = None


class Verification(Protocol):
    """The check of one request's signature while its body arrives."""

    def check_head(self) -> bool:
        """Whether the head alone shows who calls, before a byte of the body; raises `domain.errors.AuthError`."""
        ...

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body, in turns of any size."""
        ...

    def finish(self) -> Identity:
        """Say who calls; raises `domain.errors.AuthError`."""
        ...


class Authenticator(Protocol):
    """Verifies signatures."""

    def begin(
        self,
        method: str,
        target: bytes,
        authorization: bytes,
        names: tuple[bytes, ...],
        values: Sequence[bytes],
        now: float,
    ) -> Verification | None:
        """Start the check of a request; `target` is the raw path and query, `now` real Unix seconds.

        `authorization` is the value of that header, empty when there is none. Header names come in lower case, in the
        order of arrival, values as sent. Raises `domain.errors.AuthError` at once for what the head alone shows.
        None: nothing of this request is verified, as the server does without.
        """
        ...


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of an HTTP request: `target` is the raw path and query, `fields` are the headers as sent."""

    method: str
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header of that name, which is in lower case."""
        return next((value for each, value in self.fields if each.lower() == name), None)

    @property
    def host_bucket(self) -> bytes:
        """The bucket that stands in the Host header, as in `BUCKET.localhost:4747`; empty when the path has it."""
        name = (self.header(b"host") or b"").partition(b":")[0]
        return name[: -len(b".localhost")] if name.endswith(b".localhost") else b""


class Resign(Protocol):
    """Signs a request anew that is changed on its way to the object store."""

    def __call__(
        self, asked: RequestHead, sent: RequestHead, now: float, body_sha256: bytes | None = None
    ) -> RequestHead:
        """Return `sent`, signed by whoever has signed `asked`; unsigned requests stay so.

        `now` is real Unix seconds. `body_sha256` is in hex, where the body is changed, too. Raises
        `domain.errors.ApiError` for a signature that does not hold, or that cannot be made anew.
        """
        ...


class SignSession(Protocol):
    """Has a request to the object store that bears a session token signed by the store's key."""

    def __call__(self, asked: RequestHead, now: float) -> tuple[Identity, RequestHead] | None:
        """Return who calls, and the request for the store; None when the store is to judge the token.

        `now` is real Unix seconds. Raises `domain.errors.ApiError` for a token or a signature that does not hold, or
        that cannot be made anew.
        """
        ...


class Objects(Protocol):
    """Reads the object store."""

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object lies at `key`, or, when `key` ends in `/` or is empty, any object under it.

        Raises ObjectsUnavailableError.
        """
        ...

    async def read(self, bucket: str, key: str, most: int) -> bytes:
        """Give a small object, of at most so many bytes.

        Raises ObjectMissingError, ObjectTooLargeError and ObjectsUnavailableError.
        """
        ...


class ExplainerSpecs(Protocol):
    """Keeps what explains endpoints, for the process that explains."""

    def keep(self, content: bytes) -> str:
        """Keep a content that never changes, and give its digest, the SHA-256 in hex; raises StoreUnavailableError.

        Keeping the same again is harmless.
        """
        ...


class ObjectsUnavailableError(Exception):
    """The object store does not answer, or not with what is asked of it."""


class ObjectMissingError(Exception):
    """There is no such object."""


class ObjectKeyError(ObjectsUnavailableError):
    """A key that the client of the object store has no way to ask for; the message says what to do."""


class ObjectForbiddenError(ObjectsUnavailableError):
    """The object store refuses what is asked with this access key."""


class ObjectTooLargeError(Exception):
    """An object has more bytes than are wanted."""


class ObjectDamagedError(Exception):
    """What has come is not what the store says it holds."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """What an object is at a moment: its ETag as the store gives it (empty: it gives none), its bytes."""

    etag: str
    size: int


class StoreUnavailableError(Exception):
    """The store cannot be read or written (disk full, file gone): what was asked has not happened."""


class NameTakenError(Exception):
    """A resource of that name (in any case) exists."""


class ModelStore(Protocol):
    """Keeps models; names are compared without case, within a region."""

    def add_model(self, model: Model, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new model and its tags; raises NameTakenError."""
        ...

    def model(self, region: str, name: str) -> Model | None:
        """Give the model of that name."""
        ...

    def models(self, region: str) -> Sequence[Model]:
        """Give all models of a region, in no particular order."""
        ...

    def delete_model(self, region: str, name: str) -> bool:
        """Forget a model and its tags; False when there was none."""
        ...


class EndpointConfigStore(Protocol):
    """Keeps endpoint configs; names are compared without case, within a region."""

    def add_endpoint_config(self, config: EndpointConfig, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new config and its tags; raises NameTakenError."""
        ...

    def endpoint_config(self, region: str, name: str) -> EndpointConfig | None:
        """Give the config of that name."""
        ...

    def endpoint_configs(self, region: str) -> Sequence[EndpointConfig]:
        """Give all configs of a region, in no particular order."""
        ...

    def delete_endpoint_config(self, region: str, name: str) -> bool:
        """Forget a config and its tags; False when there was none."""
        ...


class EndpointStore(Protocol):
    """Keeps endpoints: desired (written by control) and recorded (written by the reconciler)."""

    def add_endpoint(self, desired: Desired, recorded: Recorded, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new endpoint and its tags; raises NameTakenError."""
        ...

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """Give the endpoint of that name (any case)."""
        ...

    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        """Give all endpoints, of one region or of all."""
        ...

    def put_desired(self, desired: Desired, recorded: Recorded) -> None:
        """Replace what is desired, and the status that the change itself brings (`Deleting`), in one transaction."""
        ...

    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        """Replace what is recorded if the desired generation still is `generation`; False when it is not.

        A deployment that `ended` with it is kept for ever, in the same transaction.
        """
        ...

    def forget_endpoint(self, uid: str, ended: Deployment | None = None) -> None:
        """Drop an endpoint whose deletion is done, and its tags; its deployments stay."""
        ...

    def deployments(self, region: str, name: str) -> Sequence[Deployment]:
        """Give the deployments that have ended, of all endpoints that ever had that name, the oldest first."""
        ...

    def next_number(self, counter: str) -> int:
        """Count: 1, 2, 3 ... for each name of a counter, never the same twice (table versions, generations)."""
        ...


class EventStore(Protocol):
    """Keeps the newest events of endpoints, written in the same transaction as the change that they tell of."""

    def events(
        self, after: int = 0, most: int = 1000, region: str | None = None, endpoint: str | None = None
    ) -> Sequence[EndpointEvent]:
        """Give events with numbers above `after`, the oldest first, at most so many."""
        ...

    def event_numbers(self) -> tuple[int, int]:
        """Give the numbers of the oldest and of the newest event that is kept; (0, 0) when there has been none."""
        ...


class TagStore(Protocol):
    """Keeps tags by ARN."""

    def tags(self, arn: str) -> dict[str, str] | None:
        """Give the tags of a resource in the order they were first set; None when no such resource exists."""
        ...

    def put_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, replacing values of keys that exist; nothing is kept for a resource that does not."""
        ...

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; absent keys are no error."""
        ...


class RoleStore(Protocol):
    """Keeps the roles that were created; names are compared without case."""

    def add_role(self, role: Role) -> None:
        """Keep a new role; raises NameTakenError."""
        ...

    def role(self, name: str) -> Role | None:
        """Give the role of that name."""
        ...


class Store(ModelStore, EndpointConfigStore, EndpointStore, EventStore, TagStore, Protocol):
    """The whole store of control's process."""


class Node(Protocol):
    """The machine that runs instances: told what to want, and asked what it has told."""

    def put(self, desired: DesiredInstances) -> None:
        """Send the whole set that should run; putting the same again is harmless."""
        ...

    def seen(self) -> Known | Unknown:
        """Give the facts it told last."""
        ...


class Routes(Protocol):
    """The gateways: told the routing table, and asked which one they serve."""

    def publish(self, table: RoutingTable, change: TableChange) -> None:
        """Keep the whole table where a starting gateway finds it, then send the change to those that live."""
        ...

    def acknowledged(self) -> int | None:
        """Give the lowest version that every living gateway serves; None when no gateway lives."""
        ...

    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        """Give the requests inside the instances of these slots, over all living gateways."""
        ...


class Alarms(Protocol):
    """The alarms that deployments watch."""

    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        """Give what is known of alarms by name; one that does not exist is not in it."""
        ...


EventsOf: TypeAlias = Callable[[Change], Sequence[EndpointEvent]]
"""Says which events a change of an endpoint tells; pure."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who makes a management call, and where. `role` is as in `Identity`."""

    region: str
    account: str
    access_key_id: str
    request_id: str
    role: str | None = None


Output: TypeAlias = Mapping[str, object] | None
Handler: TypeAlias = Callable[[CallContext, dict[str, Json]], Output | Awaitable[Output]]
"""Carries out one operation: gives its output (None: it has none), raises `domain.errors.ApiError`."""
