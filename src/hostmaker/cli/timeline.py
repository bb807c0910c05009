"""What each instance of an endpoint went through, from the platform's lines in its log: also of those that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer

from hostmaker.logs.lines import lines_between
from hostmaker.logs.times import read_marks
from hostmaker.logs.write import PREFIX

MOST_INSTANCES = 20  # the newest
MOST_LINES = 40  # of each


def print_timelines(data_dir: Path, region: str, endpoint: str) -> None:
    """Print the timelines of an endpoint's newest instances, oldest first."""
    logs = sorted((data_dir / "logs" / region / endpoint).glob("*/i-*.log"), key=lambda path: path.stat().st_mtime)
    for path in logs[-MOST_INSTANCES:]:
        typer.echo(f"\n{path.parent.name}/{path.stem}")
        for at, text in list(timeline(path))[-MOST_LINES:]:
            typer.echo(f"  {at:%H:%M:%S}.{at.microsecond // 1000:03}  {text}")


def timeline(log: Path) -> Iterator[tuple[datetime, str]]:
    """Give the platform's lines in an instance's log, each with the time by which it was written."""
    marks = read_marks(log)
    for line in lines_between(log, 0, log.stat().st_size):
        if line.text.startswith(PREFIX):
            note = marks.ended_at(line.end)
            at = note[1] / 1000 if note is not None else time.time()
            yield datetime.fromtimestamp(at, UTC), line.text.removeprefix(PREFIX)
