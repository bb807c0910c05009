"""Mutated requests of every served operation: a small part of `make soak`."""

from __future__ import annotations

from collections.abc import Callable

from soak.fuzz.api import Prober
from soak.fuzz.requests import mutants

from .conftest import Server

SEED = 7


def test_mutated_requests_are_answered_by_the_model(start_server: Callable[..., Server]) -> None:
    server = start_server()
    findings = Prober(server.ready).run(mutants(SEED, 200))
    assert findings.wrong == []
    assert findings.sent == 200
    assert findings.statuses[200] > 20  # not everything is refused at the first check


def test_the_same_seed_gives_the_same_requests() -> None:
    assert [str(each) for each in mutants(SEED, 50)] == [str(each) for each in mutants(SEED, 50)]
