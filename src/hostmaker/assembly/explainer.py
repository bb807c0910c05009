"""The role `explainer`: started by the supervisor when a gateway first asks for an explanation."""

from __future__ import annotations

import os

from hostmaker.assembly.role import Start, start_role
from hostmaker.explanations.server import ExplainerSettings, serve

NICENESS = 5  # its work is long and in batches: invocations of other endpoints go first


async def main(start: Start) -> None:
    """Serve until cancelled."""
    settings = start.joined.settings
    assert start.listener is not None
    os.nice(NICENESS)
    await serve(
        start.listener,
        ExplainerSettings(
            run_dir=start.run_dir,
            specs=settings.data / "explainers",
            parallel_calls=settings.explainer.parallel_calls,
            most_units=settings.explainer.most_units,
            most_at_once=settings.explainer.most_at_once,
            most_rows=settings.explainer.most_rows,
        ),
    )


if __name__ == "__main__":
    start_role("explainer", main)
