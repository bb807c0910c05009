"""`hostmaker wait`: until nothing is under way; a rollback is no success, though the endpoint is InService."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import typer

from hostmaker.cli.deployments import records
from hostmaker.cli.server import ControlAwayError

IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting")
POLL_S = 0.25
TIMED_OUT = 2


def wait_for(data_dir: Path, endpoint: str, timeout_s: float, region: str | None, as_json: bool) -> None:
    """Wait; exit code 0 when it went well, 1 with the cause on stderr when not, 2 when the time is over."""
    deadline = time.monotonic() + timeout_s
    while (found := _look(data_dir, endpoint, region, deadline))["status"] in IN_PROGRESS:
        if time.monotonic() >= deadline:
            typer.echo(f"Endpoint {endpoint} still is {found['status']} after {timeout_s:g} s.", err=True)
            raise typer.Exit(TIMED_OUT)
        time.sleep(POLL_S)
    trouble = what_went_wrong(endpoint, found)
    if as_json:
        typer.echo(json.dumps({"status": found["status"], "trouble": trouble}))
    if trouble is not None:
        typer.echo(trouble, err=True)
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"Endpoint {endpoint} is InService.")


def _look(data_dir: Path, endpoint: str, region: str | None, deadline: float) -> dict[str, Any]:
    """Ask control; while it is away for a moment, ask again."""
    while True:
        try:
            return records(data_dir, endpoint, region)
        except ControlAwayError as error:
            if time.monotonic() >= deadline:
                typer.echo(str(error), err=True)
                raise typer.Exit(TIMED_OUT) from error
            time.sleep(POLL_S)


def what_went_wrong(endpoint: str, found: dict[str, Any]) -> str | None:
    """Say why an endpoint that is at rest is not what was asked for; None when it is."""
    status, reason = found["status"], found.get("failure_reason")
    if status is None:
        return f"Endpoint {endpoint} does not exist any more."
    if status != "InService":
        return f"Endpoint {endpoint} is {status}: {reason}"
    newest = [
        each
        for each in found["deployments"]
        if each["number"] == found["newest"] and each["started"] >= found["created"]
    ]
    if newest and newest[-1].get("verdict") == "RolledBack":
        cause = (newest[-1].get("cause") or {}).get("reason")
        return f"The last deployment of {endpoint}, to {newest[-1]['config']}, was rolled back: {cause}"
    return f"Endpoint {endpoint} is InService, and its last change failed: {reason}" if reason is not None else None
