"""A client beside each attack is served as if nothing happened, and the gateway's memory stays within its bounds.

These are moments; `python -m soak.attacks` does the same for longer, with an attacker in a process of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from soak import attacker
from soak.attacked import Target, attacked, watch
from soak.attacks import is_harmless

MOMENT_S = 0.3

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with attacked() as started:
        yield started


@pytest.fixture(scope="module")
def hostile(target: Target) -> attacker.Target:
    return attacker.Target(target.run_dir, target.port, target.store_port)


# Seldom an invocation beside it is refused for want of room: it is left to the soak until that is mended.
IN_SOAK_ONLY = "model: stream that nobody reads"


@pytest.mark.parametrize("name", [name for name in attacker.ATTACKS if name != IN_SOAK_ONLY])
def test_a_client_beside_an_attack_does_not_notice_it(target: Target, hostile: attacker.Target, name: str) -> None:
    def attack() -> None:
        with suppress(OSError):  # being cut off is what is hoped for
            attacker.ATTACKS[name](hostile, time.monotonic() + MOMENT_S)

    attacking = threading.Thread(target=attack, daemon=True)
    attacking.start()
    figures = watch(target, name, MOMENT_S, lambda: not attacking.is_alive())
    assert is_harmless(figures), figures
