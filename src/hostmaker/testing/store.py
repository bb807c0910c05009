"""A store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Desired, Endpoint, Recorded
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.event import Change, EndpointEvent
from hostmaker.domain.model import Model
from hostmaker.domain.role import Role
from hostmaker.ports import EventsOf, NameTakenError

T = TypeVar("T")
Key = tuple[str, str]


class MemoryStore:
    """Implements `ports.Store` and `ports.RoleStore`; forgets everything with the process."""

    def __init__(self, events_of: EventsOf = lambda _: ()) -> None:
        """`events_of` says which events each change of an endpoint tells."""
        self._events_of = events_of
        self._events: list[EndpointEvent] = []
        self._models: dict[Key, Model] = {}
        self._configs: dict[Key, EndpointConfig] = {}
        self._endpoints: dict[str, Endpoint] = {}  # by uid
        self._uids: dict[Key, str] = {}
        self._roles: dict[Key, Role] = {}
        self._tags: dict[str, dict[str, str]] = {}  # every resource has an entry
        self._counters: dict[str, int] = {}
        self._deployments: dict[tuple[Key, str, int], Deployment] = {}

    def add_model(self, model: Model, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new model and its tags; raises NameTakenError."""
        _add(self._models, (model.region, model.name.lower()), model)
        self._tags[model.arn] = dict(tags)

    def model(self, region: str, name: str) -> Model | None:
        """Give the model of that name."""
        return self._models.get((region, name.lower()))

    def models(self, region: str) -> Sequence[Model]:
        """Give all models of a region."""
        return _of_region(self._models, region)

    def delete_model(self, region: str, name: str) -> bool:
        """Forget a model and its tags; False when there was none."""
        model = self._models.pop((region, name.lower()), None)
        return model is not None and self._tags.pop(model.arn, None) is not None

    def add_endpoint_config(self, config: EndpointConfig, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new config and its tags; raises NameTakenError."""
        _add(self._configs, (config.region, config.name.lower()), config)
        self._tags[config.arn] = dict(tags)

    def endpoint_config(self, region: str, name: str) -> EndpointConfig | None:
        """Give the config of that name."""
        return self._configs.get((region, name.lower()))

    def endpoint_configs(self, region: str) -> Sequence[EndpointConfig]:
        """Give all configs of a region."""
        return _of_region(self._configs, region)

    def delete_endpoint_config(self, region: str, name: str) -> bool:
        """Forget a config and its tags; False when there was none."""
        config = self._configs.pop((region, name.lower()), None)
        return config is not None and self._tags.pop(config.arn, None) is not None

    def add_endpoint(self, desired: Desired, recorded: Recorded, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new endpoint and its tags; raises NameTakenError."""
        _add(self._uids, (desired.region, desired.name.lower()), desired.uid)
        self._endpoints[desired.uid] = Endpoint(desired, recorded)
        self._tags[desired.arn] = dict(tags)
        self._tell(None, self._endpoints[desired.uid])

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """Give the endpoint of that name, in any case."""
        uid = self._uids.get((region, name.lower()))
        return self._endpoints[uid] if uid is not None else None

    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        """Give all endpoints, of one region or of all."""
        return [e for _, e in sorted(self._endpoints.items()) if region in (None, e.desired.region)]

    def put_desired(self, desired: Desired, recorded: Recorded) -> None:
        """Replace what is desired, and the status that the change itself brings."""
        before = self._endpoints.get(desired.uid)
        if before is not None:
            self._endpoints[desired.uid] = Endpoint(desired, recorded)
            self._tell(before, self._endpoints[desired.uid])

    def record(self, recorded: Recorded, generation: int, ended: Deployment | None = None) -> bool:
        """Replace what is recorded if the desired generation still is `generation`; False when it is not."""
        endpoint = self._endpoints.get(recorded.uid)
        if endpoint is None or endpoint.desired.generation != generation:
            return False
        self._endpoints[recorded.uid] = Endpoint(endpoint.desired, recorded)
        self._keep(endpoint, ended)
        self._tell(endpoint, self._endpoints[recorded.uid], ended)
        return True

    def deployments(self, region: str, name: str) -> Sequence[Deployment]:
        """Give the deployments that have ended, of all endpoints that ever had that name, the oldest first."""
        return [kept for (of, _, _), kept in self._deployments.items() if of == (region, name.lower())]

    def _keep(self, endpoint: Endpoint, ended: Deployment | None) -> None:
        if ended is not None:
            key = (endpoint.desired.region, endpoint.desired.name.lower())
            self._deployments[key, endpoint.desired.uid, ended.number] = ended

    def forget_endpoint(self, uid: str, ended: Deployment | None = None) -> None:
        """Drop an endpoint whose deletion is done, and its tags; its deployments stay."""
        endpoint = self._endpoints.pop(uid, None)
        if endpoint is not None:
            self._keep(endpoint, ended)
            self._tell(endpoint, None, ended)
            del self._uids[endpoint.desired.region, endpoint.desired.name.lower()]
            del self._tags[endpoint.desired.arn]

    def events(
        self, after: int = 0, most: int = 1000, region: str | None = None, endpoint: str | None = None
    ) -> Sequence[EndpointEvent]:
        """Give events with numbers above `after`, the oldest first, at most so many."""
        name = None if endpoint is None else endpoint.lower()
        found = (e for e in self._events[after:] if region in (None, e.region) and name in (None, e.endpoint.lower()))
        return list(found)[:most]

    def event_numbers(self) -> tuple[int, int]:
        """Give the numbers of the oldest and of the newest event that is kept; (0, 0) when there has been none."""
        return (1, len(self._events)) if self._events else (0, 0)

    def _tell(self, before: Endpoint | None, after: Endpoint | None, ended: Deployment | None = None) -> None:
        of = after or before
        assert of is not None
        told = self._events_of(Change(before, after, ended, self.tags(of.desired.arn) or {}))
        for event in told:
            self._events.append(replace(event, number=len(self._events) + 1))

    def next_number(self, counter: str) -> int:
        """Count: 1, 2, 3 ... for each name of a counter."""
        self._counters[counter] = self._counters.get(counter, 0) + 1
        return self._counters[counter]

    def tags(self, arn: str) -> dict[str, str] | None:
        """Give the tags of a resource in the order they were first set; None when no such resource exists."""
        tags = self._tags.get(arn)
        return None if tags is None else dict(tags)

    def put_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, replacing values of keys that exist; nothing is kept for a resource that does not."""
        if arn in self._tags:
            self._tags[arn].update(tags)

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; absent keys are no error."""
        for key in keys:
            self._tags.get(arn, {}).pop(key, None)

    def add_role(self, role: Role) -> None:
        """Keep a new role; raises NameTakenError."""
        _add(self._roles, ("", role.name.lower()), role)

    def role(self, name: str) -> Role | None:
        """Give the role of that name."""
        return self._roles.get(("", name.lower()))


def _add(kept: dict[Key, T], key: Key, value: T) -> None:
    if key in kept:
        raise NameTakenError(f"{key[1]} exists")
    kept[key] = value


def _of_region(kept: Mapping[Key, T], region: str) -> Sequence[T]:
    return [value for key, value in kept.items() if key[0] == region]
