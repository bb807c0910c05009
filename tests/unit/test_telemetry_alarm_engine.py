"""The engine of alarms: when it evaluates, what it keeps, what it tells, on a clock that the test moves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from hostmaker.domain.alarm import (
    AlarmActions,
    AlarmKey,
    AlarmState,
    Comparison,
    CompositeAlarm,
    LowSamples,
    MetricAlarm,
    MetricQuery,
    MetricStat,
    Missing,
    StateChange,
    alarm_arn,
)
from hostmaker.domain.metric import Bucket, Datum, Series, Summary, merge, of_value
from hostmaker.kit.database import migrate
from hostmaker.kit.steps import Steps, finish
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.alarm_engine import HISTORY_KEPT_S, MAX_AT_ONCE, AlarmEngine
from hostmaker.telemetry.alarm_family import MAX_PARENTS, CircleError, CrowdError
from hostmaker.telemetry.alarm_store import AlarmStore, HistoryQuery
from hostmaker.telemetry.cell import merged
from hostmaker.telemetry.series import SeriesStore

ACCOUNT, REGION = "123456789012", "eu-west-1"
START = 1_795_500_000.0  # a whole minute
OK, ALARM, INSUFFICIENT = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:pager"
ERRORS = Series(REGION, "AWS/SageMaker", "Invocation5XXErrors", (("EndpointName", "e"), ("VariantName", "v")))


class Metrics:
    """Values by second, as the series' store gives them."""

    def __init__(self) -> None:
        self.values: dict[Series, dict[int, tuple[Summary, str]]] = {}
        self.reads = 0

    def put(self, series: Series, at: float, value: float, number: float = 1.0, unit: str = "None") -> None:
        cells = self.values.setdefault(series, {})
        known = cells.get(int(at))
        new = of_value(value, number)
        cells[int(at)] = (merge(known[0], new) if known else new, unit)

    def buckets(self, series: Series, start: int, end: int, period_s: int) -> list[Bucket]:
        found: dict[int, Bucket] = {}
        for second, (summary, unit) in sorted(self.values.get(series, {}).items()):
            place = second // period_s * period_s
            if start <= place < end:
                known = found.get(place)
                found[place] = Bucket(place, period_s, merge(known.summary, summary) if known else summary, unit)
        return list(found.values())

    def windows(
        self, series: Series, starts: Sequence[int], length_s: int, step_s: int, unit: str | None
    ) -> Steps[list[Summary | None]]:
        self.reads += 1
        yield
        return [merged(self.buckets(series, start, start + length_s, step_s), unit) for start in starts]


