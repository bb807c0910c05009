"""`hostmaker logs`: the log files of an endpoint's instances, which are there also when the server is not."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path

import typer

from hostmaker.logs.write import printable

FOLLOW_EVERY_S = 0.25


def show_logs(data_dir: Path, endpoint: str, instance: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Print the last lines of each instance, then, following, every new one; exit code 1 when there is no log."""
    offsets: dict[Path, int] = {}
    files = _files(data_dir, endpoint, instance)
    if not files and not follow:
        known = sorted({path.name for path in (data_dir / "logs").glob("*/*") if path.is_dir()})
        typer.echo(
            f"There is no log of endpoint {endpoint!r}. Endpoints with logs: {', '.join(known) or 'none'}.", err=True
        )
        raise typer.Exit(1)
    for path in files:
        offsets[path] = path.stat().st_size
        with path.open("rb") as file:
            for line in deque(file, maxlen=lines):
                _print(path, line, as_json)
    while follow:
        time.sleep(FOLLOW_EVERY_S)
        for path in _files(data_dir, endpoint, instance):
            with path.open("rb") as file:
                file.seek(offsets.get(path, 0))
                for line in file:
                    if line.endswith(b"\n"):
                        _print(path, line, as_json)
                        offsets[path] = offsets.get(path, 0) + len(line)


def _files(data_dir: Path, endpoint: str, instance: str | None) -> list[Path]:
    found = sorted((data_dir / "logs").glob(f"*/{endpoint}/*/*.log"), key=lambda path: path.stat().st_mtime)
    return [path for path in found if instance is None or path.stem.startswith(instance)]


def _print(path: Path, line: bytes, as_json: bool) -> None:
    text = line.decode(errors="replace").rstrip("\r\n")
    stream = f"{path.parent.name}/{path.stem}"
    typer.echo(json.dumps({"stream": stream, "message": text}) if as_json else f"{stream}  {printable(text)}")
