"""Expressions of JMESPath: what they give, and that none of them takes for ever."""

from __future__ import annotations

import json
import time

import pytest

from hostmaker.clarify.expression import EvaluationError, ExpressionError, Steps, compile_expression
from hostmaker.kit.json_value import Json

LIST: list[Json] = [0] * 1_000_000
TEXT: Json = {"a": "x" * 5_000_000}


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("`true`", [1], True),
        ("`false`", [1], False),
        ("[1]>`0.5`", [1, 0.6], True),
        ("[1]>`0.5`", [1, 0.4], False),
        ("probability>`0.5`", {"probability": 0.5}, False),
        ("!contains(probabilities[:-1], max(probabilities))", {"probabilities": [0.4, 0.1, 0.4]}, False),
        ("!contains(probabilities[:-1], max(probabilities))", {"probabilities": [0.3, 0.1, 0.6]}, True),
        ("[0]=='yes'", ["yes"], True),
        ("[0]!='yes'", ["no"], True),
        ("a==b", {"a": [{"x": 1}], "b": [{"x": 1.0}]}, True),
        ("a==b", {"a": [True], "b": [1]}, False),
        ("a==b", {"a": 0, "b": False}, False),
        ("a>b", {"a": None, "b": 1}, None),
        ("contains(@, `1`)", [True, 2], False),
        ("contains(@, 'b')", "abc", True),
        ("data.features", {"data": {"features": [1, 2]}}, [1, 2]),
        ("[]|[1:]", [[1], 2, [3, [4]]], [2, 3, [4]]),
        ("join('-', @)", ["a", "b"], "a-b"),
        ("to_string(@)", {"a": [1, 2.5, None]}, '{"a":[1,2.5,null]}'),
        ("sort_by(@, &a)[0].a", [{"a": 2}, {"a": 1}], 1),
        ("missing", {}, None),
    ],
)
def test_expressions_give_what_jmespath_says(expression: str, value: Json, expected: Json) -> None:
    found = compile_expression(expression).search(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[1]>", "Incomplete expression"),
        ("a b", "Unexpected token: b at column 2"),
        ("a ; b", "Unknown token ; at column 2"),
        ("'open", "Unclosed ' delimiter at column 0"),
        ("", "Invalid JMESPath expression: cannot be empty."),
        ("[[0]>`0.5`]]", "Unexpected token: ]"),
        ("nothing(@)", r"Unknown function: nothing\(\)"),
        ("max()", r"Function max\(\) takes 1 arguments, not 0"),
        ("not_null()", r"takes at least 1 arguments"),
        ("!" * 5000 + "a", "Nested too deeply"),
    ],
)
def test_what_does_not_parse_is_told_in_one_line(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as raised:
        compile_expression(expression)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        ("[0]>`0.5`", ["a"], "> compares a string with a number"),
        ("max(@)", ["a", 1], r"max\(\) does not take a value of type int"),
        ("[::0]", [1], "slice step cannot be zero"),
        ("ceil(@)", float("inf"), "cannot convert float infinity to integer"),
        ("sum(@)", {"a": 1}, r"sum\(\) does not take a value of type object"),
    ],
)
def test_what_has_no_value_is_an_evaluation_error(expression: str, value: Json, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        compile_expression(expression).search(value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("|".join(["[@,@][]"] * 8), LIST),
        ("|".join(["[@,@,@,@][]"] * 5), [0] * 10_000),
        ("to_string(" + "|".join(["[@,@,@]"] * 5) + ")", TEXT),
        ("to_string([@,@,@,@]|[@,@,@,@]|[@,@,@,@]|[@,@,@,@]|[@,@,@,@])", LIST[:100_000]),
        ("join(a,[a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a])", TEXT),
        ("(a|[@,@,@,@]|[@,@,@,@])==(b|[@,@,@,@]|[@,@,@,@])", {"a": list(range(200_000)), "b": list(range(200_000))}),
        ("sort_by([@,@][][], &@)", LIST),
        ("[].[@,@][].[@,@][].[@,@][].[@,@][]", LIST[:300_000]),
        ("[*].{a:@,b:@,c:@}", LIST),
        ("[*].to_string(@)", LIST),
        ("contains(@, 'x')", LIST + LIST),
        ("max_by(@, &to_string(@))", [list(range(1000))] * 1000),
        ("sum([@,@,@,@][]|[@,@,@,@][])", LIST[:200_000]),
        ("[@,@,@,@,@]|[@,@,@,@,@]|[@,@,@,@,@]|[@,@,@,@,@]|sum(@)", TEXT),
        ("map(&[@,@,@,@], [@,@,@,@][])", LIST[:150_000]),
        ("merge(@,@,@,@,@,@,@,@,@,@,@,@)", {str(n): n for n in range(100_000)}),
    ],
)
def test_hostile_expressions_end_soon(expression: str, value: Json) -> None:
    assert len(expression) <= 64
    began = time.monotonic()
    with pytest.raises(EvaluationError) as raised:
        compile_expression(expression).search(value)
    assert time.monotonic() - began < 10
    assert len(str(raised.value)) < 300


def test_what_only_looks_hostile_is_evaluated() -> None:
    assert compile_expression("length(@)").search(LIST) == len(LIST)
    assert compile_expression("a==a && length(to_string(a)) >= `5000000`").search(TEXT) is True
    assert compile_expression("[-1]").search(json.loads("[" * 500 + "]" * 500)) == json.loads("[" * 499 + "]" * 499)


def test_data_nested_deeply_are_no_crash() -> None:
    deep: Json = []
    for _ in range(5000):
        deep = [deep]
    for expression in ("[0]==[0][0]", "to_string(@)", "@==@"):
        with pytest.raises(EvaluationError, match="nested too deeply"):
            compile_expression(expression).search(deep)


def test_searches_may_share_a_bound() -> None:
    steps, expression = Steps(100), compile_expression("[1]>`0.5`")
    with pytest.raises(EvaluationError, match="more than 100 steps"):
        for _ in range(100):
            expression.search([0, 1], steps)