class House:
    """An engine with all that it needs; `restart` makes a new one on the same rows."""

    def __init__(self) -> None:
        self.now = START
        self.metrics = Metrics()
        self.told: list[StateChange] = []
        self.woken = 0
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db, "hostmaker.telemetry")
        self.store = AlarmStore(self.db)
        self.restart()

    def restart(self) -> None:
        self.engine = AlarmEngine(
            self.store, self.metrics, lambda: self.now, self.told.append, ACCOUNT, woken=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    def run(self, seconds: float) -> None:
        """Move the clock, looking whenever the engine asked for it."""
        end = self.now + seconds
        while True:
            wait = self.engine.look()
            if wait is None or self.now + wait > end:
                self.now = end
                return
            self.now += max(wait, 0.001)

    def state(self, name: str) -> AlarmState:
        return self.engine.readings(REGION, [name])[name].state

    def history(self, name: str) -> list[str]:
        query = HistoryQuery(REGION, ("MetricAlarm", "CompositeAlarm"), name, ascending=True)
        return [item.summary for _, item in self.store.history(query, 100)]


@pytest.fixture
def house() -> House:
    return House()


def stat(period_s: int = 60, name: str = "Sum", unit: str | None = None) -> MetricStat:
    return MetricStat(ERRORS.namespace, ERRORS.name, tuple(reversed(ERRORS.dimensions)), period_s, name, unit)


def alarm(name: str = "errors", period_s: int = 60, **members: object) -> MetricAlarm:
    given: Mapping[str, object] = {
        "region": REGION,
        "name": name,
        "arn": alarm_arn(REGION, ACCOUNT, name),
        "configured_at": datetime.fromtimestamp(START, UTC),
        "comparison": Comparison.GREATER,
        "threshold": 10.0,
        "evaluation_periods": 1,
        "metric": stat(period_s),
        **members,
    }
    return MetricAlarm(**given)  # type: ignore[arg-type]


def composite(name: str, rule: str) -> CompositeAlarm:
    at = datetime.fromtimestamp(START, UTC)
    return CompositeAlarm(REGION, name, alarm_arn(REGION, ACCOUNT, name), at, rule)


def test_without_alarms_nothing_is_due(house: House) -> None:
    assert house.engine.look() is None


def test_a_minute_is_judged_five_seconds_after_its_end(house: House) -> None:
    house.engine.put(alarm())
    house.metrics.put(ERRORS, START + 30, 12.0)
    house.run(64.9)
    assert house.state("errors") is INSUFFICIENT
    house.run(0.2)
    assert house.state("errors") is ALARM
    (change,) = house.told
    assert change.reason == (
        "Threshold Crossed: 1 datapoint [12.0 (24/11/26 06:00:00)] was greater than the threshold (10.0)."
    )
    assert (change.before, change.after, change.region, change.name) == (INSUFFICIENT, ALARM, REGION, "errors")
    data = json.loads(change.data)
    assert data["recentDatapoints"] == [12.0]
    assert data["startDate"] == "2026-11-24T06:00:00.000+0000"
    assert data["evaluatedDatapoints"] == [
        {"timestamp": "2026-11-24T06:00:00.000+0000", "sampleCount": 1.0, "value": 12.0}
    ]


def test_the_window_of_a_long_period_slides_by_the_minute(house: House) -> None:
    house.engine.put(alarm(metric=stat(300)))
    house.metrics.put(ERRORS, START + 10, 6.0)
    house.metrics.put(ERRORS, START + 130, 6.0)
    house.run(125.1)
    assert house.state("errors") is OK
    house.run(60.0)
    assert house.state("errors") is ALARM
    house.run(180.0)  # the first six have left the window of five minutes
    assert house.state("errors") is OK


@pytest.mark.parametrize(("period_s", "step", "delay"), [(10, 10, 1.0), (30, 10, 1.0), (1, 1, 0.25), (5, 1, 0.25)])
def test_short_periods_are_judged_often(house: House, period_s: int, step: int, delay: float) -> None:
    house.engine.put(alarm(period_s=period_s))
    house.run(step)
    house.metrics.put(ERRORS, house.now, 12.0)
    second = house.now
    while house.state("errors") is not ALARM:
        house.run(0.05)
    assert house.now - second == pytest.approx(step + delay, abs=0.2)


def test_data_that_comes_late_is_judged_at_once(house: House) -> None:
    house.engine.put(alarm(period_s=1))
    house.run(10.3)
    house.metrics.put(ERRORS, START + 9, 12.0)
    assert house.engine.look() == pytest.approx(0.95)
    woken = house.woken
    house.engine.data_arrived([ERRORS])
    assert house.woken == woken + 1
    house.engine.look()
    assert house.state("errors") is ALARM


def test_data_for_minute_alarms_wakes_nobody(house: House) -> None:
    house.engine.put(alarm())
    woken = house.woken
    house.engine.data_arrived([ERRORS])
    assert house.woken == woken


def test_idle_alarms_are_read_once_a_minute(house: House) -> None:
    for number in range(20):
        house.engine.put(alarm(f"a{number}"))
    house.engine.look()
    house.metrics.reads = 0
    house.run(600)
    assert house.metrics.reads == 20 * 10


def test_a_state_set_by_hand_stays_ten_seconds_and_then_yields(house: House) -> None:
    house.engine.put(alarm(period_s=10, treat_missing=Missing.NOT_BREACHING))
    house.run(11.5)
    assert house.state("errors") is OK
    house.engine.set_state(AlarmKey(REGION, "errors"), ALARM, "by hand", '{"why": 1}')
    assert house.told[-1].reason == "by hand"
    house.run(9.5)
    assert house.state("errors") is ALARM
    house.run(10)
    assert house.state("errors") is OK
    assert house.history("errors")[-2:] == ["Alarm updated from OK to ALARM", "Alarm updated from ALARM to OK"]


def test_setting_the_same_state_changes_the_reason_alone(house: House) -> None:
    house.engine.put(alarm())
    house.engine.set_state(AlarmKey(REGION, "errors"), INSUFFICIENT, "by hand", "")
    reading = house.engine.readings(REGION, ["errors"])["errors"]
    assert (reading.reason, reading.since) == ("by hand", datetime.fromtimestamp(START, UTC))
    assert house.told == []
    assert house.history("errors") == ['Alarm "errors" created']


def test_states_survive_a_restart_and_are_not_told_again(house: House) -> None:
    house.engine.put(alarm(period_s=10, treat_missing=Missing.IGNORE))
    house.metrics.put(ERRORS, START + 1, 12.0)
    house.run(11.5)
    since = house.engine.readings(REGION, ["errors"])["errors"]
    house.restart()
    house.run(100)
    assert house.engine.readings(REGION, ["errors"])["errors"] == since
    assert len(house.told) == 1


def test_a_state_set_by_hand_is_held_over_a_restart(house: House) -> None:
    house.engine.put(alarm(period_s=1, treat_missing=Missing.NOT_BREACHING))
    house.engine.put(composite("both", "OK(errors)"))
    for name in ("errors", "both"):
        house.engine.set_state(AlarmKey(REGION, name), OK, "by hand", "")
    house.run(5)
    house.restart()
    house.run(4.9)
    assert house.state("both") is OK
    house.run(1)
    assert house.state("both") is ALARM


def test_an_expression_is_watched(house: House) -> None:
    calls = Series(REGION, "AWS/SageMaker", "Invocations", ())
    queries = (
        MetricQuery("m1", stat(), returned=False),
        MetricQuery("m2", MetricStat(calls.namespace, calls.name, (), 60, "Sum"), returned=False),
        MetricQuery("rate", expression="bad * 100", label="errors in %"),
        MetricQuery("bad", expression="FILL(m1, 0) / m2", returned=False),
    )
    house.engine.put(alarm(metric=None, queries=queries))
    house.metrics.put(calls, START + 1, 1.0, 50)
    house.run(66)
    assert house.state("errors") is OK
    house.metrics.put(calls, START + 61, 1.0, 50)
    house.metrics.put(ERRORS, START + 62, 1.0, 6)
    house.run(60)
    assert house.state("errors") is ALARM
    assert json.loads(house.told[-1].data)["recentDatapoints"] == [12.0]


def test_a_unit_that_does_not_fit_is_no_data(house: House) -> None:
    house.engine.put(alarm(metric=stat(unit="Count")))
    house.metrics.put(ERRORS, START + 1, 12.0, unit="None")
    house.run(66)
    assert house.state("errors") is INSUFFICIENT
    house.metrics.put(ERRORS, START + 61, 12.0, unit="Count")
    house.run(60)
    assert house.state("errors") is ALARM


def test_percentiles_of_few_values_leave_the_state_where_that_is_asked_for(house: House) -> None:
    house.engine.put(alarm("careful", metric=stat(60, "p99"), low_samples=LowSamples.IGNORE))
    house.engine.put(alarm("quick", metric=stat(60, "p99")))
    house.metrics.put(ERRORS, START + 1, 12.0, 100)
    house.run(66)
    assert (house.state("careful"), house.state("quick")) == (INSUFFICIENT, ALARM)
    house.metrics.put(ERRORS, START + 61, 12.0, 1100)
    house.run(60)
    assert house.state("careful") is ALARM


def test_composites_follow_in_the_same_look_each_once(house: House) -> None:
    house.engine.put(alarm("a", period_s=10, treat_missing=Missing.NOT_BREACHING))
    house.engine.put(composite("top", "ALARM(a) AND NOT ALARM(middle)"))  # `middle` comes later: it follows `a` too
    house.engine.put(composite("middle", f'ALARM("{alarm_arn(REGION, ACCOUNT, "a")}")'))
    house.run(1)
    house.told.clear()
    house.metrics.put(ERRORS, START + 1, 12.0)
    house.run(11)
    assert [(change.name, change.after) for change in house.told] == [("a", ALARM), ("middle", ALARM)]
    assert house.state("top") is OK
    assert house.told[1].reason == (
        f"{alarm_arn(REGION, ACCOUNT, 'a')} transitioned to ALARM at Tuesday 24 November, 2026 06:00:11 UTC"
    )
    triggering = json.loads(house.told[1].data)["triggeringAlarms"][0]
    assert triggering["state"] == {"value": "ALARM", "timestamp": "2026-11-24T06:00:11.000+0000"}


def test_a_new_composite_is_judged_with_the_next_look(house: House) -> None:
    house.engine.put(composite("always", "TRUE"))
    house.engine.look()
    assert house.told[-1].reason == (
        f"{alarm_arn(REGION, ACCOUNT, 'always')} was created and its alarm rule evaluates to ALARM"
    )


def test_a_composite_follows_what_is_set_by_hand_at_once(house: House) -> None:
    house.engine.put(alarm("a"))
    house.engine.put(composite("top", "ALARM(a)"))
    house.engine.look()
    house.engine.set_state(AlarmKey(REGION, "a"), ALARM, "by hand", "")
    assert [change.name for change in house.told] == ["top", "a", "top"]
    assert house.state("top") is ALARM


def test_composites_in_a_circle_are_refused_and_change_nothing(house: House) -> None:
    house.engine.put(composite("x", "TRUE"))
    house.engine.put(composite("y", "ALARM(x)"))
    with pytest.raises(CircleError):
        house.engine.put(composite("x", "ALARM(y)"))
    with pytest.raises(CircleError):
        house.engine.put(composite("z", "ALARM(z)"))
    found = house.engine.alarm(AlarmKey(REGION, "x"))
    assert found is not None
    assert isinstance(found[0], CompositeAlarm)
    assert found[0].rule == "TRUE"


def test_a_replaced_alarm_keeps_its_state_and_watches_anew(house: House) -> None:
    house.engine.put(alarm(period_s=10))
    house.metrics.put(ERRORS, START + 1, 12.0)
    house.run(12)
    house.engine.put(alarm(metric=stat(60), threshold=100.0))
    assert house.state("errors") is ALARM
    house.engine.data_arrived([ERRORS])
    house.run(53.5)
    assert house.state("errors") is OK
    assert house.history("errors")[:3] == [
        'Alarm "errors" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        'Alarm "errors" updated',
    ]


def test_actions_run_on_transitions_and_say_why_they_failed(house: House) -> None:
    house.engine.put(alarm(period_s=10, actions=AlarmActions(alarm=(TOPIC,))))
    house.metrics.put(ERRORS, START + 1, 12.0)
    house.run(11.5)
    query = HistoryQuery(REGION, ("MetricAlarm",), "errors", kind="Action")
    ((_, item),) = house.store.history(query, 10)
    assert item.summary == f"Failed to execute action {TOPIC}"
    assert json.loads(item.data)["error"] == f"The topic {TOPIC} does not exist."
    house.engine.enable([AlarmKey(REGION, "errors"), AlarmKey(REGION, "gone")], enabled=False)
    house.run(60)
    house.metrics.put(ERRORS, house.now, 12.0)
    house.run(21)
    assert house.state("errors") is ALARM
    assert len(house.store.history(query, 10)) == 1


def test_a_deleted_alarm_is_neither_judged_nor_kept_but_its_history_is(house: House) -> None:
    house.engine.put(alarm(period_s=10))
    house.engine.delete([AlarmKey(REGION, "errors")])
    assert house.engine.look() is None
    assert house.engine.readings(REGION, ["errors"]) == {}
    house.restart()
    assert house.engine.alarms(REGION) == []
    assert house.history("errors")[-1] == 'Alarm "errors" deleted'


def test_on_a_full_disk_nothing_changes_and_it_is_tried_again(house: House) -> None:
    house.engine.put(alarm(period_s=10))
    house.metrics.put(ERRORS, START + 1, 12.0)
    house.engine.look()
    house.db.execute("PRAGMA query_only = ON")
    house.now += 11.5
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            house.engine.look()
        assert house.state("errors") is INSUFFICIENT
    with pytest.raises(StoreUnavailableError):
        house.engine.put(alarm("other"))
    assert house.told == []
    house.db.execute("PRAGMA query_only = OFF")
    house.engine.look()
    assert [change.after for change in house.told] == [ALARM]
    assert house.engine.readings(REGION, ["other"]) == {}


def test_history_is_kept_thirty_days(house: House) -> None:
    house.engine.put(alarm())
    house.engine.look()
    house.now += HISTORY_KEPT_S - 100
    house.engine.look()
    assert len(house.history("errors")) == 1
    house.now += 3600
    house.engine.look()
    assert house.history("errors") == []


def test_a_look_that_comes_late_judges_the_latest_minute_once(house: House) -> None:
    house.engine.put(alarm())
    house.engine.look()
    house.metrics.put(ERRORS, START + 3600 - 60, 12.0)
    house.now += 3605
    assert house.engine.look() == pytest.approx(60.0)
    assert house.state("errors") is ALARM


def test_the_series_store_serves_alarms_on_one_connection() -> None:
    now, told = [START], list[StateChange]()
    series = SeriesStore(None, lambda: now[0])
    engine = AlarmEngine(AlarmStore(series.db), series, lambda: now[0], told.append, ACCOUNT)
    engine.put(alarm(period_s=10, evaluation_periods=2))
    engine.put(alarm("p99", period_s=60, metric=stat(60, "p99")))
    for second in range(60):
        series.put([Datum(ERRORS, START + second, of_value(12.0 + second), resolution_s=1)])
    now[0] = START + 61.5  # not committed yet, and seen all the same
    engine.look()
    assert [(change.name, change.after) for change in told] == [("errors", ALARM)]
    series.commit()
    now[0] = START + 65.5
    engine.look()
    assert [(change.name, change.after) for change in told[1:]] == [("p99", ALARM)]
    assert json.loads(told[1].data)["recentDatapoints"][0] == pytest.approx(71.0, rel=0.02)
    series.close()


def test_what_changes_during_a_look_is_respected(house: House) -> None:
    """Between two steps an alarm is deleted, one is replaced, one is set by hand, and one becomes due again."""
    names = ("deleted", "kept", "replaced", "set")
    for name in names:
        house.engine.put(alarm(name))
    house.metrics.put(ERRORS, START - 90, 50.0)
    steps = house.engine.look_in_steps()
    for _ in range(len(names)):
        next(steps)  # the first three are judged, and would be in alarm
    house.engine.delete([AlarmKey(REGION, "deleted")])
    house.engine.put(alarm("replaced", threshold=99.0))
    house.engine.set_state(AlarmKey(REGION, "set"), AlarmState.OK, "by hand", "")
    finish(steps)
    assert house.engine.alarm(AlarmKey(REGION, "deleted")) is None
    assert house.state("kept") is AlarmState.ALARM
    assert house.state("replaced") is AlarmState.INSUFFICIENT_DATA
    assert house.state("set") is AlarmState.OK
    assert house.engine.look() is not None
    assert house.state("replaced") is AlarmState.OK
    assert house.state("set") is AlarmState.OK


def test_many_alarms_are_judged_some_at_a_time_and_all_of_them(house: House) -> None:
    for number in range(MAX_AT_ONCE + 50):
        house.engine.put(alarm(f"a{number:03}"))
    house.metrics.put(ERRORS, START - 90, 50.0)
    assert house.engine.look() == 0
    assert len(house.told) == MAX_AT_ONCE
    house.engine.look()
    assert len({change.name for change in house.told}) == MAX_AT_ONCE + 50


def test_an_alarm_over_days_is_judged_once_an_hour(house: House) -> None:
    house.engine.put(alarm(period_s=86_400, evaluation_periods=2))
    house.engine.put(alarm("day", period_s=86_400))
    house.engine.look()
    house.metrics.reads = 0
    house.run(2 * 3600)
    assert house.metrics.reads == 2 + 120


def test_a_composite_has_a_bound_of_others_around_it(house: House) -> None:
    house.engine.put(alarm("child"))
    for number in range(MAX_PARENTS):
        house.engine.put(composite(f"c{number}", 'ALARM("child")'))
    with pytest.raises(CrowdError, match="child is in 150 composite alarms"):
        house.engine.put(composite("more", 'OK("child")'))
    house.engine.put(composite("c7", 'OK("child")'))


def test_composites_of_composites_in_every_order_of_changes(house: House) -> None:
    """The order to judge in follows changes: what was a leaf may come to be made of others."""
    house.engine.put(alarm("a"))
    house.engine.put(composite("one", 'ALARM("a")'))
    house.engine.put(composite("two", 'ALARM("one")'))
    house.engine.put(composite("three", "TRUE"))
    house.engine.put(composite("one", 'ALARM("a") AND ALARM("three")'))
    house.metrics.put(ERRORS, START - 90, 50.0)
    house.engine.look()
    assert {name: house.state(name) for name in ("one", "two", "three")} == dict.fromkeys(
        ("one", "two", "three"), AlarmState.ALARM
    )
    with pytest.raises(CircleError):
        house.engine.put(composite("three", 'OK("two")'))
