"""What the evaluation of alarms says: the service's published tables, an oracle, and the sentences that tell why."""

from __future__ import annotations

import random

import pytest
from benches.alarm_oracle import differences, oracle, random_case
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.alarm import AlarmState, Comparison, Missing, Rule
from hostmaker.planner.alarm import Verdict, enough_samples, judge, reason

KEEP = "keep"
INSUFFICIENT = "INSUFFICIENT_DATA"
POLICIES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
THREE_OF_THREE = {
    "0-X-X": ("OK", "OK", "OK", "OK"),
    "0----": ("OK", "OK", "OK", "OK"),
    "-----": (INSUFFICIENT, KEEP, "ALARM", "OK"),
    "0XX-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "--X--": ("ALARM", KEEP, "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0-X-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "00X0X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0-X--": ("OK", "OK", "ALARM", "OK"),
    "----0": ("OK", "OK", "ALARM", "OK"),
    "---X-": ("ALARM", KEEP, "ALARM", "OK"),
}
ROWS = [
    (to_alarm, data, policy, expected)
    for to_alarm, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for data, states in table.items()
    for policy, expected in zip(POLICIES, states, strict=True)
]
VALUES = {"0": 1.0, "X": 11.0, "-": None}


def rule(periods: int = 3, to_alarm: int = 3, missing: Missing = Missing.MISSING) -> Rule:
    return Rule(Comparison.GREATER, 10.0, periods, to_alarm, missing)


def points(letters: str) -> list[float | None]:
    return [VALUES[letter] for letter in letters]


@pytest.mark.parametrize("before", list(AlarmState))
@pytest.mark.parametrize(("to_alarm", "data", "policy", "expected"), ROWS)
def test_the_published_tables_hold(
    to_alarm: int, data: str, policy: Missing, expected: str, before: AlarmState
) -> None:
    said = judge(points(data), rule(3, to_alarm, policy), before).state.value
    assert said == (before.value if expected == KEEP else expected)


@pytest.mark.parametrize(("to_alarm", "data", "policy", "expected"), ROWS)
def test_the_oracle_knows_the_published_tables_too(to_alarm: int, data: str, policy: Missing, expected: str) -> None:
    said = oracle(points(data), rule(3, to_alarm, policy), AlarmState.ALARM)
    assert said == ("ALARM" if expected == KEEP else expected)


def test_twenty_thousand_random_series_are_judged_as_the_oracle_does() -> None:
    assert differences(20_000, seed=20_231_126) == []


@pytest.mark.parametrize("planted", ["never fills", "forgets the oldest", "keeps nothing"])
def test_the_oracle_finds_planted_errors(planted: str) -> None:
    rng, found = random.Random(3), 0
    for _ in range(2000):
        data, given_rule, before = random_case(rng)
        match planted:
            case "never fills":
                wrong = Rule(given_rule.comparison, 10.0, given_rule.periods, given_rule.to_alarm, Missing.MISSING)
                said = judge(data, wrong, before)
            case "forgets the oldest":
                said = judge(data[1:], given_rule, before)
            case _:
                said = judge(data, given_rule, AlarmState.OK)
        found += said.state.value != oracle(data, given_rule, before)
    assert found > 0


datapoints = st.lists(st.sampled_from([1.0, 10.0, 11.0, float("nan"), None]), min_size=1, max_size=12)


@given(datapoints, st.integers(1, 10), st.sampled_from(list(Missing)), st.sampled_from(list(AlarmState)), st.data())
def test_more_needed_datapoints_never_make_an_alarm_of_none(
    data: list[float | None], periods: int, missing: Missing, before: AlarmState, draw: st.DataObject
) -> None:
    to_alarm = draw.draw(st.integers(1, periods))
    if judge(data, rule(periods, periods, missing), before).state is AlarmState.ALARM:
        assert judge(data, rule(periods, to_alarm, missing), before).state is AlarmState.ALARM


