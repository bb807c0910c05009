"""How the supervisor starts a role, and what a started role reads first."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hostmaker.assembly.settings import Joined, read_joined
from hostmaker.kit.roles import run_until_stopped

SEVERAL = ("gateway", "explainer")  # of these, several may run side by side


@dataclass(frozen=True, slots=True)
class Role:
    """One process below the supervisor. `name` stands in its command line; several of one name differ by `index`."""

    name: str
    argv: tuple[str, ...]
    index: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    is_ours: bool = True  # reads its lifeline; a foreign program is killed by the kernel instead
    leftovers: tuple[Path, ...] = ()  # files that it leaves behind
    output: Path | None = None  # where what it prints goes; None: to ours

    @property
    def label(self) -> str:
        """Name the role in the server's log."""
        return f"{self.name}-{self.index}" if self.name in SEVERAL else self.name


def our_role(name: str, run_dir: Path, index: int = 0) -> Role:
    """Give the role whose entry point is `hostmaker.assembly.<name>`."""
    return Role(name, (sys.executable, "-m", f"hostmaker.assembly.{name}", str(run_dir), "--index", str(index)), index)


@dataclass(frozen=True, slots=True)
class Start:
    """What a role is started with."""

    joined: Joined
    run_dir: Path
    index: int
    lifeline: int | None
    listener: int | None


Main: TypeAlias = Callable[[Start], Coroutine[Any, Any, None]]


def start_role(name: str, main: Main, finish: Main | None = None) -> None:
    """Read what the supervisor hands over, then run `main` until asked to end or orphaned; `finish` when asked."""
    parser = argparse.ArgumentParser(prog=f"hostmaker {name}")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--index", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s", stream=sys.stderr)
    start = Start(
        joined=read_joined(arguments.run_dir / "settings.json"),
        run_dir=arguments.run_dir,
        index=arguments.index,
        lifeline=_descriptor("HOSTMAKER_LIFELINE"),
        listener=_descriptor("HOSTMAKER_LISTENER"),
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        how = runner.run(run_until_stopped(main(start), start.lifeline))
        if how == "asked" and finish is not None:
            runner.run(finish(start))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _descriptor(name: str) -> int | None:
    text = os.environ.pop(name, None)
    return int(text) if text else None
