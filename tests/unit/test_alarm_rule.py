"""The rules of composite alarms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.alarm import AlarmState
from hostmaker.planner.alarm_rule import RuleError, children, holds, parse

STATES = {"high": AlarmState.ALARM, "low": AlarmState.OK, "new one": AlarmState.INSUFFICIENT_DATA}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(high)", True),
        ('ALARM("high")', True),
        ('ALARM ( "low" )', False),
        ("OK(low)", True),
        ('INSUFFICIENT_DATA("new one")', True),
        ("NOT ALARM(high)", False),
        ("NOT (ALARM(high) AND ALARM(low))", True),
        ("TRUE", True),
        ("FALSE OR OK(low)", True),
        ("ALARM(low) AND FALSE OR TRUE", True),
        ("TRUE OR FALSE AND FALSE", True),
        ("(TRUE OR FALSE) AND FALSE", False),
        ("NOT FALSE AND FALSE", False),
        ("NOT NOT TRUE", True),
        ("ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)", False),
        (" OR ".join(["ALARM(low)"] * 700 + ["ALARM(high)"]), True),
    ],
)
def test_rules_hold_as_they_read(rule: str, expected: bool) -> None:
    assert holds(parse(rule), STATES) is expected


def test_names_come_once_in_order_and_unquoted() -> None:
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"
    assert children(parse(f'OK("b \\"q\\" (x)") AND (ALARM({arn}) OR NOT ALARM({arn}))')) == ('b "q" (x)', arn)
    assert children(parse("TRUE")) == ()


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("", "the rule ends"),
        ("ALARM(a) ALARM(b)", "goes on with 'ALARM'"),
        ("ALARM(a) XOR ALARM(b)", "goes on with 'XOR'"),
        ("ALARM a", "'(' is expected"),
        ("ALARM()", "is missing"),
        ("ALARM(two words)", "')' is expected"),
        ('ALARM("a)', "not closed"),
        ("(ALARM(a)", "')' is expected"),
        ("AT_LEAST(2, ALARM, (a, b))", "'AT_LEAST' stands"),
        ("alarm(a)", "'alarm' stands"),
        ('"ALARM"(a)', "stands"),
        ("NOT", "the rule ends"),
        ("NOT " * 2000 + "TRUE", "more than 50 deep"),
        ("(" * 2000 + "TRUE" + ")" * 2000, "more than 50 deep"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, part: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(rule)
    assert part in str(caught.value)


# Python's own `and`, `or`, `not` bind in the same order
conditions = st.recursive(
    st.sampled_from(["TRUE", "FALSE", "ALARM(high)", "OK(low)", "ALARM(low)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join),
        inner.map(lambda each: f"({each})"),
        st.sampled_from(["TRUE", "ALARM(low)"]).map(lambda each: f"NOT {each}"),
    ),
    max_leaves=10,
)


@given(conditions)
def test_rules_are_judged_as_python_judges_them(rule: str) -> None:
    words = {"AND": "and", "OR": "or", "NOT": "not", "TRUE": "True", "FALSE": "False"}
    meaning = {"ALARM(high)": "True", "OK(low)": "True", "ALARM(low)": "False"}
    python = rule
    for text, value in meaning.items():
        python = python.replace(text, value)
    for text, value in words.items():
        python = python.replace(text, value)
    assert holds(parse(rule), STATES) is bool(eval(python))
