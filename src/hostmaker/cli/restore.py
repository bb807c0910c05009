"""`hostmaker restore`: puts a copy of `state.db` in its place, while no server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import typer

from hostmaker.assembly.databases import copies, restore_state
from hostmaker.kit.database import DamagedError
from hostmaker.kit.files import lock_holder


def restore(data_dir: Path, copy: Path | None, is_list: bool, as_json: bool) -> None:
    """Restore `copy`, or the newest one; ends the command with a sentence when it cannot."""
    kept = copies(data_dir)
    if is_list:
        typer.echo(json.dumps([str(each) for each in kept]) if as_json else "\n".join(map(str, kept)) or "No copies.")
        return
    chosen = copy or next(iter(kept), None)
    if chosen is None:
        _refuse(f"There is no copy in {data_dir / 'backups'}.")
    if (holder := lock_holder(data_dir / "lock")) is not None:
        _refuse(f"A server (process {holder}) runs on {data_dir}. Stop it first: hostmaker down --data-dir {data_dir}")
    try:
        aside = restore_state(data_dir, chosen, datetime.now(UTC))
    except DamagedError as error:
        _refuse(f"{chosen} cannot be restored: {error}. Others: hostmaker restore --list --data-dir {data_dir}")
    except OSError as error:
        _refuse(f"{error.filename or chosen} cannot be restored: {error.strerror}.")
    if as_json:
        typer.echo(json.dumps({"restored": str(chosen), "set_aside": str(aside) if aside else None}))
        return
    typer.echo(f"{data_dir / 'state.db'} is {chosen.name} now.")
    if aside is not None:
        typer.echo(f"What was there lies at {aside}.")


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
