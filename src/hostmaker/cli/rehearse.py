"""`hostmaker rehearse`: hours in milliseconds, with the true control, planner and gateway core."""

from __future__ import annotations

import difflib
from pathlib import Path

import typer

from hostmaker.testing.scenario import ScenarioError, play, read_scenario


def rehearse_file(path: Path, seed: int, write: bool) -> None:
    """Print the timeline, or how it differs from the expected one; exits with 1 when it does, 2 for a broken file."""
    scenario = read_scenario(path.read_text())
    try:
        timeline = play(scenario, seed)
    except ScenarioError as error:
        typer.echo(f"{path}: {error}", err=True)
        raise typer.Exit(2) from error
    except AssertionError as error:
        typer.echo(f"{path}: {error}", err=True)
        raise typer.Exit(1) from error
    if write:
        path.write_text(scenario.text(timeline))
    if write or not scenario.expected or timeline == scenario.expected:
        typer.echo(timeline)
        return
    lines = difflib.unified_diff(scenario.expected.splitlines(), timeline.splitlines(), "expected", "happened", "", "")
    typer.echo("\n".join(line.rstrip("\n") for line in lines))
    raise typer.Exit(1)
