"""`hostmaker plan`: what an update would do, step by step, and what would stop it; nothing is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from hostmaker.cli.server import ask_control, read_ready


def show_plan(
    data_dir: Path, endpoint: str, config: str, deployment_config: Path | None, region: str | None, as_json: bool
) -> None:
    """Print the plan; exit code 1 when something would stop it at once, or UpdateEndpoint would refuse it."""
    request: dict[str, Any] = {"EndpointName": endpoint, "EndpointConfigName": config}
    if deployment_config is not None:
        try:
            request["DeploymentConfig"] = json.loads(deployment_config.read_text())
        except ValueError as error:
            typer.echo(f"{deployment_config} is not JSON: {error}.", err=True)
            raise typer.Exit(1) from error
    asked = {"region": region or read_ready(data_dir)["region"], "request": request}
    answer = ask_control(data_dir, "/_hostmaker/plan", "POST", json.dumps(asked).encode())
    if "error" in answer:
        typer.echo(f"UpdateEndpoint would be refused: {answer['error']}", err=True)
        raise typer.Exit(1)
    plan = answer["plan"]
    if as_json:
        typer.echo(json.dumps(plan, indent=1))
    else:
        _print(plan)
    for reason in (*plan.get("stops", ()), *plan.get("notes", ())):
        typer.echo(reason, err=True)
    if plan.get("stops"):
        raise typer.Exit(1)


def _print(plan: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=250, markup=False, highlight=False)  # what reads a pipe wants whole names
    table = Table("step", "after", "capacity", "new instances with traffic", "share", "running", "bake", box=None)
    for step in plan["steps"]:
        table.add_row(
            str(step["number"]),
            f"{step['starts_s']:g} s",
            step["capacity"],
            _each(step["active"]),
            _each(step["share"]),
            str(step["running"]),
            f"{step['bake_s']:g} s ({step['bake_member']})",
        )
    console.print(f"{plan['policy']}, {len(plan['steps'])} step(s); launching and draining come on top of the times.")
    console.print(table)
    console.print(f"At most {plan['peak']} instances run at once. All bakes: {plan['least_s']:g} s.")
    console.print(f"Rolled back when it takes longer than {plan['most_s']:g} s. The way back: {plan['back']}.")


def _each(of_variants: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in of_variants.items())
