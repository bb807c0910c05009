"""The life of an instance: examples of its rules, and its promises under every order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceState
from hostmaker.fleet.instance import (
    Effect,
    EndPreparation,
    Event,
    Exited,
    Found,
    FoundFailed,
    Life,
    NotStarted,
    Overfilled,
    Pinged,
    PreparedOk,
    PrepareFailed,
    RememberHealth,
    Removed,
    RemoveDirectory,
    RemoveFiles,
    Started,
    StartProcess,
    StopProcess,
    Tell,
    Unwanted,
    describe_exit,
    step,
)

BROKEN = InstanceFailure(FailureKind.DATA, "No such object.")


def after(*events: tuple[float, Event], window_s: float = 480.0) -> tuple[Life, tuple[Effect, ...]]:
    life, effects = Life(startup_timeout_s=window_s), ()
    for now, event in events:
        life, effects = step(life, event, now)
    return life, effects


def deeds(effects: tuple[Effect, ...]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Tell)]


def good(start: int = 1) -> Pinged:
    return Pinged(200, "200", start)


def bad(status: int | None = None, detail: str = "nothing listened", start: int = 1) -> Pinged:
    return Pinged(status, detail, start)


def test_it_is_prepared_started_and_healthy() -> None:
    life, effects = after((0, PreparedOk()))
    assert life.state is InstanceState.PREPARING
    assert effects == (StartProcess(),)
    life, effects = after((0, PreparedOk()), (1, Started(7)))
    assert (life.state, life.pid, life.probe_at) == (InstanceState.STARTING, 7, 1.05)
    life, effects = after((0, PreparedOk()), (1, Started(7)), (1.3, good()))
    assert (life.state, life.probe_at) == (InstanceState.HEALTHY, 6.3)
    assert RememberHealth(True) in effects


def test_first_probes_are_quick_and_then_one_a_second() -> None:
    life, _ = after((0, Started(7)))
    waits, now = [], 0.0
    for _ in range(7):
        assert life.probe_at is not None
        waits.append(round(life.probe_at - now, 3))
        now = life.probe_at
        life, _ = step(life, bad(), now)
    assert waits == [0.05, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0]


def test_three_failed_pings_in_a_row_make_it_unhealthy_and_a_good_one_healthy_again() -> None:
    healthy = ((0.0, Started(7)), (1.0, good()))
    life, _ = after(*healthy, (6, bad()), (11, bad()))
    assert life.state is InstanceState.HEALTHY
    life, effects = after(*healthy, (6, bad()), (11, bad()), (12, good()), (16, bad()), (21, bad()))
    assert life.state is InstanceState.HEALTHY
    life, effects = after(*healthy, (6, bad()), (11, bad()), (16, bad()))
    assert life.state is InstanceState.UNHEALTHY
    assert RememberHealth(False) in effects
    life, effects = step(life, good(), 21)
    assert (life.state, life.failed_pings) == (InstanceState.HEALTHY, 0)


def test_a_process_that_ends_before_it_is_healthy_is_started_once_more_at_once() -> None:
    life, effects = after((0, Started(7)), (2, Exited(code=3)))
    assert (life.state, life.pid, life.failure) == (InstanceState.STARTING, None, None)
    assert deeds(effects) == [StartProcess()]
    life, effects = after((0, Started(7)), (2, Exited(code=3)), (2, Started(8)), (3, Exited(signal="SIGSEGV")))
    assert life.state is InstanceState.FAILED
    assert life.failure is not None
    assert life.failure.kind is FailureKind.PING
    assert life.failure.signal == "SIGSEGV"
    assert "signal SIGSEGV before its first healthy ping, twice" in life.failure.cause
    assert deeds(effects) == [RemoveFiles()]


def test_a_process_that_ends_after_it_was_healthy_fails_at_once() -> None:
    life, effects = after((0, Started(7)), (1, good()), (2, Exited(code=0)))
    assert (life.state, life.pid) == (InstanceState.FAILED, None)
    assert life.failure is not None
    assert life.failure.cause == "Its process ended with exit code 0."
    assert deeds(effects) == [RemoveFiles()]


def test_the_files_of_one_that_wrote_too_much_go_as_soon_as_its_process_has_ended() -> None:
    """Not before: it would write on. And not later: whoever shall record its failure needs the room."""
    life, effects = after((0, Started(7)), (1, good()), (2, Overfilled("It had written 2 GiB.")))
    assert (life.state, deeds(effects)) == (InstanceState.FAILED, [StopProcess(at_once=True)])
    life, effects = step(life, Exited(signal="SIGKILL"), 3)
    assert deeds(effects) == [RemoveFiles()]
    life, effects = step(life, Unwanted(), 4)
    assert deeds(effects) == [RemoveDirectory()]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([bad()], "tried 1 times in the 60 s since its process started, answered 0 times; last: nothing listened."),
        (
            [bad(500, "500: no model"), bad()],
            "tried 2 times in the 60 s since its process started, answered 1 times; last: nothing listened.",
        ),
        ([bad(), bad(500, "500: no model")], "last: 500: no model."),
    ],
)
def test_when_the_window_is_over_the_cause_says_what_was_answered(answers: list[Pinged], said: str) -> None:
    life, _ = after((0, Started(7)), window_s=60)
    for number, answer in enumerate(answers):
        life, effects = step(life, answer, 60.0 * (number + 1) / len(answers))
    assert life.state is InstanceState.FAILED
    assert life.failure is not None
    assert said in life.failure.cause
    assert life.failure.cause.startswith("GET /ping did not answer 200 within 60 s: ")
    assert deeds(effects) == [StopProcess()]


def test_a_second_start_does_not_prolong_the_window() -> None:
    events = ((0.0, Started(7)), (50.0, Exited(code=1)), (50.0, Started(8)))
    life, _ = after(*events, (59, bad(start=2)), window_s=60)
    assert life.state is InstanceState.STARTING
    life, _ = after(*events, (60, bad(start=2)), window_s=60)
    assert life.state is InstanceState.FAILED
    life, _ = after((0, Started(7)), (61, Exited(code=1)), window_s=60)
    assert life.state is InstanceState.FAILED


def test_a_late_answer_of_the_first_process_does_not_make_the_second_healthy() -> None:
    between, _ = after((0, Started(7)), (1, Exited(code=1)), (1, good()))
    assert between.state is InstanceState.STARTING
    second, _ = after((0, Started(7)), (1, Exited(code=1)), (1, Started(8)), (1, good(start=1)))
    assert second.state is InstanceState.STARTING
    third, _ = step(second, good(start=2), 2)
    assert third.state is InstanceState.HEALTHY


@pytest.mark.parametrize("event", [PrepareFailed(BROKEN), NotStarted("no such file")])
def test_what_cannot_be_begun_fails_with_its_cause(event: Event) -> None:
    life, effects = after((0, event))
    assert life.state is InstanceState.FAILED
    assert life.failure is not None
    assert deeds(effects) == [RemoveFiles()]


def test_unwanted_ends_what_runs_before_the_directory_goes() -> None:
    life, effects = after((0, Started(7)), (1, good()), (2, Unwanted()))
    assert life.state is InstanceState.STOPPING
    assert deeds(effects) == [StopProcess()]
    life, effects = step(life, Exited(signal="SIGTERM"), 3)
    assert deeds(effects) == [RemoveDirectory()]
    life, _ = step(life, Removed(), 3)
    assert life.state is InstanceState.GONE


def test_unwanted_while_it_is_prepared_ends_the_preparation_first() -> None:
    life, effects = after((0, Unwanted()))
    assert deeds(effects) == [EndPreparation()]
    for told in (PrepareFailed(BROKEN), PreparedOk()):
        after_told, effects = step(life, told, 1)
        assert deeds(effects) == [RemoveDirectory()]
        assert after_told.failure is None


def test_unwanted_while_it_starts_stops_what_has_started() -> None:
    life, effects = after((0, PreparedOk()), (1, Unwanted()), (2, Started(7)))
    assert life.state is InstanceState.STOPPING
    assert deeds(effects) == [StopProcess()]


@pytest.mark.parametrize(
    ("was_healthy", "state"),
    [(None, InstanceState.STARTING), (True, InstanceState.HEALTHY), (False, InstanceState.UNHEALTHY)],
)
def test_a_process_that_is_found_is_what_it_was(was_healthy: bool | None, state: InstanceState) -> None:
    life, _ = after((1000, Found(7, 900.0, was_healthy)))
    assert (life.state, life.probe_at) == (state, 1000)
    life, _ = step(life, bad(), 1000)
    assert (life.failure is not None) == (was_healthy is None)  # its window has been over for long


def test_a_failure_that_is_found_stays() -> None:
    life, effects = after((0, FoundFailed(BROKEN, None)))
    assert (life.state, life.failure, effects) == (InstanceState.FAILED, BROKEN, (RemoveFiles(),))
    life, effects = after((0, FoundFailed(BROKEN, 7)))
    assert effects == (StopProcess(),)
    life, effects = step(life, Exited(code=0), 1)
    assert (life.state, life.failure, life.pid) == (InstanceState.FAILED, BROKEN, None)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Exited(code=3), "exit code 3"),
        (Exited(signal="SIGKILL"), "signal SIGKILL"),
        (Exited(signal="SIGKILL", memory_kill=True), "more memory than its instance type has"),
        (Exited(signal="SIGKILL", keeper_ended=True), "the keeper, its parent, died"),
        (Exited(), "not recorded"),
    ],
)
def test_exits_are_named(how: Exited, words: str) -> None:
    assert words in describe_exit(how)


class SmallWorld:
    """Answers effects as the world would, in an order that Hypothesis draws; checks the promises at every step."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.now = 0.0
        self.preparing = True
        self.starting = False
        self.running = False
        self.removing = False
        self.removed = False
        self.probing: list[int] = []
        self.last_good: int | None = None  # the start whose ping was good last

    def choices(self) -> list[Event]:
        found: list[Event] = []
        if self.preparing:
            found += [PreparedOk(), PrepareFailed(BROKEN)]
        if self.starting:
            found += [Started(self.life.starts + 10), NotStarted("full")]
        if self.running:
            found += [Exited(code=1), Exited(signal="SIGKILL", keeper_ended=True)]
        for start in self.probing[:1]:
            found += [good(start), bad(start=start), bad(503, "503", start)]
        if self.removing:
            found.append(Removed())
        return found

    def take(self, event: Event) -> None:
        match event:
            case PreparedOk() | PrepareFailed():
                self.preparing = False
            case Started() | NotStarted():
                self.starting, self.running = False, isinstance(event, Started)
            case Exited():
                self.running = False
            case Pinged():
                self.probing.pop(0)
                if event.status == 200:
                    self.last_good = event.start
            case Removed():
                self.removing, self.removed = False, True
            case _:
                pass
        before = self.life
        self.life, effects = step(before, event, self.now)
        for effect in effects:
            self.perform(effect)
        self.check(before)

    def perform(self, effect: Effect) -> None:
        match effect:
            case StartProcess():
                assert not any((self.preparing, self.starting, self.running, self.removing))
                assert self.life.is_wanted
                self.starting = True
            case StopProcess():
                assert self.running
            case RemoveDirectory():
                assert not any((self.preparing, self.starting, self.running, self.removing, self.removed))
                assert not self.life.is_wanted
                self.removing = True
            case _:
                pass

    def check(self, before: Life) -> None:
        life = self.life
        assert (life.pid is not None) == self.running
        if life.state is InstanceState.HEALTHY:
            assert self.running
            assert self.last_good == life.starts
        if life.state is InstanceState.FAILED:
            assert life.failure is not None
            assert life.failure.cause
            assert life.is_wanted
        if before.state is InstanceState.FAILED and life.is_wanted:
            assert life.state is InstanceState.FAILED
        if not life.is_wanted:
            assert life.state in (InstanceState.STOPPING, InstanceState.GONE)
        assert life.starts <= 2
        assert (life.state is InstanceState.GONE) == self.removed


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_promises_hold_in_every_order_of_events(data: st.DataObject) -> None:
    world = SmallWorld(Life(startup_timeout_s=data.draw(st.sampled_from([1.0, 60.0]), label="window")))
    for _ in range(data.draw(st.integers(0, 25), label="events")):
        world.now += data.draw(st.floats(0, 10), label="wait")
        if world.life.probe_at is not None and world.life.probe_at <= world.now:
            world.life = replace(world.life, probe_at=None)
            world.probing.append(world.life.starts)
        choices: list[Event] = [*world.choices(), Unwanted()]
        world.take(data.draw(st.sampled_from(choices), label="event"))
    world.take(Unwanted())
    for _ in range(12):
        ends = [e for e in world.choices() if not isinstance(e, Pinged)]
        if not ends:
            break
        world.take(data.draw(st.sampled_from(ends), label="end"))
    assert world.life.state is InstanceState.GONE


def test_a_dead_start_of_a_probe_never_stops_probing() -> None:
    life, _ = after((0, Started(7)))
    life, _ = step(replace(life, probe_at=None), bad(), 1)
    assert life.probe_at is not None
