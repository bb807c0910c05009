"""The lives of roles, and the socket whose first caller has one started: real processes, without a server."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hostmaker.assembly.doorbell import Doorbell
from hostmaker.assembly.lives import Lives, Patience, RoleFailedError
from hostmaker.assembly.role import Role

ANSWERING = """
import os, socket
listener = socket.socket(fileno=int(os.environ["HOSTMAKER_LISTENER"]))
listener.setblocking(True)
while True:
    client, _ = listener.accept()
    client.sendall(str(os.getpid()).encode())
    client.close()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def role(script: str, index: int = 0, **further: Any) -> Role:
    return Role("explainer", (sys.executable, "-c", script), index, **further)


HANGING = """
import os, time
os.write(int(os.environ["HOSTMAKER_PULSE"]), b".")
time.sleep(60)
"""
SPEAKING = """
import os, sys
os.write(int(os.environ["HOSTMAKER_PULSE"]), b".!state.db is damaged.")
sys.exit({code})
"""


@asynccontextmanager
async def living(path: Path, patience: Patience | None = None) -> AsyncIterator[tuple[Doorbell, Lives]]:
    """Give a doorbell, and lives of roles that get its socket."""
    reading, writing = os.pipe()
    bell = Doorbell(path)
    lives = Lives(reading, {"explainer": {"HOSTMAKER_LISTENER": bell.listener}}, patience)
    try:
        yield bell, lives
    finally:
        lives.is_stopping = True
        await asyncio.gather(*(lives.end(f"explainer-{index}", 5) for index in range(3)))
        bell.close()
        os.close(reading)
        os.close(writing)


async def ask(path: Path) -> int:
    reader, writer = await asyncio.open_unix_connection(path)
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return int(said)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_a_role_starts_with_its_first_caller_who_is_answered(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "bell.sock"
        path.touch()  # what a life before has left
        async with living(path) as (bell, lives):
            keeping = [asyncio.create_task(lives.keep(role(ANSWERING, index), bell.rung)) for index in range(2)]
            await asyncio.sleep(0.1)
            assert lives.pids() == {}
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            answered = await ask(path)
            await until(lambda: len(lives.pids().get("explainer", [])) == 2)
            assert answered in lives.pids()["explainer"]
            assert not any(task.done() for task in keeping)
        await asyncio.gather(*keeping)

    run(story())


def test_a_role_that_was_needed_once_is_started_again(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "bell.sock"
        async with living(path) as (bell, lives):
            keeping = asyncio.create_task(lives.keep(role(ANSWERING), bell.rung))
            first = await ask(path)
            os.kill(first, signal.SIGKILL)
            await until(lambda: first not in lives.pids()["explainer"])  # it could take the call with it
            second = await ask(path)  # it waits in the socket meanwhile
            assert second != first
            assert lives.pids() == {"explainer": [second]}
        await keeping

    run(story())


def test_a_role_that_nobody_has_needed_ends_with_the_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path / "bell.sock") as (bell, lives):
            keeping = asyncio.create_task(lives.keep(role(ANSWERING), bell.rung))
            await asyncio.sleep(0)
            await lives.end("explainer-0", 5)
            lives.is_stopping = True
            keeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await keeping
            assert lives.pids() == {}

    run(story())


def test_a_role_that_does_not_end_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        output = tmp_path / "output"
        async with living(tmp_path / "bell.sock") as (_, lives):
            keeping = asyncio.create_task(lives.keep(role(STUBBORN, output=output)))
            await until(lambda: output.exists() and "ready" in output.read_text())
            lives.is_stopping = True
            await lives.end("explainer-0", 0.1)
            await keeping

    run(story())


def first_of(lives: Lives) -> int | None:
    return next(iter(lives.pids().get("explainer", [])), None)


def test_a_role_that_hangs_is_replaced_and_it_is_said_why(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path / "bell.sock", Patience(silence_s=1.0)) as (_, lives):
            keeping = asyncio.create_task(lives.keep(role(HANGING)))
            await until(lambda: first_of(lives) is not None)
            first = first_of(lives)
            await until(lambda: first_of(lives) != first)
            (report,) = lives.reports()
            assert report.restarts == 1
            assert report.pid == first_of(lives)
            assert "had given no sign of life for" in report.last_end
            lives.is_stopping = True
            await lives.end("explainer-0", 5)
            await keeping

    run(story())


def test_a_role_that_does_not_begin_is_replaced_after_a_time_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        patience = Patience(silence_s=0.1, start_s=1.0)
        async with living(tmp_path / "bell.sock", patience) as (_, lives):
            keeping = asyncio.create_task(lives.keep(role("import time; time.sleep(60)")))
            await until(lambda: bool(lives.reports()) and lives.reports()[0].restarts == 1)
            lives.is_stopping = True
            await lives.end("explainer-0", 5)
            await keeping

    run(story())


def test_a_program_that_has_no_pulse_is_asked(tmp_path: Path) -> None:
    async def story() -> None:
        answers = True

        async def probe() -> bool:
            return answers

        async with living(tmp_path / "bell.sock", Patience(2.5, 2.5)) as (_, lives):
            foreign = role("import time; time.sleep(60)", is_ours=False, probe=probe)
            keeping = asyncio.create_task(lives.keep(foreign))
            await until(lambda: first_of(lives) is not None)
            first = first_of(lives)
            await asyncio.sleep(4)
            assert first_of(lives) == first
            answers = False
            await until(lambda: first_of(lives) != first)
            lives.is_stopping = True
            await lives.end("explainer-0", 5)
            await keeping

    run(story())


def test_a_role_that_says_that_it_cannot_serve_is_not_started_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path / "bell.sock") as (_, lives):
            with pytest.raises(RoleFailedError, match=r"exit code 78: state\.db is damaged\."):
                await lives.keep(role(SPEAKING.format(code=78)))
            assert lives.reports()[0].restarts == 1

    run(story())


def test_a_role_that_ends_again_and_again_is_given_up_before_the_server_is_ready(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path / "bell.sock") as (_, lives):
            with pytest.raises(RoleFailedError, match=r"explainer-0 ends at once again and again: .* state\.db is"):
                await lives.keep(role(SPEAKING.format(code=1)))
            assert lives.reports()[0].restarts == 5

    run(story())


def test_a_role_is_started_again_for_ever_once_the_server_was_ready(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path / "bell.sock") as (_, lives):
            lives.is_ready = True
            keeping = asyncio.create_task(lives.keep(role(SPEAKING.format(code=1))))
            await until(lambda: bool(lives.reports()) and lives.reports()[0].restarts > 5)
            assert not keeping.done()
            keeping.cancel()
            await asyncio.wait((keeping,))

    run(story())
