"""`hostmaker deployments` and `hostmaker deployment`: what was deployed, how it went and why; and orders by hand."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from hostmaker.cli.server import ControlAwayError, ask_control, read_ready, try_control

UNDER_WAY = "under way"


def records(data_dir: Path, endpoint: str, region: str | None) -> dict[str, Any]:
    """Ask control for an endpoint's deployments; ends the command with a sentence when there is no such endpoint.

    Raises ControlAwayError.
    """
    region = region or str(read_ready(data_dir)["region"])
    return _checked(try_control(data_dir, f"/_hostmaker/deployments/{region}/{quote(endpoint, safe='')}"))


def _records(data_dir: Path, endpoint: str, region: str | None) -> dict[str, Any]:
    try:
        return records(data_dir, endpoint, region)
    except ControlAwayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def show_deployments(data_dir: Path, endpoint: str, region: str | None, as_json: bool) -> None:
    """Print a line for each deployment, the oldest first."""
    found = _records(data_dir, endpoint, region)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    if not found["deployments"]:
        typer.echo(f"Endpoint {endpoint} has been created, and never updated.")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=250, markup=False, highlight=False)  # what reads a pipe wants whole names
    table = Table("number", "from", "to", "began", "took", "verdict", "because", box=None)
    for each in found["deployments"]:
        cause = (each.get("cause") or {}).get("reason", "")
        verdict = each.get("verdict") or UNDER_WAY
        table.add_row(
            str(each["number"]),
            each["config_before"],
            each["config"],
            each["started"][:19],
            _took(each, found["now"]),
            verdict,
            cause,
        )
    console.print(table)


def show_deployment(data_dir: Path, endpoint: str, number: int | None, region: str | None, as_json: bool) -> None:
    """Print the whole record of one deployment, the newest when no number is given."""
    told = _records(data_dir, endpoint, region)
    found = told["deployments"]
    chosen = [each for each in found if number in (None, each["number"])]
    if not chosen:
        numbers = ", ".join(str(each["number"]) for each in found) or "none"
        typer.echo(
            f"Endpoint {endpoint} has no deployment {number if number is not None else ''}: {numbers}.", err=True
        )
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(chosen[-1], indent=1))
        return
    for line in _told(chosen[-1], told["now"]):
        typer.echo(line)


def give_order(data_dir: Path, endpoint: str, order: str, region: str | None, as_json: bool) -> None:
    """Order something of the deployment under way."""
    region = region or str(read_ready(data_dir)["region"])
    told = _checked(
        ask_control(data_dir, f"/_hostmaker/deployments/{region}/{quote(endpoint, safe='')}/{order}", "POST")
    )
    deployment = told["deployment"]
    typer.echo(
        json.dumps(told)
        if as_json
        else f"Ordered: {order} of deployment {deployment['number']} of {endpoint} to {deployment['config']}. "
        f"See: hostmaker deployments show {endpoint}"
    )


def _checked(document: Any) -> dict[str, Any]:
    if "error" in document:
        typer.echo(document["error"], err=True)
        raise typer.Exit(1)
    return dict(document)


def _told(each: dict[str, Any], now: str) -> list[str]:
    verdict = each.get("verdict") or UNDER_WAY
    lines = [
        f"Deployment {each['number']}: from {each['config_before']} to {each['config']}, {verdict}",
        f"  began {each['started'][:19]}, took {_took(each, now)}, {len(each['plan']['steps'])} step(s)"
        + (f", watched by {', '.join(each['alarms'])}" if each["alarms"] else ""),
    ]
    for event in each.get("events", ()):
        shares = ", ".join(f"{name} {share}" for name, share in event["shares"].items())
        lines.append(f"  {event['at'][11:23]}  step {event['step'] + 1}  {event['what']:<16}  {shares}  {event['why']}")
    return lines + cause_lines(each.get("cause"))


def cause_lines(cause: dict[str, Any] | None) -> list[str]:
    """Tell why it was rolled back, with the evidence."""
    if cause is None:
        return []
    lines = ["Rolled back because:", f"  {cause['reason']}"]
    if evidence := cause.get("evidence"):
        lines.append(f"  datapoints: {evidence}")
    if failure := cause.get("failure"):
        lines.append(f"  instance {cause['instance_id']}: {failure['cause']}{_exit(failure)}")
        lines += [f"    {line}" for line in failure.get("log_tail", ())]
    return lines


def _exit(failure: dict[str, Any]) -> str:
    """Say how the process ended, where that is known."""
    if failure.get("signal"):
        return f" (signal {failure['signal']})"
    return f" (exit code {failure['exit_code']})" if failure.get("exit_code") is not None else ""


def _took(each: dict[str, Any], now: str) -> str:
    """Say how long it took, or, under way, how long it has taken until the server's `now`."""
    until = datetime.fromisoformat(each.get("ended") or now)
    seconds = (until - datetime.fromisoformat(each["started"])).total_seconds()
    words = f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    return words if each.get("ended") else f"{words} so far"
