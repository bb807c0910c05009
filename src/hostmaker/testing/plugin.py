"""Fixtures for pytest, there wherever hostmaker is installed: `hostmaker`, a real server, and `hostmaker_world`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hostmaker.testing.real_server import Server
    from hostmaker.testing.world import World


@pytest.fixture(scope="session")
def hostmaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the clock in hand, shared by all tests of a session: `hostmaker.client("sagemaker")`."""
    from hostmaker.testing.real_server import server

    with server(tmp_path_factory.mktemp("hostmaker") / "data") as running:
        yield running


@pytest.fixture
def hostmaker_world() -> World:
    """A simulated machine of its own for each test, in virtual time."""
    from hostmaker.testing.world import World

    return World()
