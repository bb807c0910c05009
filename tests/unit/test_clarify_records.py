"""Records of CSV and of JSON Lines: read and written back, nothing is lost."""

from __future__ import annotations

import csv
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.clarify.expression import compile_expression
from hostmaker.clarify.records import (
    Cell,
    Kind,
    RecordError,
    csv_cell,
    is_number,
    json_cell,
    json_values,
    read_csv,
    read_json_lines,
)

FEATURES = compile_expression("data.features")


def texts(records: list[tuple[Cell, ...]]) -> list[list[str]]:
    """Give the texts of all cells."""
    return [[cell.text for cell in record] for record in records]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,3,4", [["1", "2", "3", "4"]]),
        ("1,2\n3,4\n", [["1", "2"], ["3", "4"]]),
        ("1,2\r\n3,4\r\n", [["1", "2"], ["3", "4"]]),
        ("\ufeff1,2", [["1", "2"]]),
        ("", []),
        ("\n", [[""]]),
        ("a\n\nb\n\n", [["a"], [""], ["b"], [""]]),
        (",", [["", ""]]),
        ('"This is a good product",5', [["This is a good product", "5"]]),
        ('"a, ""b""\nc",007,1e3', [['a, "b"\nc', "007", "1e3"]]),
        ("a\u2028b,\U0001f600", [["a\u2028b", "\U0001f600"]]),
        ("5'10\"", [["5'10\""]]),
    ],
)
def test_csv_is_read_as_rfc_4180_says(text: str, expected: list[list[str]]) -> None:
    assert texts(read_csv(text)) == expected


@pytest.mark.parametrize(("text", "record"), [('1,2\n"a', 1), ('"a"b', 0), ("1\n2\n3," + "x" * (9 << 20), 2)])
def test_csv_that_is_none_is_refused_by_record(text: str, record: int) -> None:
    with pytest.raises(RecordError, match=f"^Record {record} is not valid CSV: .*\\.$") as raised:
        read_csv(text)
    assert raised.value.record == record


def test_a_long_text_is_read() -> None:
    long = "x" * (6 << 20)
    assert texts(read_csv(f'"{long}",1')) == [[long, "1"]]
    assert csv.field_size_limit() >= 8 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("0", "-1", "+1", "007", "1e3", "1.", ".5", " 2 ", "1E-300", "0.0")),
        *((text, False) for text in ("", " ", "nan", "inf", "1e999", "1_000", "0x10", "١", "1,5", "--1", "1e", ".")),
    ],
)
def test_a_number_is_finite_and_decimal(text: str, expected: bool) -> None:
    assert is_number(text) is expected
    assert read_csv(csv_cell(Cell(text, Kind.STRING), quoted=True)) == [
        (Cell(text, Kind.NUMBER if expected else Kind.STRING),)
    ]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), max_size=4))
def test_csv_comes_back_as_it_was(rows: list[list[str]]) -> None:
    # A single empty cell at the end is no record: there is nothing but the line break before it.
    rows = [row for row in rows if row != [""]]
    for quoted in (False, True):
        lines = [",".join(csv_cell(Cell(text, Kind.STRING), quoted) for text in row) for row in rows]
        text = "\n".join(lines)
        assert texts(read_csv("\ufeff" + text)) == rows


def test_only_what_needs_quotes_has_them() -> None:
    assert [csv_cell(Cell(text, Kind.STRING)) for text in ("a b", "a,b", 'a"', "a\nb", "", " ")] == [
        "a b", '"a,b"', '"a"""', '"a\nb"', "", " ",
    ]  # fmt: skip
    assert csv_cell(Cell("5", Kind.NUMBER), quoted=True) == '"5"'


def test_json_lines_keep_what_was_written() -> None:
    line = '{"data":{"features":[1, 2.50, -0, 1e3, "a\\n\\u00e9", true, null, [1.0, 2.00], {"b": "c"}]},"id":7}'
    (record,) = read_json_lines(f"\ufeff\n{line}\r\n\n", FEATURES)
    assert [cell.text for cell in record] == [
        "1",
        "2.50",
        "-0",
        "1e3",
        "a\né",
        "true",
        "null",
        "[1.0,2.00]",
        '{"b":"c"}',
    ]
    number, text, other = Kind.NUMBER, Kind.STRING, Kind.OTHER
    assert [cell.kind for cell in record] == [number, number, number, number, text, other, other, other, other]
    assert ",".join(map(json_cell, record)) == '1,2.50,-0,1e3,"a\\né",true,null,[1.0,2.00],{"b":"c"}'


