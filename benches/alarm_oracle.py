"""Checks the evaluation of alarms against a brute-force oracle on random series.

    python -m benches.alarm_oracle --cases 1000000

The oracle is written from the rules alone, case by case, and shares no code with what it checks. It exits with 1 and
shows the first difference, if there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from hostmaker.domain.alarm import AlarmState, Comparison, Missing, Rule
from hostmaker.planner.alarm import judge

THRESHOLD = 10.0
Case = tuple[list[float | None], Rule, AlarmState]


def oracle(points: Sequence[float | None], rule: Rule, before: AlarmState) -> str:
    """Give the name of the state after `points`, by the rules of missing data, taken literally."""
    letters = "".join(_letter(value, rule) for value in points)
    present = letters.replace("-", "")
    policy = rule.missing.value
    # Enough real datapoints in the range: the newest of them decide, and the policy is not asked.
    if len(present) >= rule.periods:
        return "ALARM" if present[::-1][: rule.periods].count("X") >= rule.to_alarm else "OK"
    # None at all: the policy alone decides.
    if present == "":
        everything = {
            "breaching": "ALARM",
            "notBreaching": "OK",
            "missing": "INSUFFICIENT_DATA",
            "ignore": before.value,
        }
        return everything[policy]
    # Some, but not enough: all of them are used, and what lacks is filled up.
    filler = {"breaching": "X", "notBreaching": "0", "missing": "", "ignore": ""}[policy]
    filled = present + filler * (rule.periods - len(present))
    if filled.count("X") >= rule.to_alarm:
        return "ALARM"
    # Only bad news, but less than needed: told long enough ago it counts for all of the time since.
    if policy in ("missing", "ignore") and set(present) == {"X"}:
        if policy == "ignore":
            return before.value
        old_enough = "X" in letters[: len(letters) - rule.to_alarm + 1]
        return "ALARM" if old_enough else "OK"
    return "OK"


def _letter(value: float | None, rule: Rule) -> str:
    if value is None:
        return "-"
    comparisons = {
        "GreaterThanThreshold": value > rule.threshold,
        "GreaterThanOrEqualToThreshold": not value < rule.threshold and value == value,
        "LessThanThreshold": value < rule.threshold,
        "LessThanOrEqualToThreshold": not value > rule.threshold and value == value,
    }
    return "X" if comparisons[rule.comparison.value] else "0"


def random_case(rng: random.Random) -> Case:
    """Give a series (lengths, gaps, values around the threshold, now and then NaN), a rule and the state before."""
    periods = rng.choice((1, 1, 2, 3, 3, 4, 5, 8))
    rule = Rule(rng.choice(list(Comparison)), THRESHOLD, periods, rng.randint(1, periods), rng.choice(list(Missing)))
    gaps = rng.random()
    values = (9.0, 10.0, 11.0, float("nan")) if rng.random() < 0.05 else (9.0, 10.0, 11.0)
    points = [None if rng.random() < gaps else rng.choice(values) for _ in range(periods + 2)]
    return points, rule, rng.choice(list(AlarmState))


def differences(cases: int, seed: int) -> list[tuple[Case, str, str]]:
    """Give the first case in which evaluation and oracle differ, with what each says; empty when there is none."""
    rng = random.Random(seed)  # noqa: S311 -- cases, no secrets
    for _ in range(cases):
        case = random_case(rng)
        said, wanted = judge(*case).state.value, oracle(*case)
        if said != wanted:
            return [(case, said, wanted)]
    return []


def main() -> int:
    """Run as many cases as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    found = differences(options.cases, options.seed)
    print(f"{options.cases} cases, seed {options.seed}: {len(found)} differ, {time.perf_counter() - started:.1f} s")
    for case, said, wanted in found:
        print(f"{case}: evaluated to {said}, the rules say {wanted}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
