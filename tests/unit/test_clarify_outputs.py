"""What models answer, as it should not be: it is told, not taken for something else, and not for a fault of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.clarify_models import Recording, explain, prepared

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.expression import compile_expression
from hostmaker.clarify.outputs import csv_rows, typed
from hostmaker.clarify.records import RecordError, read_json_lines
from hostmaker.clarify.scores import CountError, Outputs

JSON = "application/jsonlines"
CSV = "text/csv"


@pytest.mark.parametrize(
    ("kind", "answered", "inference", "message"),
    [
        (JSON, b"1" + b"0" * 400, {}, "no number or list of numbers as its score, but 1000"),
        (JSON, b"[1" + b"0" * 400 + b"]", {}, "no number or list of numbers"),
        (JSON, b"1" + b"0" * 5000, {}, "is no JSON"),
        (JSON, b'"\\ud800"', {}, "but \\ud800;"),
        (JSON, b'{"l":"\\udfff","p":1}', {"ProbabilityAttribute": "p", "LabelAttribute": "l"}, "half of a surrogate"),
        (JSON, b"true", {}, "but true;"),
        (CSV, b'"[1' + b"0" * 400 + b']"', {"ProbabilityIndex": 0}, "no number or list of numbers"),
        (CSV, b'"[0x' + b"f" * 9000 + b']"', {"ProbabilityIndex": 0}, "a list that cannot be shown"),
        (CSV, b'"[{(1,2): 3}]"', {"ProbabilityIndex": 0}, "a list that cannot be shown"),
        (CSV, b'"[' + b"-" * 200_000 + b'1]"', {"ProbabilityIndex": 0}, "no number or list of numbers"),
        (CSV, b"1_000\n", {}, 'but ["1_000"]'),
        (CSV, "１２\n".encode(), {}, "no number or list of numbers"),
        (CSV, b"0x10\n", {}, "no number or list of numbers"),
        (CSV, b"1e400\n", {}, "no number or list of numbers"),
        (CSV, b"\n\n", {}, "Model returned 0 records for 1"),
    ],
)
def test_what_is_no_score_is_told(kind: str, answered: bytes, inference: dict[str, Any], message: str) -> None:
    with pytest.raises(ExplanationError) as told:
        explain(prepared("0", inference), "1", Recording(lambda _: (kind, answered)))
    assert told.value.status == 500
    assert message in told.value.message
    assert told.value.message.encode()


def test_cells_are_numbers_where_others_would_say_so_too() -> None:
    assert [typed(each) for each in ("7", "-1.5e3", " 2", "nan", "1_0", "٣", "x")] == [
        7,
        -1500.0,
        2.0,
        "nan",
        "1_0",
        "٣",
        "x",
    ]


@pytest.mark.parametrize(
    "answered", [b"0.5\r\n0.6\r\n", b"0.5\n0.6", b"0.5\n\n0.6\n\n\n", b'\xef\xbb\xbf"0.5"\r\n\r\n"0.6"']
)
def test_ends_of_lines_make_no_records(answered: bytes) -> None:
    model = Recording(lambda body: (CSV, answered if body == b"1\n2" else b"0.1\n"))
    assert b'[[{"attributions":[{"attribution":[0.4]}]}],[{"attributions":[{"attribution":[0.5]}]}]]' in explain(
        prepared("0"), "1\n2", model
    )


def test_a_model_of_one_record_that_has_as_many_scores_as_were_asked_for_records() -> None:
    model = Recording(lambda _: (CSV, b"0.1,0.2,0.7\n"))
    with pytest.raises(CountError, match="Model returned 1 records for 3"):
        explain(prepared("0,0"), "1,2", model, most_rows=3)
    assert b'"attribution":[0.0,0.0,0.0]' in explain(prepared("0,0"), "1,2", model, most_rows=1)


def test_too_many_lines_are_told_before_they_are_read() -> None:
    with pytest.raises(CountError, match="Model returned 3 records for 2"):
        csv_rows("1,2\n3,4\n5,6\n", asked=2)
    assert csv_rows("1,2,3\n", asked=2) == [["1", "2", "3"]]


def test_expressions_are_bounded_over_all_records() -> None:
    line = json.dumps([0] * 900)  # of which one record alone is not too much
    costly = f"[length({'|'.join(['reverse(@)'] * 100)})]"
    outputs = Outputs(prepared("0", {"ProbabilityAttribute": f"a.{costly}"}).config)
    assert outputs.scores(JSON, f'{{"a":{line}}}'.encode(), 1).tolist() == [[900.0]]
    with pytest.raises(ExplanationError, match="takes more than 10000000 steps"):
        outputs.scores(JSON, f'{{"a":{line}}}\n'.encode() * 150, 150)
    with pytest.raises(RecordError, match="Record [0-9]+ cannot be asked for .* more than 10000000 steps"):
        read_json_lines(f"{line}\n" * 150, compile_expression(costly))
