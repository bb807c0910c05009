"""`python -m soak.attacks [SECONDS [NAME ...]]`: attacks on a gateway, each beside a client that must not notice it.

Exit code 1 when an invocation of that client failed, or the gateway's memory grew beyond its room for bodies.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from soak.attacked import Figures, measure
from soak.attacked_gateway import ROOM
from soak.attacker import ATTACKS

MAX_GROWN_MIB = 2.5 * ROOM / 1024 / 1024  # the room, bodies that are joined, and what the allocator keeps


def tell(done: list[Figures], console: Console) -> list[Figures]:
    """Print the figures; return the attacks that had an effect."""
    table = Table("attack", "invocations", "failed", "slowest", "memory grew", "CPU", box=None)
    for each in done:
        table.add_row(
            each.attack, str(each.invocations), str(len(each.failed)), f"{each.worst_ms:.0f} ms",
            f"{each.grown_mib:.0f} MiB", f"{each.cpu_s:.1f} s",
        )  # fmt: skip
    console.print(table)
    for each in done:
        for text in each.failed[:2]:
            console.print(f"{each.attack}: {text}", highlight=False)
    return [each for each in done if not is_harmless(each)]


def is_harmless(figures: Figures) -> bool:
    """Whether no invocation failed, and the gateway's memory stayed within its bounds."""
    return figures.invocations > 0 and not figures.failed and figures.grown_mib <= MAX_GROWN_MIB


if __name__ == "__main__":
    asked_s = float((sys.argv[1:] or ["1"])[0])
    sys.exit(1 if tell([measure(name, asked_s) for name in sys.argv[2:] or ATTACKS], Console()) else 0)
