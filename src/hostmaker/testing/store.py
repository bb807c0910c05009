"""A store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hostmaker.domain.endpoint import Desired, Endpoint, Recorded
from hostmaker.domain.endpoint_config import EndpointConfig
from hostmaker.domain.model import Model
from hostmaker.ports import NameTakenError

T = TypeVar("T")


class MemoryStore:
    """Implements `ports.Store`; forgets everything with the process."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], Model] = {}
        self._configs: dict[tuple[str, str], EndpointConfig] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._counters: dict[str, int] = {}

    def add_model(self, model: Model, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new model and its tags; raises NameTakenError."""
        _add(self._models, (model.region, model.name.lower()), model)
        self._tags[model.arn] = dict(tags)

    def model(self, region: str, name: str) -> Model | None:
        """Give the model of that name."""
        return self._models.get((region, name.lower()))

    def models(self, region: str) -> Sequence[Model]:
        """Give all models of a region."""
        return [model for model in self._models.values() if model.region == region]

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
        return [config for config in self._configs.values() if config.region == region]

    def delete_endpoint_config(self, region: str, name: str) -> bool:
        """Forget a config and its tags; False when there was none."""
        config = self._configs.pop((region, name.lower()), None)
        return config is not None and self._tags.pop(config.arn, None) is not None

    def add_endpoint(self, desired: Desired, recorded: Recorded, tags: Sequence[tuple[str, str]]) -> None:
        """Keep a new endpoint and its tags; raises NameTakenError."""
        _add(self._endpoints, (desired.region, desired.name.lower()), Endpoint(desired, recorded))
        self._tags[desired.arn] = dict(tags)

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """Give the endpoint of that name, in any case."""
        return self._endpoints.get((region, name.lower()))

    def endpoints(self, region: str | None = None) -> Sequence[Endpoint]:
        """Give all endpoints, of one region or of all."""
        found = (e for e in self._endpoints.values() if region in (None, e.desired.region))
        return sorted(found, key=lambda endpoint: endpoint.desired.uid)

    def put_desired(self, desired: Desired, recorded: Recorded) -> None:
        """Replace what is desired, and the status that the change itself brings."""
        self._endpoints[desired.region, desired.name.lower()] = Endpoint(desired, recorded)

    def record(self, recorded: Recorded, generation: int) -> bool:
        """Replace what is recorded if the desired generation still is `generation`; False when it is not."""
        for key, endpoint in self._endpoints.items():
            if endpoint.desired.uid == recorded.uid and endpoint.desired.generation == generation:
                self._endpoints[key] = Endpoint(endpoint.desired, recorded)
                return True
        return False

    def forget_endpoint(self, uid: str) -> None:
        """Drop an endpoint whose deletion is done, and its tags."""
        for key, endpoint in list(self._endpoints.items()):
            if endpoint.desired.uid == uid:
                del self._endpoints[key]
                self._tags.pop(endpoint.desired.arn, None)

    def next_number(self, counter: str) -> int:
        """Count: 1, 2, 3 ... for each name of a counter."""
        self._counters[counter] = self._counters.get(counter, 0) + 1
        return self._counters[counter]

    def tags(self, arn: str) -> dict[str, str] | None:
        """Give the tags of a resource in the order they were first set; None when no such resource exists."""
        tags = self._tags.get(arn)
        return None if tags is None else dict(tags)

    def put_tags(self, arn: str, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, replacing values of keys that exist."""
        self._tags.setdefault(arn, {}).update(tags)

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; absent keys are no error."""
        for key in keys:
            self._tags.get(arn, {}).pop(key, None)


def _add(kept: dict[tuple[str, str], T], key: tuple[str, str], value: T) -> None:
    if key in kept:
        raise NameTakenError(f"{key[1]} exists in {key[0]}")
    kept[key] = value
