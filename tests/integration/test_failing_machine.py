"""The n-th file that cannot be made, the n-th descriptor that cannot be had: a cause for whoever asked, and then on."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostmaker.domain.fleet import InstanceState
from hostmaker.fleet.keeper_client import KeeperClient

from .node_house import House, node_house, spec

INODES = 400
MOST_MADE = 16  # files and directories of an instance; with so many free, it comes into service
ENDS = (InstanceState.HEALTHY, InstanceState.FAILED)


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hm-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(params=["tmpfs"] if os.geteuid() == 0 else [])
def few_files(root: Path) -> Iterator[Path]:
    """A file system with room for few files; only root can mount one."""
    place = root / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"nr_inodes={INODES},size=64m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_the_nth_file_cannot_be_made(few_files: Path) -> None:
    asyncio.run(_each_file(few_files))


async def _each_file(disk: Path) -> None:
    states = []
    async with node_house(disk) as house:
        house.start_control()
        house.start_agent()
        await house.until(lambda: (house.run / "keeper.sock").exists())
        for free in range(MOST_MADE + 1):
            left = leave(disk, free)
            house.want(spec(f"i-{free}"))
            state = await settled(house, f"i-{free}")
            states.append(state)
            if state is InstanceState.FAILED:
                fact = house.fact(f"i-{free}")
                assert fact is not None
                assert fact.failure is not None
                assert "No space left on device" in f"{fact.failure.cause} {fact.failure.log_tail}", fact.failure
            for path in left:
                path.unlink()
            await house.until(lambda free=free: house.state(f"i-{free}") in ENDS)  # type: ignore[misc]
            house.want(spec("next"))
            await house.until_state("next", InstanceState.HEALTHY)
            await house.until(lambda free=free: not house.directory(f"i-{free}").exists())  # type: ignore[misc]
            house.want()
            await house.until_gone("next")
    assert states[0] is not InstanceState.HEALTHY
    assert states[-1] is InstanceState.HEALTHY


def leave(disk: Path, free: int) -> list[Path]:
    """Make files until only so many more can be made."""
    made = []
    while os.statvfs(disk).f_favail > free:
        made.append(disk / f"filler-{len(made)}")
        made[-1].touch()
    return made


async def settled(house: House, ident: str) -> InstanceState | None:
    """Give what an instance comes to, None when it waits for better times."""
    for _ in range(150):
        if (state := house.state(ident)) in ENDS:
            return state
        await asyncio.sleep(0.01)
    return None


def test_the_nth_descriptor_cannot_be_had(root: Path) -> None:
    asyncio.run(_each_descriptor(root))


async def _each_descriptor(root: Path) -> None:
    causes = set()
    async with node_house(root) as house:
        house.start_control()
        house.start_agent()
        keeper = await KeeperClient(house.run / "keeper.sock", house.data / "keeper.log").ensure()
        open_now = len(os.listdir(f"/proc/{keeper.pid}/fd"))
        soft, hard = resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE)
        for more in range(7):
            resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (open_now + more, hard))
            house.want(spec(f"i-{more}"))
            state = await settled(house, f"i-{more}")
            resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (soft, hard))
            fact = house.fact(f"i-{more}")
            if state is InstanceState.FAILED and fact is not None and fact.failure is not None:
                causes.add(fact.failure.cause)
            house.want(spec("next"))
            await house.until_state("next", InstanceState.HEALTHY)
            house.want()
            await house.until_gone("next")
            await house.until(lambda more=more: not house.directory(f"i-{more}").exists())  # type: ignore[misc]
        assert keeper.lives()
    assert any("Too many open files" in cause for cause in causes), causes


def test_an_exit_is_known_though_the_disk_does_not_take_it(root: Path) -> None:
    asyncio.run(_exit_untold(root))


async def _exit_untold(root: Path) -> None:
    async with node_house(root) as house:
        house.start_control()
        house.start_agent()
        house.want(spec("i"))
        fact = await house.until_state("i", InstanceState.HEALTHY)
        keeper = await KeeperClient(house.run / "keeper.sock", house.data / "keeper.log").ensure()
        resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert fact.pid is not None
        os.kill(fact.pid, signal.SIGKILL)
        began = time.monotonic()
        failed = await house.until_state("i", InstanceState.FAILED)
        assert time.monotonic() - began < 3  # without asking the keeper, it would be 5
        assert failed.failure is not None
        assert failed.failure.cause == "Its process ended with signal SIGKILL."
        assert not (house.directory("i") / "exit.json").exists()
        resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
