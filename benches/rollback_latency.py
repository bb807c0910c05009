"""`python -m benches.rollback_latency`: from an alarm to the last request that the new fleet gets.

Canaries that fail every invocation, one after the other, under a steady load. Printed are two times: from the change of
the alarm's state, and from the end of the second whose datapoint tripped it, to the moment at which the last request
was sent that reached the new fleet. Below zero: it had been sent before.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from soak.candidates import Kind, draw
from soak.deployments import Rollouts
from tests.integration.conftest import Server

console = Console()


def main() -> None:
    """Roll back so often, and print the times."""
    parser = argparse.ArgumentParser(prog="python -m benches.rollback_latency", description=__doc__)
    parser.add_argument("--rollbacks", type=int, default=20)
    parser.add_argument("--per-second", type=float, default=50.0, help="requests")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - repeats a run, keeps no secret
    candidates = [draw(number, chance, Kind.FAILS, "canary") for number in range(1, arguments.rollbacks + 1)]
    with tempfile.TemporaryDirectory(prefix="hm-bench-") as root:
        server = Server(Path(root) / "data").start()
        try:
            rollouts = Rollouts(server, arguments.seed, arguments.per_second)
            rollouts.begin()
            changes, data = [], []
            for course in rollouts.run(candidates):
                for text in course.broken:
                    console.print(f"BROKEN: {text}", highlight=False)
                if course.change_to_last_s is not None and course.datum_to_last_s is not None:
                    changes.append(course.change_to_last_s)
                    data.append(course.datum_to_last_s)
        finally:
            server.stop()
    table = Table("seconds to the last request that the new fleet got", "least", "median", "most", "of", box=None)
    for name, seconds in (("from the alarm's change", changes), ("from the end of the datapoint's second", data)):
        table.add_row(name, *_spread(seconds), str(len(seconds)))
    console.print(table)


def _spread(seconds: Sequence[float]) -> tuple[str, str, str]:
    return f"{min(seconds):.3f}", f"{statistics.median(seconds):.3f}", f"{max(seconds):.3f}"


if __name__ == "__main__":
    main()
