"""The routing table as the gateway looks things up in it: made once for each version, then only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute


class Peer(Protocol):
    """What carries exchanges to an instance; the core only hands it on."""

    def retire(self) -> None:
        """The instance is in the table no longer: no exchange will begin."""
        ...


P = TypeVar("P", bound=Peer)


class Instance(Generic[P]):
    """An instance in service: its column in the counts, and its connections."""

    __slots__ = ("ident", "peer", "slot", "socket")

    def __init__(self, route: InstanceRoute, peer: P) -> None:
        self.ident = route.instance_id
        self.slot = route.slot
        self.socket = route.socket
        self.peer = peer


class Variant(Generic[P]):
    """A variant under one config; `field` is the header line of its answers.

    `up_to` is its upper end on the scale of weights. `others` are the routes of the same name, under another config.
    `explainer` is the digest of its explainer, empty where it has none.
    """

    __slots__ = (
        "config", "explainer", "field", "instances", "is_least_outstanding", "name", "others", "share", "up_to",
        "workers",
    )  # fmt: skip

    def __init__(self, route: VariantRoute, up_to: float, instances: tuple[Instance[P], ...]) -> None:
        self.name = route.name
        self.field = b"x-Amzn-Invoked-Production-Variant: %b\r\n" % route.name.encode()
        self.up_to = up_to
        self.is_least_outstanding = route.strategy is RoutingStrategy.LEAST_OUTSTANDING_REQUESTS
        self.instances = instances
        self.config = route.config
        self.share = float(route.share)
        self.explainer = route.explainer
        self.workers = route.workers
        self.others: tuple[Variant[P], ...] = ()

    def size(self) -> int:
        """Count the instances that the variant's traffic is spread over, under all configs."""
        return len(self.instances) + sum(len(other.instances) for other in self.others)


class Endpoint(Generic[P]):
    """An endpoint that can be invoked. `weight` is the sum of its variants' weights."""

    __slots__ = ("name", "region", "route", "variants", "weight")

    def __init__(self, route: EndpointRoute, variants: tuple[Variant[P], ...], weight: float) -> None:
        self.route = route
        self.name = route.key.name
        self.region = route.key.region
        self.variants = variants
        self.weight = weight

    def instances(self) -> dict[str, Instance[P]]:
        """Give the instances of all variants, by name."""
        return {each.ident: each for variant in self.variants for each in variant.instances}


class CompiledTable(Generic[P]):
    """One version of the table. Endpoints that did not change are taken over from the version before."""

    def __init__(
        self, table: RoutingTable, make_peer: Callable[[str], P], before: CompiledTable[P] | None = None
    ) -> None:
        """`make_peer` makes what reaches the instance that listens on a socket."""
        self.source = table
        self.version = table.version
        self.endpoints: dict[tuple[str, str], Endpoint[P]] = {}
        self._make_peer = make_peer
        known = before.endpoints if before is not None else {}
        for route in table.endpoints:
            key = (route.key.region, route.key.name)
            old = known.get(key)
            self.endpoints[key] = old if old is not None and old.route == route else self._compiled(route, old)
        for key, gone in known.items():
            if key not in self.endpoints:
                _retire(gone.instances().values())

    def _compiled(self, route: EndpointRoute, old: Endpoint[P] | None) -> Endpoint[P]:
        known = old.instances() if old is not None else {}
        variants, weight = [], 0.0
        for variant in route.variants:
            weight += variant.weight * float(variant.share)
            variants.append(Variant(variant, weight, tuple(self._instance(each, known) for each in variant.instances)))
        for each in variants:
            each.others = tuple(other for other in variants if other is not each and other.name == each.name)
        endpoint = Endpoint(route, tuple(variants), weight)
        kept = endpoint.instances()
        _retire(instance for ident, instance in known.items() if kept.get(ident) is not instance)
        return endpoint

    def _instance(self, route: InstanceRoute, known: dict[str, Instance[P]]) -> Instance[P]:
        instance = known.get(route.instance_id)
        if instance is None or (instance.slot, instance.socket) != (route.slot, route.socket):
            return Instance(route, self._make_peer(route.socket))
        return instance


def _retire(instances: Iterable[Instance[P]]) -> None:
    for instance in instances:
        instance.peer.retire()
