"""`hostmaker events`: what has happened to endpoints, as events of EventBridge's shape."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import typer

from hostmaker.assembly.settings import Settings
from hostmaker.cli.server import ask_control, read_ready

AGAIN_S = 0.5
SILENCE_S = 60.0  # control says more often that it is alive


def show_events(data_dir: Path, endpoint: str | None, region: str | None, follow: bool, as_json: bool) -> None:
    """Print the events that are kept, the oldest first; `follow`: and those that come, until Ctrl-C."""
    query = {"region": region or str(read_ready(data_dir)["region"])}
    if endpoint is not None:
        query["endpoint"] = endpoint
    last = 0
    while True:
        page = ask_control(data_dir, f"/_hostmaker/events?{urlencode({**query, 'after': last, 'follow': 'false'})}")
        for event in page["events"]:
            _print(event, as_json)
        last = page["last"]
        if not page["events"]:
            break
    if follow:
        _follow(data_dir, query, last, as_json)


def _follow(data_dir: Path, query: dict[str, str], last: int, as_json: bool) -> None:
    while True:
        try:
            for number, event in _stream(data_dir, f"/_hostmaker/events?{urlencode({**query, 'after': last})}"):
                _print(event, as_json)
                last = number
        except KeyboardInterrupt:
            return
        except OSError:  # control is away, and comes back; or the server is gone, which `read_ready` then says
            pass
        read_ready(data_dir)
        time.sleep(AGAIN_S)


def _stream(data_dir: Path, target: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give number and document of each event as it comes, until control ends; raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(SILENCE_S)
        client.connect(str(Settings(str(data_dir)).run / "control.sock"))
        client.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        number = 0
        for line in client.makefile("r", encoding="utf-8"):
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                number = int(value)
            elif name == "data" and number:
                yield number, json.loads(value)


def _print(event: dict[str, Any], as_json: bool) -> None:
    typer.echo(json.dumps(event) if as_json else _line(event))


def _line(event: dict[str, Any]) -> str:
    detail = event["detail"]
    head = f"{event['time']}  {detail['EndpointName']:<20}"
    if "DeploymentNumber" in detail:
        shares = ", ".join(f"{name} {share}" for name, share in detail["TrafficShare"].items())
        step = f"deployment {detail['DeploymentNumber']}, step {detail['Step']}"
        return f"{head}  {step}: {detail['What']} ({detail['Why']}) {shares}"
    told = [
        f"{variant['VariantName']}: {status['StatusMessage']}"
        for block in (detail, detail.get("PendingDeploymentSummary", {}))
        for variant in block.get("ProductionVariants", ())
        for status in variant.get("VariantStatus", ())
    ]
    reason = [detail["FailureReason"]] if "FailureReason" in detail else []
    return f"{head}  {detail['EndpointStatus']}  {' '.join(told + reason)}".rstrip()
