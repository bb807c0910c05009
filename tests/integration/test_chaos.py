"""Roles and instances are killed under load: a small part of `make soak`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from soak.processes import VICTIMS, House, attack

from .conftest import Server


def test_whoever_is_killed_only_what_had_reached_it_fails(start_server: Callable[..., Server]) -> None:
    server = start_server()
    began = time.monotonic()
    server.create("fraud", count=3)
    assert server.wait_while("fraud", "Creating")["EndpointStatus"] == "InService"
    ready = server.data_dir.with_suffix(".ready")
    house = House(server.data_dir, lambda: json.loads(ready.read_text()), server.stop)
    report = attack(house, "fraud", len(VICTIMS), 100, seed=1, start_s=time.monotonic() - began)
    assert report.unexplained == []
    assert report.left == []
    assert report.invocations > 300
    assert {kill.victim for kill in report.kills} == set(VICTIMS)
    assert all(kill.failed == 0 for kill in report.kills if kill.victim in ("control", "node", "store"))