def test_numbers_with_literals_are_numbers_to_expressions() -> None:
    (value,) = json_values("[-0, 1.50, 2]")
    assert compile_expression("sum(@)").search(value) == 3.5
    assert compile_expression("[1]>`1.4`").search(value) is True
    assert compile_expression("[*].type(@)").search(value) == ["number"] * 3


def test_json_lines_may_be_bare_lists() -> None:
    assert texts(read_json_lines("[1,2]\n[3,4]", None)) == [["1", "2"], ["3", "4"]]
    assert texts(read_json_lines('[1]\n{"data":{"features":[2]}}', FEATURES, bare=True)) == [["1"], ["2"]]
    assert texts(read_json_lines('["a\u2028b"]', None)) == [["a\u2028b"]]
    assert read_json_lines(" \n\r\n", None) == []


@pytest.mark.parametrize(
    ("text", "expression", "message"),
    [
        ("[1]\n{", "", "Record 1 is not valid JSON: "),
        ("[NaN]", "", "Record 0 is not valid JSON: NaN is no number of JSON"),
        ("[-Infinity]", "", "-Infinity"),
        ("[1e999]", "", "1e999 is too large"),
        ("[" + "9" * 5000 + "]", "", "is too large"),
        ('["\\ud800"]', "", "half of a surrogate pair"),
        ("[" * 100_000, "", "nested too deeply"),
        ('{"a":[1]}', "", "is not a list of features; set InferenceConfig.FeaturesAttribute"),
        ('{"a":[1]}', "b", "has no list at FeaturesAttribute 'b'"),
        ('{"a":1}', "a", "has no list at FeaturesAttribute 'a'"),
        ('{"a":1}', "sum(a)", r"cannot be asked for FeaturesAttribute 'sum\(a\)': sum\(\) does not take"),
        ("[1]", "a", "has no list at FeaturesAttribute 'a'"),
    ],
)
def test_json_that_is_no_record_is_refused(text: str, expression: str, message: str) -> None:
    with pytest.raises(RecordError, match=message) as raised:
        read_json_lines(text, compile_expression(expression) if expression else None)
    assert len(str(raised.value)) < 200


def test_data_nested_deeply_are_no_crash() -> None:
    ((cell,),) = read_json_lines("[" * 200 + "]" * 200, None)
    assert cell == Cell("[" * 199 + "]" * 199, Kind.OTHER)
    for depth in (990, 5000):  # the first may be read, but not be written
        with pytest.raises(RecordError, match="nested too deeply"):
            read_json_lines("[" * depth + "]" * depth, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("007", "7"), ("+5", "5"), ("-0", "-0"), (".5", "0.5"), ("1.", "1.0"), (" 2 ", "2"), ("1e3", "1e3"),
        ("1.50", "1.50"), ("-007", "-7"), ("000", "0"), ("0" * 5000 + "1", "1"), ("-.5e1", "-5.0"),
    ],
)  # fmt: skip
def test_a_number_of_csv_becomes_one_of_json(text: str, expected: str) -> None:
    assert json_cell(Cell(text, Kind.NUMBER)) == expected


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
def test_numbers_of_json_come_back_the_same(value: float) -> None:
    ((cell,),) = read_json_lines(json.dumps([value]), None)
    assert json_cell(cell) == json.dumps(value)
    assert math.isclose(float(json_cell(Cell(f" +{cell.text}".replace("+-", "-"), Kind.NUMBER))), value)


@pytest.mark.parametrize("attribute", ["[to_number('1e999')]", "[&@]", "[[&@]]"])
def test_what_an_expression_makes_must_be_json(attribute: str) -> None:
    with pytest.raises(RecordError, match="Record 0 has a feature that is no value of JSON"):
        read_json_lines("[1]", compile_expression(attribute))
