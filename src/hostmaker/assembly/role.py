"""How the supervisor starts a role, and what a started role reads first."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hostmaker.assembly.settings import Joined, read_joined
from hostmaker.kit.files import Lock, lock_holder
from hostmaker.kit.roles import CANNOT_SERVE, CannotServeError, run_until_stopped, say_last_words
from hostmaker.ports import StoreUnavailableError

LOCK_TRIES = 100
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
    probe: Callable[[], Awaitable[bool]] | None = None  # whether it answers, of a program that has no pulse

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
    pulse: int | None = None
    instance_listener: int | None = None


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
        pulse=_descriptor("HOSTMAKER_PULSE"),
        instance_listener=_descriptor("HOSTMAKER_INSTANCE_LISTENER"),
    )
    try:
        _take_life(arguments.run_dir, name, arguments.index)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            how = runner.run(run_until_stopped(main(start), start.lifeline, start.pulse))
            if how == "asked" and finish is not None:
                runner.run(finish(start))
    except Exception as error:  # the owner of the process: the supervisor is told why it ends
        sentence = explain_end(error)
        say_last_words(start.pulse, sentence or _last_line(error))
        if sentence is None:
            raise
        logging.getLogger("hostmaker").error("%s", sentence)
        sys.exit(CANNOT_SERVE if any(isinstance(each, CannotServeError) for each in _causes(error)) else 1)


def lives_directory(run_dir: Path) -> Path:
    """Return where each role holds a lock while it lives: no two of one label run on one data directory."""
    return run_dir / "roles"


def explain_end(error: Exception) -> str | None:
    """Return a sentence for an end that is the world's fault; None where a traceback says more."""
    causes = _causes(error)
    if told := [str(each) for each in causes if isinstance(each, CannotServeError)]:
        return told[0]
    sentences = [_of_the_world(each) for each in causes]
    return " ".join(each for each in sentences if each) if all(sentences) else None


def _of_the_world(cause: BaseException) -> str | None:
    if isinstance(cause, StoreUnavailableError):
        return str(cause)
    if isinstance(cause, OSError) and cause.filename:
        return f"{cause.filename}: {cause.strerror}."
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return f"{cause.strerror}."
    return None


def _causes(error: Exception) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions if isinstance(each, Exception) for cause in _causes(each)]
    return [error]


def _last_line(error: Exception) -> str:
    return "; ".join(f"{type(each).__name__}: {each}" for each in _causes(error))


def _take_life(run_dir: Path, name: str, index: int) -> None:
    directory = lives_directory(run_dir)
    directory.mkdir(mode=0o700, exist_ok=True)
    life = Lock(directory / f"{name}-{index}.lock")
    for _ in range(LOCK_TRIES):
        if life.acquire():
            return
        time.sleep(0.01)  # whoever looks whether it is held holds it for a moment
    raise CannotServeError(f"Another {name} runs on {run_dir} already (process {lock_holder(life.path)}).")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _descriptor(name: str) -> int | None:
    text = os.environ.pop(name, None)
    return int(text) if text else None
