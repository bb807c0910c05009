"""`hostmaker doctor`: examines the machine and the server, and says what to do about each finding."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from hostmaker.cli.doctor_machine import examine_machine
from hostmaker.cli.doctor_server import examine_server


def examine(data_dir: Path, as_json: bool) -> None:
    """Print all findings; exit code 1 when one is a problem."""
    findings = [*examine_machine(data_dir), *examine_server(data_dir)]
    for finding in findings:
        if as_json:
            typer.echo(json.dumps(asdict(finding)))
        else:
            typer.echo(f"{finding.level:8} {finding.what}" + (f"\n         {finding.advice}" if finding.advice else ""))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
