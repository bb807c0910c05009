"""`hostmaker environments`: the environments of models on this machine; made ahead of time, looked at, removed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from hostmaker.assembly.prepare import handler_digest
from hostmaker.environments.build import Cache, Wanted, default_cache
from hostmaker.environments.catalog import CatalogError, UnknownImageError, load_catalog, match_image
from hostmaker.environments.garbage import about, kept_environments, remove_environment, sweep
from hostmaker.environments.installer import BuildError
from hostmaker.environments.recipes import recipe_for
from hostmaker.environments.requirements import read_requirements
from hostmaker.planner.garbage import Bounds, Kept, collect


def list_environments(as_json: bool) -> None:
    """Print every environment: what it is, its size, when it was used last."""
    root = default_cache()
    found = [_told(root, kept) for kept in kept_environments(root)]
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    if not found:
        typer.echo(
            f"There is no environment in {root} yet. One is made with the first instance that needs it, or with:"
        )
        typer.echo("  hostmaker environments build sagemaker-scikit-learn:1.2-1-cpu-py3")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=200, markup=False, highlight=False)  # what reads a pipe wants whole names
    table = Table("framework", "python", "packages", "with", "size", "last used", "path", box=None)
    for each in found:
        used = "in use" if each["in_use"] else str(each["last_used"])[:16]
        own = ", ".join(each["own"])
        size = f"{each['bytes'] / 1e6:.0f} MB"
        table.add_row(each["framework"], each["python"], str(each["packages"]), own, size, used, each["path"])
    console.print(table)


def build_environment(image: str, requirements: Path | None, runtimes: Path | None) -> None:
    """Make the environment of an image, and print its Python; exit code 1 with the resolver's last lines."""
    try:
        match = match_image(image, load_catalog(runtimes))
        recipe = recipe_for(match, None, _say)
        own = read_requirements(requirements, requirements.parent, {}) if requirements is not None else None
        made = Cache(default_cache(), _say).environment(Wanted(recipe, handler_digest(match), own=own))
    except (UnknownImageError, CatalogError, BuildError) as error:
        typer.echo(f"The environment of {image} cannot be made: {error}", err=True)
        for line in getattr(error, "last_lines", ()):
            typer.echo(f"  {line}", err=True)
        raise typer.Exit(1) from error
    typer.echo(made.python)


def prune_environments(older_than_days: float, as_json: bool) -> None:
    """Remove the environments that no instance uses and that were last used so long ago."""
    root = default_cache()
    bounds = Bounds(timedelta(days=older_than_days), sys.maxsize)
    kept = {each.name: each for each in kept_environments(root)}
    told = {name: _told(root, each) for name, each in kept.items()}
    removals = [
        each for each in collect(kept.values(), bounds, datetime.now(UTC)) if remove_environment(root, each.name)
    ]
    swept = sweep(root)
    if as_json:
        typer.echo(json.dumps([told[each.name] for each in removals], indent=1))
        return
    for each in removals:
        typer.echo(f"removed {told[each.name]['framework']} ({each.size / 1e6:.0f} MB): {each.why}")
    for name in swept:
        typer.echo(f"removed {name}: what an interrupted build or removal had left")
    rest = len(kept) - len(removals)
    typer.echo(f"{sum(each.size for each in removals) / 1e6:.0f} MB are free again; {rest} environments stay.")


def _told(root: Path, kept: Kept) -> dict[str, Any]:
    return {
        **about(root, kept.name),
        "path": str(root / "environments" / kept.name),
        "bytes": kept.size,
        "last_used": kept.last_used.isoformat(timespec="seconds"),
        "in_use": kept.is_in_use,
    }


def _say(line: str) -> None:
    typer.echo(line, err=True)
