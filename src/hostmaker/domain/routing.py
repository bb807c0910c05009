"""Routing tables: what gateways know of endpoints. A table is an immutable snapshot with a version, swapped whole."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.names import EndpointKey


@dataclass(frozen=True, slots=True)
class InstanceRoute:
    """An instance in service. `slot` is its column in the gateways' shared counts, not reused until acknowledged."""

    instance_id: str
    slot: int
    socket: str


@dataclass(frozen=True, slots=True)
class VariantRoute:
    """A variant under one endpoint config, and its instances in service.

    While a deployment shifts traffic, a variant has two routes of one name: `share` is each one's part of the variant's
    traffic, in [0, 1], and both sum to 1. Without an instance, the other route of that name takes over; without one
    there either, invocations are answered 503. `explainer` is the digest of the explainer that answers in the model's
    place; empty: there is none. `workers` is how many requests an instance does at once, 0 where the model does not
    say: known for what has an explainer.
    """

    name: str
    weight: float
    strategy: RoutingStrategy = RoutingStrategy.RANDOM
    instances: tuple[InstanceRoute, ...] = ()
    config: str = ""
    share: Fraction = Fraction(1)
    explainer: str = ""
    workers: int = 0


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """An endpoint that can be invoked: one that is being created or deleted, or has failed, is not in the table."""

    key: EndpointKey
    variants: tuple[VariantRoute, ...]


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All endpoints, at one version. This is also what the table file holds (JSON by `hostmaker.kit.codec`)."""

    version: int
    account: str
    boot_id: str
    endpoints: tuple[EndpointRoute, ...] = ()


@dataclass(frozen=True, slots=True)
class TableChange:
    """What turns the table of version `base` into the one of `version`."""

    base: int
    version: int
    changed: tuple[EndpointRoute, ...] = ()
    removed: tuple[EndpointKey, ...] = ()


class StaleTableError(Exception):
    """A change was made for another version than the one at hand."""


def apply_change(table: RoutingTable, change: TableChange) -> RoutingTable:
    """Give the table after `change`; raises StaleTableError when it was made for another version."""
    if change.base != table.version:
        raise StaleTableError(f"change is for version {change.base}, table has version {table.version}")
    by_key = {route.key: route for route in table.endpoints}
    by_key.update({route.key: route for route in change.changed})
    for key in change.removed:
        by_key.pop(key, None)
    return RoutingTable(change.version, table.account, table.boot_id, tuple(by_key[key] for key in sorted(by_key)))
