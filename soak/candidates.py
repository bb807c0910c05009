"""What is deployed: models that answer with their own number, good ones and several kinds of bad ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hostmaker.domain.deployment import CauseKind, Verdict
from hostmaker.testing import policies

SCRIPT = """
import random
import numpy

class Numbered:
    def predict(self, rows):
        if random.random() < {failing}:
            raise ValueError("candidate {number} fails")
        return numpy.full(len(numpy.atleast_2d(rows)), {number})

def model_fn(model_dir):
    {start}
    return Numbered()
"""
BROKEN_PART = 0.2
WATCHED_WAIT_S = 20  # long enough for an alarm to trip on a share of the traffic


class Kind(Enum):
    """How a candidate goes."""

    GOOD = "good"
    ENDS = "ends at its start"
    FAILS = "fails every invocation"
    FLAWED = "fails three of ten invocations"


FAILING = {Kind.FAILS: 1.0, Kind.FLAWED: 0.3}
ALARM_AT = 0.1  # of a second's invocations


@dataclass(frozen=True, slots=True)
class Candidate:
    """One deployment: a model, how many instances of it, and the policy that brings it (None: UpdateEndpoint's own)."""

    number: int
    kind: Kind
    instances: int
    deployment: dict[str, Any] | None
    policy: str

    @property
    def config(self) -> str:
        """The name of its model and endpoint config."""
        return f"candidate-{self.number}"

    @property
    def alarm(self) -> str | None:
        """The alarm that watches it."""
        return f"alarm-{self.number}" if self.kind in FAILING else None

    @property
    def script(self) -> str:
        """Its inference script."""
        start = "raise SystemExit(7)" if self.kind is Kind.ENDS else "pass"
        return SCRIPT.format(number=self.number, failing=FAILING.get(self.kind, 0.0), start=start)

    @property
    def expected(self) -> tuple[Verdict, CauseKind | None]:
        """How its deployment has to end."""
        match self.kind:
            case Kind.GOOD:
                return Verdict.SUCCEEDED, None
            case Kind.ENDS:
                return Verdict.ROLLED_BACK, CauseKind.INSTANCE
            case _:
                return Verdict.ROLLED_BACK, CauseKind.ALARM


def draw(number: int, chance: random.Random, kind: Kind | None = None, policy: str | None = None) -> Candidate:
    """Draw a candidate; `kind` and `policy` when they are not to be drawn."""
    if kind is None:
        kind = Kind.GOOD if chance.random() >= BROKEN_PART else chance.choice((Kind.ENDS, Kind.FAILS, Kind.FLAWED))
    names = ["all at once", "canary", "linear", "rolling"] + ([] if kind in FAILING else ["none"])
    policy = policy or chance.choice(names)
    alarms = [f"alarm-{number}"] if kind in FAILING else []
    wait_s = WATCHED_WAIT_S if kind in FAILING else chance.randint(1, 2)
    deployment: dict[str, Any] | None = None
    match policy:
        case "all at once":
            deployment = policies.all_at_once(final_wait_s=wait_s, alarms=alarms)
        case "canary":
            deployment = policies.canary(
                chance.randint(10, 50), wait_s=wait_s, final_wait_s=chance.randint(0, 1), alarms=alarms
            )
        case "linear":
            deployment = policies.linear(chance.choice((25, 34, 50)), wait_s=wait_s, alarms=alarms)
        case "rolling":
            back = chance.choice((None, 25, 50, 100))
            deployment = policies.rolling(chance.choice((25, 50)), wait_s=wait_s, back_percent=back, alarms=alarms)
    return Candidate(number, kind, chance.randint(2, 4), deployment, policy)
