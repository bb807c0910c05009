"""`hostmaker watch`: a deployment as it goes on: steps, shares, errors, and the time that is left."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hostmaker.cli.server import ControlAwayError, read_ready, try_control
from hostmaker.cli.wait import what_went_wrong

LOOK_EVERY_S = 0.25
AWAY_S = 30.0  # control comes back sooner; after that it is told and given up
EVENTS_SHOWN = 8

Picture = dict[str, Any]


def watch_endpoint(data_dir: Path, endpoint: str, region: str | None, once: bool, as_json: bool) -> None:
    """Show what happens until the deployment under way, or the next one, has ended; exit code 1 when rolled back."""
    region = region or str(read_ready(data_dir)["region"])
    target = f"/_hostmaker/watch/{region}/{quote(endpoint, safe='')}"
    first = _look(data_dir, target)
    console = Console(highlight=False, markup=False)
    if once:
        print(json.dumps(first)) if as_json else console.print(drawn(first))
        return
    try:
        last = (
            _follow_drawn(data_dir, target, first, console)
            if console.is_terminal and not as_json
            else _follow_lines(data_dir, target, first, as_json)
        )
    except KeyboardInterrupt:
        return
    ended = last["last"]
    found = {**last, "deployments": [ended] if ended else [], "newest": ended and ended["number"], "created": ""}
    trouble = what_went_wrong(endpoint, found)
    if trouble is not None:
        typer.echo(trouble, err=True)
        raise typer.Exit(1)


def _follow_drawn(data_dir: Path, target: str, picture: Picture, console: Console) -> Picture:
    has_begun = is_under_way(picture)
    with Live(drawn(picture), console=console, refresh_per_second=8) as live:
        while not (has_begun and not is_under_way(picture)):
            time.sleep(LOOK_EVERY_S)
            picture = _look(data_dir, target)
            has_begun = has_begun or is_under_way(picture)
            live.update(drawn(picture))
    return picture


def _follow_lines(data_dir: Path, target: str, picture: Picture, as_json: bool) -> Picture:
    """Print a line for each change, for what reads a pipe."""
    has_begun, told = is_under_way(picture), ""
    while True:
        if (line := in_a_line(picture)) != told:
            print(json.dumps(picture) if as_json else f"{picture['now'][11:19]}  {line}", flush=True)
            told = line
        if has_begun and not is_under_way(picture):
            return picture
        time.sleep(LOOK_EVERY_S)
        picture = _look(data_dir, target)
        has_begun = has_begun or is_under_way(picture)


def _look(data_dir: Path, target: str) -> Picture:
    """Ask control; while it is away for a moment, ask again."""
    deadline = time.monotonic() + AWAY_S
    while True:
        try:
            picture = try_control(data_dir, target)
            break
        except ControlAwayError as error:
            if time.monotonic() > deadline:
                typer.echo(str(error), err=True)
                raise typer.Exit(1) from error
            print("control is being started again", file=sys.stderr)
            time.sleep(LOOK_EVERY_S)
    if "error" in picture:
        typer.echo(picture["error"], err=True)
        raise typer.Exit(1)
    return dict(picture)


def is_under_way(picture: Picture) -> bool:
    """Tell whether a deployment is being carried out, or about to be."""
    return picture["deployment"] is not None or picture["is_awaited"]


# In words


def in_a_line(picture: Picture) -> str:
    """Give the state in one line: what changes from second to second is left out."""
    head = f"{picture['name']} {picture['status']} on {picture['config']}"
    deployment = picture["deployment"]
    if deployment is None:
        reason = f": {picture['failure_reason']}" if picture["failure_reason"] else ""
        return f"{head}{', an update is about to begin' if picture['is_awaited'] else ''}{reason}"
    alarms = "".join(f", alarm {name} {state or 'is gone'}" for name, state in picture["alarms"].items())
    instances = ", ".join(
        f"{each['variant']} {each['fleet']} {_number(each['healthy'])}/{each['wanted']}"
        for each in picture["instances"]
    )
    return f"{head}, {_where(deployment)}; instances {instances}{alarms}"


def _where(deployment: dict[str, Any]) -> str:
    shares = ", ".join(f"{name} {share}" for name, share in _shares(deployment).items())
    course = deployment.get("way_back") or deployment["plan"]
    step = f"step {deployment.get('step', 0) + 1} of {len(course['steps'])}"
    state = "paused" if deployment.get("paused") else deployment.get("phase", "launching")
    back = "going back" if deployment.get("cause") else f"to {deployment['config']}"
    return f"{back}, {step}, {state}, new share {shares}"


def _shares(deployment: dict[str, Any]) -> dict[str, str]:
    sizes, active = deployment["plan"]["sizes"], deployment.get("active") or {}
    return {name: f"{active.get(name, 0)}/{size}" for name, size in sizes.items()}


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


# Drawn


def drawn(picture: Picture) -> Group:
    """Give everything as rich draws it."""
    deployment = picture["deployment"]
    parts: list[Any] = [Text(f"{picture['name']}: {picture['status']}, config {picture['config']}", style="bold")]
    if deployment is None:
        if picture["failure_reason"]:
            parts.append(Text(picture["failure_reason"]))
        parts.append(Text("No deployment is under way." if not picture["is_awaited"] else "An update begins."))
        return Group(*parts, _traffic(picture))
    parts.append(Text(f"Deployment {deployment['number']}: from {deployment['config_before']} {_where(deployment)}"))
    parts += [_steps(deployment), *_times(picture), _fleets(picture), _traffic(picture), _events(deployment)]
    if cause := deployment.get("cause"):
        parts.insert(2, Text(cause["reason"], style="red"))
    return Group(*parts)


def _steps(deployment: dict[str, Any]) -> Table:
    course = deployment.get("way_back") or deployment["plan"]
    at = deployment.get("step", 0)
    table = Table("", "step", "new instances", "with traffic", "old instances", "bake", box=None)
    for number, step in enumerate(course["steps"]):
        sign = "done" if number < at else deployment.get("phase", "launching") if number == at else ""
        targets = step["targets"].items()
        table.add_row(
            sign,
            f"{number + 1} {step['capacity']}",
            ", ".join(f"{name} {target['green']}" for name, target in targets),
            ", ".join(f"{name} {target['active']}" for name, target in targets),
            ", ".join(f"{name} {target['blue']}" for name, target in targets),
            f"{step.get('bake', 0):g} s",
        )
    return table


def _times(picture: Picture) -> list[Any]:
    progress, scale = picture["progress"], picture["scale"]
    real = f", {_time(progress['left_s'] / scale)} at {scale:g} platform seconds a second" if scale != 1 else ""
    told: list[Any] = [
        Text(
            f"{_time(progress['left_s'])} of bakes left{real}; launching and draining come on top; "
            f"rolled back if not done in {_time(progress['limit_left_s'])}"
        )
    ]
    if progress["bake_s"] and picture["deployment"].get("phase") == "baking":
        done = progress["bake_s"] - progress["bake_left_s"]
        told.append(ProgressBar(total=progress["bake_s"], completed=done, width=60))
    return told


def _fleets(picture: Picture) -> Table:
    table = Table("variant", "fleet", "healthy", "wanted", box=None)
    for each in picture["instances"]:
        table.add_row(each["variant"], each["fleet"], _number(each["healthy"]), str(each["wanted"]))
    for name, state in picture["alarms"].items():
        style = {"ALARM": "red", "OK": "green"}.get(state or "", "yellow")
        table.add_row(Text(f"alarm {name}"), Text(state or "is gone", style=style), "", "")
    return table


def _traffic(picture: Picture) -> Table:
    table = Table("variant", "config", "seconds", "a second", "model errors", "p50", "p90", box=None)
    for each in picture["traffic"]:
        seconds = each["window_s"] / picture["scale"]
        rate, errors = each.get("invocations", 0) / seconds, each.get("error_rate")
        table.add_row(
            each["variant"],
            each["config"],
            f"{seconds:g}",
            f"{rate:.1f}",
            "unknown" if errors is None else f"{100 * errors:.1f} %",
            _latency(each.get("p50_us")),
            _latency(each.get("p90_us")),
        )
    return table


def _events(deployment: dict[str, Any]) -> Table:
    table = Table("at", "what", "why", box=None)
    for event in deployment.get("events", ())[-EVENTS_SHOWN:]:
        table.add_row(event["at"][11:19], event["what"], event["why"])
    return table


def _latency(microseconds: float | None) -> str:
    return "unknown" if microseconds is None else f"{microseconds / 1000:.1f} ms"


def _time(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
