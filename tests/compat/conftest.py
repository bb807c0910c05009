"""One server for all clients, with a data directory and a port of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Server

from .clients import Client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server") / "data")
    yield running.start()
    running.stop()


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Callable[[str], Client]:
    """Give a client by the name of its requirements, with an empty home."""
    return lambda name: Client(name, server.ready, tmp_path)
