"""Judges metric alarms: datapoints and a rule in, a state and why out.

Source: CloudWatch developer guide, "Configuring how CloudWatch alarms treat missing data" (its tables are tests here);
"Percentiles-based alarms and low data samples". More periods are looked at than a rule names, so that one datapoint
that comes late or never does not change a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostmaker.domain.alarm import AlarmState, Missing, Rule
from hostmaker.domain.metric import percentile_of

MORE_PERIODS = 2  # looked at beyond those of the rule; both of the guide's examples have 5 for 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that follows; `counted`: places of the real datapoints that decided; `filled`: missing ones."""

    state: AlarmState
    counted: tuple[int, ...] = ()
    filled: int = 0


def periods_seen(rule: Rule) -> int:
    """Give the number of periods to look at, back from now."""
    return rule.periods + MORE_PERIODS


def judge(points: Sequence[float | None], rule: Rule, before: AlarmState) -> Verdict:
    """Give the state after `points`: one for each of the periods seen, oldest first, None where there is no data."""
    real = [place for place, value in enumerate(points) if value is not None]
    counted = tuple(real[-rule.periods :])
    breaching = sum(_breaches(points[place], rule) for place in counted)
    lacking = max(rule.periods - len(real), 0)
    if not lacking:  # gaps are not looked at while there is enough data
        return Verdict(_alarm_if(breaching >= rule.to_alarm), counted)
    match rule.missing:
        case Missing.BREACHING:
            return Verdict(_alarm_if(breaching + lacking >= rule.to_alarm), counted, lacking)
        case Missing.NOT_BREACHING:
            return Verdict(_alarm_if(breaching >= rule.to_alarm), counted, lacking)
    # Missing datapoints count for nothing. 1: no data at all. 2: enough breaching. 3: some good datapoint. 4: only
    # breaching ones, and too few: in alarm all the same when the oldest has not been contradicted for long enough, so
    # that a metric that is told seldom can be in alarm; where gaps are to be ignored, the state stays.
    if not real:
        return Verdict(before if rule.missing is Missing.IGNORE else AlarmState.INSUFFICIENT_DATA)
    if breaching >= rule.to_alarm:
        return Verdict(AlarmState.ALARM, counted)
    if breaching < len(real):
        return Verdict(AlarmState.OK, counted)
    if rule.missing is Missing.IGNORE:
        return Verdict(before, counted)
    return Verdict(_alarm_if(len(points) - real[0] >= rule.to_alarm), counted)


def enough_samples(stat: str, samples: float) -> bool:
    """Tell whether a percentile of so many values says something; every other statistic does.

    Source: "Percentiles-based alarms and low data samples": 10 / (1 - p) values above the median, 10 / p below.
    """
    if not stat.startswith("p"):
        return True
    share = percentile_of(stat) / 100
    rest = 1 - share if share >= 0.5 else share
    return samples * rest >= 10 or rest == 0  # the least and the greatest value are what they are


def reason(points: Sequence[float | None], times: Sequence[str], rule: Rule, before: AlarmState, to: Verdict) -> str:
    """Say why the alarm got from `before` to a state, in the service's words; `times` are those of the points."""
    if to.state is AlarmState.INSUFFICIENT_DATA:
        return f"Insufficient Data: {_number(rule.periods, 'datapoint')} unknown."
    if not to.counted:
        return (
            f"Threshold Crossed: no datapoints were received for {_plural(rule.periods, 'period')} and "
            f"{_filled(to.filled, rule)}."
        )
    good = [place for place in to.counted if not _breaches(points[place], rule)]
    bad = [place for place in to.counted if _breaches(points[place], rule)]
    if to.state is AlarmState.ALARM or not good:
        told, crossed, target, least = bad, "", AlarmState.ALARM, rule.to_alarm
    else:
        told, crossed, target, least = good, "not ", AlarmState.OK, rule.periods - rule.to_alarm + 1
    side = f"{crossed}{rule.comparison.words} the threshold ({rule.threshold})"
    newest = ", ".join(f"{points[place]} ({times[place]})" for place in reversed(told[-_MOST_TOLD:]))
    if rule.periods == 1:
        return f"Threshold Crossed: 1 datapoint [{newest}] was {side}."
    source = before if before is not target else to.state
    while_filled = f" and {_filled(to.filled, rule)}" if to.filled else ""
    minimum = f"(minimum {_plural(least, 'datapoint')} for {_passage(source, target)} transition)"
    head = f"Threshold Crossed: {len(told)} out of the last {_plural(rule.periods, 'datapoint')}"
    was = "was" if len(told) == 1 else "were"
    if len(told) <= _MOST_TOLD:
        return f"{head} [{newest}] {was} {side}{while_filled} {minimum}."
    most_recent = f"The most recent datapoints which {'did not cross' if crossed else 'crossed'} the threshold"
    return f"{head} {was} {side}{while_filled}. {most_recent}: [{newest}] {minimum}."


_MOST_TOLD = 5  # datapoints that a reason shows


def _passage(before: AlarmState, after: AlarmState) -> str:
    return f"{before.value} -> {after.value}"


def _breaches(value: float | None, rule: Rule) -> bool:
    return value is not None and rule.comparison.breaches(value, rule.threshold)


def _alarm_if(condition: bool) -> AlarmState:
    return AlarmState.ALARM if condition else AlarmState.OK


def _filled(number: int, rule: Rule) -> str:
    treated = "Breaching" if rule.missing is Missing.BREACHING else "NonBreaching"
    return f"{_number(number, 'missing datapoint')} treated as [{treated}]"


def _number(number: int, noun: str) -> str:
    return f"{_plural(number, noun)} {'was' if number == 1 else 'were'}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
