"""The routing table as the gateway looks things up in it: made once for each version, then only read."""

from __future__ import annotations

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.routing import EndpointRoute, RoutingTable, VariantRoute
from hostmaker.gateway.upstream import Peer


class Instance:
    """An instance in service: its column in the counts, and its connections."""

    __slots__ = ("ident", "peer", "slot")

    def __init__(self, ident: str, slot: int, peer: Peer) -> None:
        self.ident = ident
        self.slot = slot
        self.peer = peer


class Variant:
    """A variant; `name_bytes` stands in the answers. `up_to` is its upper end on the scale of weights."""

    __slots__ = ("instances", "is_least_outstanding", "name", "name_bytes", "up_to")

    def __init__(self, route: VariantRoute, up_to: float, instances: tuple[Instance, ...]) -> None:
        self.name = route.name
        self.name_bytes = route.name.encode()
        self.up_to = up_to
        self.is_least_outstanding = route.strategy is RoutingStrategy.LEAST_OUTSTANDING_REQUESTS
        self.instances = instances


class Endpoint:
    """An endpoint that can be invoked. `weight` is the sum of its variants' weights."""

    __slots__ = ("name", "region", "variants", "weight")

    def __init__(self, route: EndpointRoute, variants: tuple[Variant, ...], weight: float) -> None:
        self.name = route.key.name
        self.region = route.key.region
        self.variants = variants
        self.weight = weight


class CompiledTable:
    """One version of the table. Instances that were there before keep their connections."""

    def __init__(self, table: RoutingTable, before: CompiledTable | None = None) -> None:
        self.source = table
        self.version = table.version
        self.instances: dict[str, Instance] = {}
        known = before.instances if before is not None else {}
        self.endpoints = {(route.key.region, route.key.name): self._endpoint(route, known) for route in table.endpoints}
        for ident, instance in known.items():
            if ident not in self.instances:
                instance.peer.retire()

    def _endpoint(self, route: EndpointRoute, known: dict[str, Instance]) -> Endpoint:
        variants, weight = [], 0.0
        for variant in route.variants:
            weight += variant.weight
            instances = tuple(self._instance(i.instance_id, i.slot, i.socket, known) for i in variant.instances)
            variants.append(Variant(variant, weight, instances))
        return Endpoint(route, tuple(variants), weight)

    def _instance(self, ident: str, slot: int, socket: str, known: dict[str, Instance]) -> Instance:
        instance = known.get(ident)
        if instance is None or instance.slot != slot or instance.peer.path != socket:
            instance = Instance(ident, slot, Peer(socket))
        self.instances[ident] = instance
        return instance
