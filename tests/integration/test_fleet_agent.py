"""The node agent with real processes below a real keeper."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from hostmaker.domain.fleet import FailureKind, InstanceState, Known, Unknown
from hostmaker.domain.messages import DesiredInstances
from hostmaker.fleet.agent import keeper_client
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.kit.codec import decode
from hostmaker.kit.processes import start_time

from .node_house import House, node_house, spec

Play = Callable[[House], Awaitable[None]]
HEALTHY, FAILED = InstanceState.HEALTHY, InstanceState.FAILED


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Iterator[Callable[[Play], None]]:
    """Run a test in a house of its own (with a short path: sockets), on the loop of the tests and on the real one."""
    root = Path(tempfile.mkdtemp(prefix="hm-"))

    async def run(what: Play) -> None:
        async with node_house(root) as house:
            house.start_control()
            house.start_agent()
            await what(house)

    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_in_loop(what: Play) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(what))

    yield run_in_loop
    shutil.rmtree(root)


def is_alive(pid: int | None) -> bool:
    return pid is not None and start_time(pid) is not None


def test_an_instance_from_wish_to_end(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        fact = await house.until_state("i-1", HEALTHY)
        assert is_alive(fact.pid)
        assert fact.socket == "i/i-1/s.sock"  # below the run directory, wherever that is
        assert (house.run / fact.socket).is_socket()
        assert (fact.resolved_image, fact.resolved_at is not None) == ("image@sha256:1", True)
        house.want()
        await house.until_gone("i-1")
        assert not is_alive(fact.pid)
        assert not house.directory("i-1").exists()
        assert not (house.run / fact.socket).exists()
        told = house.log("i-1")
        for line in ("preparing", "[hostmaker] started as process", "serving well", "[hostmaker] healthy", "SIGTERM"):
            assert line in told

    play(story)


def test_a_process_that_exits_is_started_once_more_and_then_fails(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", SERVE="exit"), spec("i-2", SERVE="exit-once"), spec("i-3", SERVE="crash"))
        failure = (await house.until_state("i-1", FAILED)).failure
        assert failure is not None
        assert (failure.kind, failure.exit_code) == (FailureKind.PING, 7)
        assert failure.cause == "Its process ended with exit code 7 before its first healthy ping, twice."
        assert failure.log_tail[-2:] == ("serving exit", "no model")
        await house.until_state("i-2", HEALTHY)
        crash = (await house.until_state("i-3", FAILED)).failure
        assert crash is not None
        assert crash.signal == "SIGSEGV"

    play(story)


def test_a_healthy_process_that_dies_fails_at_once(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        fact = await house.until_state("i-1", HEALTHY)
        assert fact.pid is not None
        os.kill(fact.pid, signal.SIGKILL)
        after = await house.until_state("i-1", FAILED)
        assert after.failure is not None
        assert after.failure.cause == "Its process ended with signal SIGKILL."
        assert (after.pid, after.socket) == (None, None)
        assert house.directory("i-1").exists()
        house.want()
        await house.until_gone("i-1")
        assert not house.directory("i-1").exists()

    play(story)


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("fail", FailureKind.DATA, "There is no such object."),
        ("die", FailureKind.IMAGE, "Preparing it ended with exit code 1."),
        ("silent", FailureKind.IMAGE, "without saying how it is started"),
    ],
)
def test_a_preparation_that_fails(play: Callable[[Play], None], what: str, kind: FailureKind, said: str) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", PREPARE=what))
        failure = (await house.until_state("i-1", FAILED)).failure
        assert failure is not None
        assert failure.kind is kind
        assert said in failure.cause
        assert "preparing" in failure.log_tail

    play(story)


def test_a_preparation_that_is_no_longer_wanted_is_ended(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", PREPARE="hang"))
        await house.until(lambda: (house.directory("i-1") / "preparing.json").exists())
        child = json.loads((house.directory("i-1") / "preparing.json").read_text())["pid"]
        house.want()
        house.want(spec("i-2"))  # two sets at once: the first is never seen alone
        await house.until_gone("i-1")
        assert not is_alive(child)
        await house.until_state("i-2", HEALTHY)
        house.want(spec("i-2"), spec("i-3"))
        house.want(spec("i-2"))
        await house.until(house.knows)
        await house.until_gone("i-3")
        assert not house.directory("i-3").exists()

    play(story)


def test_a_window_without_a_200_says_what_was_answered(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", 1.0, SERVE="refuse"), spec("i-2", 0.5, SERVE="mute"), spec("i-3", SERVE="late"))
        await house.until_state("i-3", HEALTHY)
        refused = await house.until_state("i-1", FAILED)
        assert refused.failure is not None
        assert "last: 500: weights are missing" in refused.failure.cause
        mute = await house.until_state("i-2", FAILED)
        assert mute.failure is not None
        assert "answered 0 times; last: no answer within 2 s" in mute.failure.cause
        await house.until(lambda: all((f := house.fact(i)) is not None and f.pid is None for i in ("i-1", "i-2")))

    play(story)


def test_a_process_that_ignores_sigterm_is_killed(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", SERVE="stubborn"))
        fact = await house.until_state("i-1", HEALTHY)
        house.want()
        await house.until_state("i-1", InstanceState.STOPPING)
        await house.until_gone("i-1")
        assert not is_alive(fact.pid)
        assert "ended with signal SIGKILL" in house.log("i-1")

    play(story)


def test_an_older_generation_is_refused(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"), generation=5)
        await house.until_state("i-1", HEALTHY)
        house.want(generation=4)
        house.want(spec("i-1"), spec("i-2"), generation=6)
        await house.until_state("i-2", HEALTHY)
        assert [state for ident, state in house.history if ident == "i-1"][-1] is HEALTHY
        kept = decode(DesiredInstances, json.loads((house.data / "node.json").read_text()))
        assert (kept.generation, len(kept.instances)) == (6, 2)

    play(story)


def test_a_restarted_agent_goes_on_with_the_processes_it_finds(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"), spec("i-2", SERVE="exit"), spec("i-3", PREPARE="hang"), spec("i-4"))
        pid = (await house.until_state("i-1", HEALTHY)).pid
        failure = (await house.until_state("i-2", FAILED)).failure
        dead = await house.until_state("i-4", HEALTHY)
        await house.stop_agent()
        assert dead.pid is not None
        os.kill(dead.pid, signal.SIGKILL)
        await house.until(lambda: not is_alive(dead.pid))
        await house.until(lambda: house.hub is not None and isinstance(house.hub.seen(), Unknown))
        house.history.clear()
        house.start_agent()
        await house.until(house.knows)
        fact = house.fact("i-1")
        assert fact is not None
        assert (fact.state, fact.pid) == (HEALTHY, pid)  # what is well is told so with the first word
        found = house.fact("i-2")
        assert found is not None
        assert (found.state, found.failure) == (FAILED, failure)
        again = await house.until_state("i-4", HEALTHY)
        assert again.pid != dead.pid
        assert "had ended with signal SIGKILL when the node agent started" in house.log("i-4")
        assert {state for ident, state in house.history if ident == "i-1"} == {HEALTHY}
        house.want()
        await house.until_gone("i-1")
        assert not is_alive(pid)

    play(story)


def test_what_became_unwanted_while_the_agent_was_away_is_ended(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1", SERVE="stubborn"), spec("i-2"))
        stubborn = await house.until_state("i-1", HEALTHY)
        second = await house.until_state("i-2", HEALTHY)
        house.want(spec("i-2"))
        await house.until_state("i-1", InstanceState.STOPPING)
        await house.stop_agent()  # in the middle of the stop
        house.want()
        (house.data / "instances" / "broken").mkdir()
        (house.data / "instances" / "broken" / "spec.json").write_text("{")
        house.start_agent()
        await house.until(house.knows)
        await house.until_gone("i-1")
        await house.until_gone("i-2")
        await house.until(lambda: not any((house.data / "instances").iterdir()))
        assert not is_alive(stubborn.pid)
        assert not is_alive(second.pid)

    play(story)


def test_without_a_kept_set_nothing_is_stopped_before_control_speaks(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        pid = (await house.until_state("i-1", HEALTHY)).pid
        await house.stop_agent()
        await house.stop_control()
        (house.data / "node.json").write_text("not JSON")
        house.start_agent()
        house.start_control()
        fact = await house.until_state("i-1", HEALTHY)
        assert fact.pid == pid
        house.want()
        await house.until_gone("i-1")

    play(story)


def test_an_earlier_boot_leaves_nothing_to_adopt(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        first = await house.until_state("i-1", HEALTHY)
        await house.stop_agent()
        await keeper_client(house.run, house.data).shutdown(1)
        path = house.directory("i-1") / "pid.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "another", "pid": os.getpid()}))
        (house.directory("i-1") / "exit.json").unlink()
        house.start_agent()
        await house.until(house.knows)
        again = await house.until_state("i-1", HEALTHY)
        assert again.pid not in (first.pid, os.getpid())

    play(story)


def test_control_may_come_and_go(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        pid = (await house.until_state("i-1", HEALTHY)).pid
        for _ in range(2):
            await house.stop_control()
            house.start_control()
            fact = await house.until_state("i-1", HEALTHY)
            assert fact.pid == pid
        assert house.hub is not None
        seen = house.hub.seen()
        assert isinstance(seen, Known)
        assert seen.generation == house.generation

    play(story)


def test_a_keeper_that_dies_takes_its_instances_along_and_is_replaced(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"), spec("i-2", SERVE="mute"))
        await house.until_state("i-1", HEALTHY)
        await house.until_state("i-2", InstanceState.STARTING)
        keeper = await keeper_client(house.run, house.data).ensure()
        os.kill(keeper.pid, signal.SIGKILL)
        failure = (await house.until_state("i-1", FAILED)).failure
        assert failure is not None
        assert failure.cause == "Its process ended with signal SIGKILL because the keeper, its parent, died."
        await house.until(lambda: "it is started once more" in house.log("i-2"))
        house.want(spec("i-3"))
        await house.until_state("i-3", HEALTHY)
        assert (await keeper_client(house.run, house.data).ensure()) != keeper

    play(story)


def test_an_instance_that_hangs_is_unhealthy_until_it_answers_again(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"))
        await house.until_state("i-1", HEALTHY)
        (house.directory("i-1") / "refuse").touch()
        fact = await house.until_state("i-1", InstanceState.UNHEALTHY)
        assert fact.failure is None
        await house.stop_agent()
        house.start_agent()
        await house.until(lambda: house.state("i-1") is InstanceState.UNHEALTHY)
        (house.directory("i-1") / "refuse").unlink()
        await house.until_state("i-1", HEALTHY)

    play(story)


def test_many_at_once(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        specs = [spec(f"i-{number}") for number in range(20)]
        house.want(*specs)
        for one in specs:
            await house.until_state(one.instance_id, HEALTHY)
        house.want()
        for one in specs:
            await house.until_gone(one.instance_id)
        assert not any((house.data / "instances").iterdir())

    play(story)


def test_an_orderly_end_leaves_no_process_and_the_next_start_goes_on(play: Callable[[Play], None]) -> None:
    async def story(house: House) -> None:
        house.want(spec("i-1"), spec("i-2", SERVE="stubborn"))
        facts = [await house.until_state(ident, HEALTHY) for ident in ("i-1", "i-2")]
        keeper = await keeper_client(house.run, house.data).ensure()
        await house.stop_agent()
        await keeper_client(house.run, house.data).shutdown(0.5)
        assert not any(is_alive(fact.pid) for fact in facts)
        assert not keeper.lives()
        house.start_agent()
        await house.until(house.knows)
        again = await house.until_state("i-1", HEALTHY)
        assert again.pid != facts[0].pid

    play(story)


def test_a_directory_with_read_only_parts_is_removed(tmp_path: Path) -> None:
    directory = InstanceDirectory(tmp_path / "i-1")
    directory.create(spec("i-1"))
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    inner = directory.path / "model"
    inner.mkdir()
    (inner / "weights").touch()
    (inner / "link").symlink_to(outside)
    inner.chmod(0)
    directory.remove()
    assert not directory.path.exists()
    assert outside.stat().st_mode & 0o777 == 0o500
