"""What control and its gateways and nodes say to each other over their links (tagged JSON of `kit.codec`)."""

from __future__ import annotations

from dataclasses import dataclass

from hostmaker.domain.fleet import InstanceFact, InstanceSpec
from hostmaker.domain.routing import TableChange


@dataclass(frozen=True, slots=True)
class GatewayHello:
    """First word of a gateway: which row of counts is its own, and the version of the table it serves."""

    index: int
    pid: int
    version: int


@dataclass(frozen=True, slots=True)
class TableAck:
    """A gateway serves this version from now on."""

    version: int


@dataclass(frozen=True, slots=True)
class TablePush:
    """Control to gateway: change your table; the whole table lies in the table file when the base does not fit."""

    change: TableChange


@dataclass(frozen=True, slots=True)
class NodeHello:
    """First word of a node agent."""

    node_id: str
    boot_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class DesiredInstances:
    """Control to node: the whole set that should run. A node refuses a generation older than the one it has."""

    generation: int
    instances: tuple[InstanceSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Node to control: what is there, all of it, about the desired set of `generation`."""

    generation: int
    instances: tuple[InstanceFact, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceUsage:
    """What one instance used in a minute: CPU in percent of one core, memory and disk in percent of what it has."""

    region: str
    endpoint: str
    variant: str
    cpu_percent: float
    memory_percent: float
    disk_percent: float


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """Node to control: what the instances used in the minute that began at platform second `at`."""

    at: int
    instances: tuple[InstanceUsage, ...] = ()


GATEWAY_MESSAGES = (GatewayHello, TableAck)
NODE_MESSAGES = (NodeHello, NodeFacts, NodeUsage)
HELLOS = (GatewayHello, NodeHello)