@given(datapoints, st.sampled_from(list(Comparison)))
def test_what_is_no_number_never_breaches(data: list[float | None], comparison: Comparison) -> None:
    nothing = [float("nan") for _ in data]
    assert judge(nothing, Rule(comparison, 10.0, 1, 1), AlarmState.ALARM).state is AlarmState.OK


def test_one_datapoint_is_told_with_its_time() -> None:
    said = reason(
        [None, None, 12.0], ["", "", "23/11/26 01:40:00"], rule(1, 1), AlarmState.OK, Verdict(AlarmState.ALARM, (2,))
    )
    assert said == ("Threshold Crossed: 1 datapoint [12.0 (23/11/26 01:40:00)] was greater than the threshold (10.0).")


def told(letters: str, given_rule: Rule, before: AlarmState) -> str:
    data = points(letters)
    return reason(data, [f"t{n}" for n in range(len(data))], given_rule, before, judge(data, given_rule, before))


def test_reasons_say_how_many_were_needed_and_what_was_filled() -> None:
    ok, alarm = AlarmState.OK, AlarmState.ALARM
    assert told("00X0X", rule(3, 2), ok) == (
        "Threshold Crossed: 2 out of the last 3 datapoints [11.0 (t4), 11.0 (t2)] were greater than the threshold "
        "(10.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )
    assert told("XXX00", rule(3, 2), alarm) == (
        "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (t4), 1.0 (t3)] were not greater than the threshold "
        "(10.0) (minimum 2 datapoints for ALARM -> OK transition)."
    )
    assert told("----X", rule(3, 3, Missing.BREACHING), ok) == (
        "Threshold Crossed: 1 out of the last 3 datapoints [11.0 (t4)] was greater than the threshold (10.0) and 2 "
        "missing datapoints were treated as [Breaching] (minimum 3 datapoints for OK -> ALARM transition)."
    )
    assert told("----X", rule(3, 3, Missing.NOT_BREACHING), alarm) == (
        "Threshold Crossed: 1 out of the last 3 datapoints [11.0 (t4)] was greater than the threshold (10.0) and 2 "
        "missing datapoints were treated as [NonBreaching] (minimum 3 datapoints for OK -> ALARM transition)."
    )
    assert told("XXXXXXXX", rule(6, 6), ok) == (
        "Threshold Crossed: 6 out of the last 6 datapoints were greater than the threshold (10.0). The most recent "
        "datapoints which crossed the threshold: [11.0 (t7), 11.0 (t6), 11.0 (t5), 11.0 (t4), 11.0 (t3)] (minimum 6 "
        "datapoints for OK -> ALARM transition)."
    )


def test_reasons_without_any_datapoint() -> None:
    assert told("-----", rule(), AlarmState.OK) == "Insufficient Data: 3 datapoints were unknown."
    assert told("---", rule(1, 1), AlarmState.OK) == "Insufficient Data: 1 datapoint was unknown."
    assert told("-----", rule(missing=Missing.BREACHING), AlarmState.OK) == (
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
        "[Breaching]."
    )
    assert told("---", rule(1, 1, Missing.NOT_BREACHING), AlarmState.ALARM) == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[NonBreaching]."
    )


@given(st.data())
def test_a_reason_fits_the_api_whatever_the_values(draw: st.DataObject) -> None:
    seed = draw.draw(st.integers(0, 10_000))
    data, given_rule, before = random_case(random.Random(seed))
    big = [None if value is None else value * 1.7976931348623157e300 for value in data]
    verdict = judge(big, given_rule, before)
    said = reason(big, ["23/11/26 01:40:00"] * len(big), given_rule, before, verdict)
    if verdict.counted or verdict.filled or verdict.state is AlarmState.INSUFFICIENT_DATA:
        assert said.startswith(("Threshold Crossed: ", "Insufficient Data: "))
    assert len(said) <= 1023


def test_a_percentile_needs_ten_values_beyond_it() -> None:
    assert enough_samples("Average", 1)
    assert not enough_samples("p99", 999)
    assert enough_samples("p99", 1001)
    assert enough_samples("p50", 20)
    assert not enough_samples("p10", 99)
    assert enough_samples("p100", 1)
