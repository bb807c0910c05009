"""The role `explainer`: explains invocations; started when the first one is to be explained."""

from __future__ import annotations

from hostmaker.assembly.role import Start, start_role
from hostmaker.explanations.server import ExplainerSettings, serve


async def main(start: Start) -> None:
    """Serve until cancelled."""
    settings = start.joined.settings
    assert start.listener is not None
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
