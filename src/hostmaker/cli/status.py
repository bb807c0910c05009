"""`hostmaker status`: the server, its endpoints and their instances, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from hostmaker.cli.server import ask_control, read_ready, read_roles
from hostmaker.cli.timeline import print_timelines
from hostmaker.kit.processes import is_stopped


def show_status(data_dir: Path, endpoint: str | None, as_json: bool) -> None:
    """Print what runs; exit code 1 when the endpoint asked for does not exist."""
    ready = read_ready(data_dir)
    server = read_roles(data_dir)
    if not as_json:
        _print_server(ready, server)
    page = ask_control(data_dir, "/_hostmaker/status")
    endpoints = page["endpoints"]
    if endpoint is not None:
        endpoints = [item for item in endpoints if item["name"].lower() == endpoint.lower()]
    if as_json:
        document = {key: ready[key] for key in ("endpoint_url", "region", "account_id", "pids")}
        typer.echo(json.dumps({**document, **server, "node": page["node"], "endpoints": endpoints}, indent=1))
    else:
        if not page["node"]["is_heard"]:
            typer.echo(f"The node agent has not been heard since {page['node']['since']}: instances are unknown.")
        _print(endpoints, endpoint)
        if endpoint is not None:
            for found in endpoints:
                print_timelines(data_dir, found["region"], found["name"])
    if endpoint is not None and not endpoints:
        raise typer.Exit(1)


def _print_server(ready: Any, server: Any) -> None:
    typer.echo(f"Server at {ready['endpoint_url']} (process {ready['pids']['supervisor'][0]})")
    if is_stopped(ready["pids"]["supervisor"][0]):
        typer.echo("The supervisor is stopped by a signal: roles that end or hang are not replaced meanwhile.")
    for note in server["notes"]:
        typer.echo(note)
    for role in server["roles"]:
        if role.get("restarts"):
            typer.echo(f"{role['role']} was started again {role['restarts']} times; last: {role['last_end']}")


def _print(endpoints: list[Any], asked: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=250)  # what reads a pipe wants whole names
    if not endpoints:
        console.print(f"There is no endpoint {asked!r}." if asked else "No endpoints yet.")
        return
    table = Table("endpoint", "status", "config", "variant", "instance", "state", "process", "since", box=None)
    for item in endpoints:
        name, state, config = item["name"], item["status"], item["config"]
        for instance in item["instances"] or [{}]:
            shown = [instance.get(key) for key in ("variant", "id", "state", "pid", "since")]
            table.add_row(name, state, config, *("" if cell is None else str(cell) for cell in shown))
            name = state = config = ""
    console.print(table)
    for item in endpoints:
        if reason := item.get("failure_reason"):
            console.print(f"\n[bold]{item['name']}[/]: {escape(reason)}", highlight=False)
        for instance in item["instances"]:
            if cause := (instance.get("failure") or {}).get("cause"):
                console.print(f"  {instance['id']}: {escape(cause)}", highlight=False)
