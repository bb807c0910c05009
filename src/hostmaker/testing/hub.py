"""Control's end of its links, over a network that delays, and that the world can cut.

It stands at the ports `Node` and `Routes` for one life of control, as `reconciler.hub` does over sockets: what was sent
is remembered whole, so whoever comes back is told again; messages of one link come in their order or, when it breaks,
not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostmaker.domain.fleet import Known, Unknown
from hostmaker.domain.messages import DesiredInstances, TablePush
from hostmaker.domain.routing import RoutingTable, TableChange
from hostmaker.kit.clock import Clock
from hostmaker.testing.crash import CrashPoints
from hostmaker.testing.fleet import FakeFleet
from hostmaker.testing.gateways import FakeGateways, Gateway

Schedule = Callable[[float, Callable[[], None]], None]


class Link:
    """One direction of a connection: in order, late by what `delay_s` gives; `cut` loses what is under way."""

    def __init__(self, schedule: Schedule, delay_s: Callable[[], float], clock: Clock) -> None:
        self._schedule = schedule
        self._delay_s = delay_s
        self._clock = clock
        self._latest = 0.0
        self.is_open = True

    def send(self, deliver: Callable[[], None]) -> None:
        """Have `deliver` called when the message comes, unless the link is cut before."""
        self._latest = max(self._latest, self._clock.steady() + self._delay_s())
        self._schedule(self._latest, lambda: deliver() if self.is_open else None)

    def cut(self) -> None:
        """Break the connection."""
        self.is_open = False


class FakeHub:
    """One life of control's end. `new_link` makes a connection."""

    def __init__(
        self,
        fleet: FakeFleet,
        gateways: FakeGateways,
        clock: Clock,
        new_link: Callable[[], Link],
        points: CrashPoints,
    ) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._fleet = fleet
        self._gateways = gateways
        self._clock = clock
        self._new_link = new_link
        self._points = points
        self._facts: Known | Unknown = Unknown(clock.now())
        self._desired: DesiredInstances | None = None
        self._to_node: Link | None = None
        self._from_node: Link | None = None
        self._links: dict[Gateway, tuple[Link, Link]] = {}
        self._acknowledged: dict[Gateway, int] = {}

    # Port `Node`

    def put(self, desired: DesiredInstances) -> None:
        """Send the whole set; kept for a node that comes later."""
        self._points.reach("control", "before node.put")
        self._desired = desired
        if self._to_node is not None:
            self._to_node.send(lambda: self._fleet.put(desired))
        self._points.reach("control", "after node.put")

    def seen(self) -> Known | Unknown:
        """Give the facts the node told last."""
        return self._facts

    # Port `Routes`

    def publish(self, table: RoutingTable, change: TableChange) -> None:
        """Write the table file, then send the change to every gateway."""
        self._points.around("control", "writing the table file", lambda: setattr(self._gateways, "file", table))
        for gateway, (link, _) in list(self._links.items()):
            self._push(gateway, link, TablePush(change))
        self._points.reach("control", "after routes.publish")

    def acknowledged(self) -> int | None:
        """Give the lowest version served by a living gateway; one that has not said so serves version 0."""
        return min((self._acknowledged.get(each, 0) for each in self._gateways.living.values()), default=None)

    def outstanding(self, slots: Sequence[int]) -> dict[int, int]:
        """Give the requests inside instances, over all living gateways."""
        return self._gateways.outstanding(slots)

    # The others come and go

    def meet_node(self) -> None:
        """The node agent connects: it is told what to want, and tells what is there."""
        self.lose_node()
        to_node, self._from_node = self._new_link(), self._new_link()
        self._to_node = to_node
        if (desired := self._desired) is not None:
            to_node.send(lambda: self._fleet.put(desired))
        self.hear_node()

    def hear_node(self) -> None:
        """Something has changed at the node: it tells all its facts."""
        if self._from_node is not None:
            told = self._fleet.facts()
            self._from_node.send(lambda: self._hear(told))

    def _hear(self, facts: Known) -> None:
        self._facts = facts
        self.wake()

    def lose_node(self) -> None:
        """The link to the node breaks."""
        for link in (self._to_node, self._from_node):
            if link is not None:
                link.cut()
        self._to_node = self._from_node = None
        self._facts = Unknown(self._clock.now())
        self.wake()

    def meet_gateway(self, gateway: Gateway) -> None:
        """A gateway connects, and says which version it serves."""
        self.lose_gateway(gateway)
        link, back = self._links[gateway] = (self._new_link(), self._new_link())
        self._acknowledge(gateway, back)
        if gateway.table.version != self._gateways.file.version:
            # A base that it cannot have makes it read the file.
            self._push(gateway, link, TablePush(TableChange(base=-1, version=self._gateways.file.version)))

    def _push(self, gateway: Gateway, link: Link, push: TablePush) -> None:
        def take() -> None:
            if gateway.hangs:
                return
            gateway.take(push, self._gateways.file, self._points)
            if gateway in self._links:
                self._acknowledge(gateway, self._links[gateway][1])

        link.send(take)

    def _acknowledge(self, gateway: Gateway, back: Link) -> None:
        version = gateway.table.version

        def heard() -> None:
            self._acknowledged[gateway] = version
            self.wake()

        back.send(heard)

    def lose_gateway(self, gateway: Gateway) -> None:
        """The link to a gateway breaks, or the gateway is gone."""
        for link in self._links.pop(gateway, ()):
            link.cut()
        self._acknowledged.pop(gateway, None)
        self.wake()

    def end(self) -> None:
        """Control has died: every link breaks, and nobody is left to wake."""
        self.wake = lambda: None
        self.lose_node()
        for gateway in list(self._links):
            self.lose_gateway(gateway)
