"""The server's own pages, where what they need cannot be had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from hostmaker.control.app import management_app
from hostmaker.control.services import Services
from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.fleet import Known
from hostmaker.ports import Store, StoreUnavailableError
from hostmaker.testing.clock import VirtualClock
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs
from hostmaker.testing.objects import MemoryObjects


class Away:
    """A store whose disk has gone."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailableError("The state database does not serve: disk I/O error.")


class NoAlarms:
    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        return {}


def get(path: str) -> tuple[int, Any]:
    """Ask an application whose store is away for a page."""
    clock = VirtualClock()
    services = Services(
        store=cast("Store", Away()),
        objects=MemoryObjects(),
        specs=MemoryExplainerSpecs(),
        now=clock.now,
        new_id=lambda: "uid",
        wake=lambda: None,
        facts=lambda: Known(1),
        warn=lambda region, endpoint, members: None,
        alarms=NoAlarms(),
        account="123456789012",
    )
    app = management_app(services, {}, "us-east-1")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize("path", ["/_hostmaker/deployments/us-east-1/fraud", "/_hostmaker/status"])
def test_a_page_that_needs_a_store_that_is_away_says_so(path: str) -> None:
    assert get(path) == (503, {"error": "The state database does not serve: disk I/O error."})
