"""Whole requests, against models in memory: what is asked of them, and what the client gets, byte for byte."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.clarify_models import Recording, csv_model, explain, json_model, prepared

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.explaining import Explaining, Limits
from hostmaker.clarify.scores import CountError

LINEAR = "0,0,0,0\n1,1,1,1"


def linear(record: list[str]) -> float:
    a, b, c, d = map(float, record)
    return 0.5 * a - b + 2 * c + 0.25 * d


def shap(answer: bytes) -> list[Any]:
    found: list[Any] = json.loads(answer)["explanations"]["kernel_shap"]
    return found


def numbers(entry: list[Any]) -> np.ndarray[Any, Any]:
    """Give the attributions of an entry, all units of all features in order: (players, scores)."""
    return np.array([each["attribution"] for feature in entry for each in feature["attributions"]])


# What the client gets


def test_nothing_explained_has_the_bytes_that_the_service_prints() -> None:
    model = Recording(lambda _: ("text/csv", b"0.9713779\n"))
    answer = explain(prepared("0,0"), "1,2", model, header="`false`")
    assert (
        answer == b'{"version":"1.0","predictions":{"content_type":"text/csv","data":"0.9713779\\n"},"explanations":{}}'
    )
    assert len(answer) == 98
    assert model.bodies == [b"1,2"]


def test_a_linear_model_has_its_closed_form() -> None:
    answer = explain(prepared(LINEAR), "1,2,3,4", csv_model(linear))
    assert [list(each) for each in json.loads(answer)["explanations"]["kernel_shap"][0]] == [["attributions"]] * 4
    assert numbers(shap(answer)[0])[:, 0] == pytest.approx([0.25, -1.5, 5.0, 0.875], abs=1e-12)


def test_records_that_are_not_chosen_are_null() -> None:
    model = csv_model(lambda record: {"1": 0.1, "2": 0.97, "3": 0.3}.get(record[0], 0.5))
    of = prepared("0,0", {"FeatureHeaders": ["Age", "Hours"]}, enable="[0]>`0.9`")
    answer = json.loads(explain(of, "1,1\n2,1\n3,1\n", model))
    first, second, third = answer["explanations"]["kernel_shap"]
    assert (first, third) == (None, None)
    assert [each["feature_header"] for each in second] == ["Age", "Hours"]
    assert [list(each) for each in second] == [["attributions", "feature_header"]] * 2
    assert answer["predictions"] == {"content_type": "text/csv", "data": "0.1\n0.97\n0.3\n"}
    assert numbers(second).sum() == pytest.approx(0.97 - 0.5, abs=1e-12)


def test_classes_have_their_labels_and_sum_to_nothing() -> None:
    weights = np.array([[1, -0.5, 0], [0, 1, -1], [-0.5, 0, 0.5]])

    def softmax(record: list[str]) -> list[float]:
        odds = np.exp(np.array(record, dtype=float) @ weights)
        scores: list[float] = (odds / odds.sum()).tolist()
        return scores

    of = prepared("0,0,0", {"LabelHeaders": ["cat", "dog", "fish"]})
    answer = json.loads(explain(of, "1,2,3", csv_model(softmax)))
    assert list(answer) == ["version", "predictions", "label_headers", "explanations"]
    assert answer["label_headers"] == ["cat", "dog", "fish"]
    found = numbers(answer["explanations"]["kernel_shap"][0])
    expected = [[0.178295, -0.155822, -0.022473], [-0.116994, 0.603735, -0.486741], [-0.288127, 0.00574, 0.282388]]
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    assert found.sum(axis=1) == pytest.approx([0, 0, 0], abs=1e-12)


def test_text_and_a_number() -> None:
    def score(body: bytes) -> tuple[str, bytes]:
        lines = [line.rsplit(",", 1) for line in body.decode().split("\n")]
        return "text/csv", "".join(f"{0.1 * ('Good' in t) + 0.01 * float(n)}\n" for t, n in lines).encode()

    of = prepared('"<MASK>",3', TextConfig={"Language": "en", "Granularity": "token"})
    model = Recording(score)
    (entry,) = shap(explain(of, '"Good, really",5', model))
    told = [(u["description"]["partial_text"], u["description"]["start_idx"]) for u in entry[0]["attributions"]]
    assert told == [("Good", 0), (",", 4), ("really", 6)]
    assert [each["feature_type"] for each in entry] == ["text", "numerical"]
    assert entry[1]["attributions"] == [{"attribution": [pytest.approx(0.02, abs=1e-12)]}]
    assert numbers(entry)[0, 0] == pytest.approx(0.1, abs=1e-12)
    rows = model.bodies[1].split(b"\n")
    assert rows[0] == b'"<MASK>",3'
    assert len(rows) == 1 + 14
    assert b'"Good<MASK> <MASK>",5' in rows
    assert b'"Good, really",3' in rows


# How it is computed


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.booleans(), st.integers(0, 10_000))
def test_it_adds_up_after_the_round_trip(features: int, rows: int, use_logit: bool, seed: int) -> None:
    chance = np.random.default_rng(seed)
    weights = chance.normal(size=features)

    def score(record: list[str]) -> float:
        values = np.array(record, dtype=float)
        return float(1 / (1 + math.exp(-values @ weights - values.prod())))

    baseline = "\n".join(",".join(map(repr, row)) for row in chance.normal(size=(rows, features)).tolist())
    body = ",".join(map(repr, chance.normal(size=features).tolist()))
    model = csv_model(score)
    answer = json.loads(explain(prepared(baseline, UseLogit=use_logit), body, model))
    whole = float(answer["predictions"]["data"])
    empty = float(np.mean([score(line.split(",")) for line in baseline.split("\n")]))
    if use_logit:
        whole, empty = math.log(whole / (1 - whole)), math.log(empty / (1 - empty))
    total = numbers(answer["explanations"]["kernel_shap"][0]).sum()
    assert total == pytest.approx(whole - empty, rel=1e-9, abs=1e-9)


def test_what_is_like_in_every_baseline_record_gets_nothing_and_costs_nothing() -> None:
    model = csv_model(lambda record: float(record[0]) * float(record[2]))
    (entry,) = shap(explain(prepared("0,7,0"), "3,7,2", model))
    assert numbers(entry)[:, 0].tolist() == [3.0, 0.0, 3.0]
    assert model.bodies[1].split(b"\n") == [b"0,7,0", b"3,7,0", b"0,7,2"]


@pytest.mark.parametrize(("features", "rows"), [(10, 1022), (20, 2088), (1, 0)])
def test_as_many_rows_are_asked_as_the_guide_says(features: int, rows: int) -> None:
    model = csv_model(lambda record: sum(map(float, record)))
    explain(prepared(",".join("0" * features)), ",".join("1" * features), model, most_rows=100_000)
    assert [body.count(b"\n") + 1 for body in model.bodies] == [1, 1 + rows]


def test_no_request_is_larger_than_may_be() -> None:
    model = csv_model(lambda record: float(len("".join(record))))
    long = "x" * 100_000
    of = prepared(f"{long},a,b,c,d,e", {"MaxPayloadInMB": 1})
    explain(of, ",".join([long.upper(), *"ABCDE"]), model, most_rows=64)
    sizes = [len(body) for body in model.bodies[1:]]
    assert max(sizes) <= 1 << 20
    assert sum(body.count(b"\n") + 1 for body in model.bodies[1:]) == 1 + 62
    assert len(sizes) == 7
    with pytest.raises(ExplanationError, match="raise MaxPayloadInMB"):
        explain(of, ",".join(["y" * 1_100_000, *"ABCDE"]), model)


def test_a_seed_gives_the_same_whatever_is_beside_and_however_it_is_asked() -> None:
    chance = np.random.default_rng(3)
    records = [",".join(map(repr, row)) for row in chance.normal(size=(3, 14)).tolist()]
    model = csv_model(lambda record: float(np.tanh(np.array(record, dtype=float)).prod() + float(record[0])))
    of = prepared(",".join("0" * 14), Seed=7, NumberOfSamples=200)
    alone = shap(explain(of, records[1], model))[0]
    beside = shap(explain(of, "\n".join(records), model, most_rows=17))[1]
    singly = shap(explain(prepared(",".join("0" * 14), Seed=7, NumberOfSamples=200), records[1], model, most_rows=1))[0]
    assert alone == beside == singly
    assert shap(explain(prepared(",".join("0" * 14), Seed=8, NumberOfSamples=200), records[1], model))[0] != alone
    unseeded = prepared(",".join("0" * 14), NumberOfSamples=200)
    assert shap(explain(unseeded, records[1], model)) != shap(explain(unseeded, records[1], model))


def test_batches_may_be_answered_in_any_order_and_be_asked_anew() -> None:
    of = prepared("0,0,0\n1,2,3")
    model = csv_model(lambda record: float(record[0]) * float(record[1]) + float(record[2]))
    body = b"5,6,7\n8,9,10"
    explaining = Explaining(of, "text/csv", body, None)
    assert explaining.predicted(*model(body))
    first = explaining.batch(20)
    assert first is not None
    explaining.give_back(first)
    batches = list(iter(lambda: explaining.batch(3), None))
    assert explaining.solvable() == []
    for batch in reversed(batches):
        explaining.take(batch, explaining.read(batch, *model(batch.body)))
    for source in explaining.solvable():
        explaining.solve(source)
    assert explaining.answer() == explain(of, body, model)
    assert sum(batch.size for batch in batches) == first.size + (26 - 20) == explaining.rows


def test_units_of_text_are_explained_with_several_placeholders() -> None:
    of = prepared('"<A>"\n""', TextConfig={"Language": "en", "Granularity": "token"})
    model = Recording(lambda body: ("text/csv", "".join(f"{len(r)}\n" for r in body.decode().split("\n")).encode()))
    (entry,) = shap(explain(of, '"one two"', model))
    assert numbers(entry).sum() == pytest.approx(len('"one two"') - (len('"<A>"') + len('""')) / 2)
    assert model.bodies[1].decode().split("\n")[2:] == ['"one <A>"', '"<A> two"', '"one "', '" two"']


@pytest.mark.parametrize("text", ["", "   "])
def test_a_text_without_units_carries_everything(text: str) -> None:
    of = prepared('"<MASK>",1', TextConfig={"Language": "en", "Granularity": "sentence"})
    model = Recording(lambda body: ("text/csv", "".join(f"{len(r)}\n" for r in body.decode().split("\n")).encode()))
    (entry,) = shap(explain(of, f'"{text}",1', model))
    (unit,) = entry[0]["attributions"]
    assert unit["description"] == {"partial_text": "", "start_idx": 0}
    assert unit["attribution"] == [len(text) - len("<MASK>")]


def test_hostile_text_is_written_as_it_came() -> None:
    text = 'a "quoted", שלום\r\nnew 🎉 line\\'
    seen: list[str] = []

    def answer(body: bytes) -> tuple[str, bytes]:
        records = [json.loads(line)["t"][0] for line in body.decode().split("\n")]
        seen.extend(records)
        return "application/jsonlines", "\n".join("0.5" for _ in records).encode()

    of = prepared(
        '["_"]',
        {"FeaturesAttribute": "t", "ContentTemplate": '{"$":1,"t":$features}'},
        TextConfig={"Language": "en", "Granularity": "token"},
        kind="application/jsonlines",
    )
    body = json.dumps({"t": [text]})
    (entry,) = shap(explain(of, body, answer, "application/jsonlines"))
    units = [
        (each["description"]["partial_text"], each["description"]["start_idx"]) for each in entry[0]["attributions"]
    ]
    assert all(text[start : start + len(part)] == part for part, start in units)
    masked_last = text[: units[-1][1]] + "_"
    assert masked_last in seen


# What the model is sent, and what it may answer


def test_cells_keep_the_text_they_came_with() -> None:
    model = Recording(lambda body: ("text/csv", b"\n".join(b"1" for _ in body.splitlines())))
    explain(prepared('0,0,"a,b"\r\n'), '007,1e3,"x ""y"""\r\n', model)
    assert model.bodies[0] == b'007,1e3,"x ""y"""\r\n'
    assert b'007,0,"a,b"' in model.bodies[1].split(b"\n")
    assert b'0,1e3,"x ""y"""' in model.bodies[1].split(b"\n")


def test_empty_lines_at_the_end_are_no_records_of_several_cells() -> None:
    model = Recording(lambda body: ("text/csv", b"\n".join(b"1" for line in body.splitlines() if line)))
    assert len(shap(explain(prepared("0,0"), "1,2\r\n\r\n\n", model))) == 1
    with pytest.raises(ExplanationError, match="Record 1 has 1 features"):
        explain(prepared("0,0"), "1,2\n\n3,4\n", model)


def test_json_lines_are_rebuilt_by_the_template() -> None:
    model = json_model(lambda record: {"probability": record["myfeatures"][0] * 0.1})
    of = prepared(
        '{"data":{"features":[0,0,0]}}',
        {
            "FeaturesAttribute": "data.features",
            "ContentTemplate": '{"myfeatures":$features}',
            "ProbabilityAttribute": "probability",
        },
        kind="application/jsonlines",
    )
    body = '{"data":{"features":[1.50,2,"x"]},"other":1}'
    first = Recording(
        lambda sent: ("application/jsonlines", b'{"probability":0.15}') if sent == body.encode() else model(sent)
    )
    (entry,) = shap(explain(of, body, first, "application/jsonlines; charset=utf-8"))
    assert numbers(entry)[:, 0] == pytest.approx([0.15, 0, 0], abs=1e-12)
    assert '{"myfeatures":[1.50,0,0]}' in model.bodies[0].decode().split("\n")
    assert '{"myfeatures":[0,0,"x"]}' in model.bodies[0].decode().split("\n")


def test_a_baseline_of_one_type_serves_records_of_the_other() -> None:
    model = json_model(lambda record: sum(record))
    of = prepared("007,.5", {"ContentTemplate": "$features"})
    (entry,) = shap(explain(of, "[1,2]", model, "application/jsonlines"))
    assert numbers(entry)[:, 0] == pytest.approx([-6, 1.5])
    assert model.bodies[1].decode().split("\n") == ["[7,0.5]", "[1,0.5]", "[7,2]"]
    plain = csv_model(lambda record: sum(map(float, record)))
    other = prepared("[0,1.5e1]", kind="application/jsonlines")
    assert numbers(shap(explain(other, "1,2", plain))[0])[:, 0] == pytest.approx([1, -13])


def test_one_line_of_csv_may_have_a_score_for_each_record() -> None:
    model = Recording(lambda body: ("text/csv", ",".join(str(len(r)) for r in body.decode().split("\n")).encode()))
    first, second = shap(explain(prepared("0,0"), "11,1\n1,11", model))
    assert numbers(first)[:, 0].tolist() == [1.0, 0.0]
    assert numbers(second)[:, 0].tolist() == [0.0, 1.0]


def test_lists_in_cells_are_read_as_autopilot_writes_them() -> None:
    answer = "\"['cat','dog','fish']\",\"[0.1,0.6,0.3]\""
    model = Recording(lambda body: ("text/csv", "\n".join(answer for _ in body.split(b"\n")).encode()))
    told = json.loads(explain(prepared("0,0", {"ProbabilityIndex": 1, "LabelIndex": 0}), "1,2", model))
    assert told["label_headers"] == ["cat", "dog", "fish"]
    assert numbers(told["explanations"]["kernel_shap"][0]).shape == (2, 3)


def test_the_labels_of_the_output_win() -> None:
    model = json_model(lambda record: {"labels": ["no", "yes"], "p": [0.4, 0.6]})
    inference = {"ContentTemplate": "$features", "LabelAttribute": "labels", "ProbabilityAttribute": "p"}
    told = json.loads(
        explain(prepared("0", {**inference, "LabelHeaders": ["a", "b"]}), "[1]", model, "application/jsonlines")
    )
    assert told["label_headers"] == ["no", "yes"]


@pytest.mark.parametrize(
    ("expression", "output", "kind", "is_explained"),
    [
        ("`true`", b"0.1", "text/csv", True),
        ("[1]>`0.5`", b"1,0.6", "text/csv", True),
        ("[1]>`0.6`", b"1,0.6", "text/csv", False),
        ("probability>`0.5`", b'{"probability":0.6}', "application/jsonlines", True),
        (
            "!contains(probabilities[:-1], max(probabilities))",
            b'{"probabilities":[0.4,0.1,0.4]}',
            "application/jsonlines",
            False,
        ),
        (
            "!contains(probabilities[:-1], max(probabilities))",
            b'{"probabilities":[0.3,0.1,0.6]}',
            "application/jsonlines",
            True,
        ),
    ],
)
def test_the_expressions_of_the_guide(expression: str, output: bytes, kind: str, is_explained: bool) -> None:
    member = "probability" if b'"probability"' in output else "probabilities"
    inference = {"ProbabilityAttribute": member, "ProbabilityIndex": 1 if b"," in output and kind == "text/csv" else 0}
    model = Recording(lambda body: (kind, b"\n".join(output for _ in body.split(b"\n"))))
    for of, header in ((prepared("0,0", inference, enable=expression), None), (prepared("0,0", inference), expression)):
        assert (json.loads(explain(of, "1,2", model, header=header))["explanations"] != {}) is is_explained


def test_the_header_replaces_the_expression_of_the_config() -> None:
    model = csv_model(linear)
    assert (
        json.loads(explain(prepared(LINEAR, enable="`true`"), "1,2,3,4", model, header="`false`"))["explanations"] == {}
    )
    assert shap(explain(prepared(LINEAR, enable="`false`"), "1,2,3,4", model, header="`true`"))


def test_what_is_not_explained_need_not_be_readable() -> None:
    model = Recording(lambda _: ("application/json", b"[1]"))
    answer = json.loads(explain(prepared("0"), b"\xff", model, "image/png", header="`false`"))
    assert answer["predictions"] == {"content_type": "application/json", "data": "[1]"}
    plain = Recording(lambda _: ("text/csv", b"0.1"))
    assert json.loads(explain(prepared("0", enable="[0]>`0.5`"), b"\xff", plain, "image/png"))["explanations"] == {}


# What goes wrong

ONE = Recording(lambda body: ("text/csv", b"\n".join(b"0.6" for _ in body.split(b"\n"))))


def says(output: bytes, kind: str = "text/csv") -> Recording:
    return Recording(lambda _: (kind, output))


@pytest.mark.parametrize(
    ("inference", "shap_config", "body", "kind", "header", "model", "status", "message"),
    [
        ({}, {}, "1,2", "text/csv", "][", ONE, 400, "Invalid EnableExplanations expression: "),
        ({}, {}, "1,2", "text/csv", "[0]", ONE, 400, "boolean for record 0, got number"),
        ({}, {}, "1,2", "text/csv", "[9]", ONE, 400, "boolean for record 0, got null"),
        ({}, {}, "1,2", "text/csv", "'a'>`0.5`", ONE, 400, "boolean for record 0, but cannot be evaluated"),
        (
            {},
            {},
            "1,2",
            "application/json",
            None,
            ONE,
            415,
            "Unsupported content type application/json for",
        ),
        ({}, {}, "1,2", "application/json", "[0]>`0.5`", ONE, 415, "use text/csv or application/jsonlines"),
        ({}, {}, "1,2", "text/csv", None, says(b"[1]", "application/json"), 500, "Unsupported model output type"),
        ({}, {}, "1,2,3", "text/csv", None, ONE, 400, "Record 0 has 3 features, the SHAP baseline has 2"),
        ({}, {}, "1,2\n3", "text/csv", None, ONE, 400, "Record 1 has 1 features, the SHAP baseline has 2"),
        ({}, {}, '1,"2', "text/csv", None, ONE, 400, "cannot be read as text/csv: Record 0"),
        ({}, {}, "[1,2]", "application/jsonlines", None, ONE, 400, "ContentTemplate"),
        ({"ContentTemplate": "$features"}, {}, "7", "application/jsonlines", None, ONE, 400, "FeaturesAttribute"),
        ({}, {}, "1,2", "text/csv", None, says(b"abc"), 500, "ProbabilityIndex"),
        ({}, {}, "1,2", "text/csv", None, says(b"nan"), 500, "Record 0"),
        ({"ProbabilityIndex": 2}, {}, "1,2", "text/csv", None, says(b"1,0.5"), 500, "ProbabilityIndex 2 is not among"),
        ({}, {}, "1,2", "text/csv", None, says(b'{"a":1}', "application/jsonlines"), 500, "ProbabilityAttribute"),
        ({}, {"UseLogit": True}, "1,2", "text/csv", None, says(b"1.5"), 500, "outside [0, 1]"),
        ({}, {}, "1,2\n3,4", "text/csv", None, says(b"0.5"), 500, "Model returned 1 records for 2; set MaxRecordCount"),
        ({}, {}, "1,2", "text/csv", None, says(b"0.5\n0.5"), 500, "Model returned 2 records for 1; set MaxRecordCount"),
        ({"LabelHeaders": ["a", "b"]}, {}, "1,2", "text/csv", None, ONE, 500, "2 labels for 1 scores"),
        ({}, {}, "1,2", "text/csv", None, says(b"\xff"), 500, "UTF-8"),
        ({}, {"NumberOfSamples": 2**30}, ",".join("12" * 20), "text/csv", None, ONE, 400, "Record 0 has 40 features"),
    ],
)
def test_what_goes_wrong_is_said(
    inference: dict[str, Any],
    shap_config: dict[str, Any],
    body: str,
    kind: str,
    header: str | None,
    model: Recording,
    status: int,
    message: str,
) -> None:
    with pytest.raises(ExplanationError) as raised:
        explain(prepared("0,0", inference, **shap_config), body, model, kind, header)
    assert raised.value.status == status
    assert message in raised.value.message


def test_what_can_be_said_before_is_said_before_the_model_is_asked() -> None:
    for body, kind, header in (("1", "text/csv", None), ("1,2", "image/png", None), ("1,2", "text/csv", "][")):
        with pytest.raises(ExplanationError):
            Explaining(prepared("0,0"), kind, body.encode(), header)


def test_what_is_beyond_the_limits_is_said() -> None:
    body, none = ",".join("12" * 20), ",".join("00" * 20)
    with pytest.raises(ExplanationError, match="a coarser Granularity"):
        explain(prepared(none), body, ONE, limits=Limits(players=39))
    with pytest.raises(ExplanationError, match="Lower NumberOfSamples"):
        explain(prepared(none), body, ONE, limits=Limits(rows=2000))
    with pytest.raises(ExplanationError, match="too much memory"):
        explain(prepared(none, NumberOfSamples=2**30), body, ONE)


def test_a_model_that_changes_the_number_of_its_answers_is_told_on() -> None:
    of = prepared("0,0")
    explaining = Explaining(of, "text/csv", b"1,2", None)
    assert explaining.predicted("text/csv", b"0.5")
    batch = explaining.batch(100)
    assert batch is not None
    with pytest.raises(CountError, match="Model returned 1 records for 3"):
        explaining.read(batch, "text/csv", b"0.5")
    with pytest.raises(ExplanationError, match="Model returned 2 scores for a synthetic record, 1 for the request"):
        explaining.read(batch, "text/csv", b"0.5,1\n0.5,1\n0.5,1")
    explaining.take(batch, explaining.read(batch, "text/csv", b"0.5\n0.5\n0.5"))
    assert [source.index for source in explaining.solvable()] == [0]


def test_no_answer_is_worked_for_that_would_be_too_long() -> None:
    model = Recording(lambda body: ("text/csv", b"0,0,0,0\n" * (body.count(b"\n") + 1)))
    many = "\n".join(["1"] * 160_000)
    with pytest.raises(ExplanationError, match="has at least 6560000 bytes, an answer has at most 6291456") as told:
        explain(prepared("0"), many, model)
    assert (told.value.status, model.bodies) == (413, [])
    with pytest.raises(ExplanationError, match="has at least 6625000 bytes"):  # four scores each, which the model says
        explain(prepared("0"), "\n".join(["1"] * 125_000), model)
    assert len(model.bodies) == 1


def test_numbers_of_scores_and_units_that_no_answer_has_room_for_are_told_before_memory_is_taken() -> None:
    of = prepared('"-"', NumberOfSamples=2, TextConfig={"Language": "en", "Granularity": "token"})
    model = Recording(lambda body: ("text/csv", ",".join("0" * 100_000).encode()))
    with pytest.raises(ExplanationError, match="has at least"):
        explain(of, '"' + "a " * 100 + '"', model)
    assert len(model.bodies) == 1


def test_a_long_baseline_costs_a_record_of_one_feature_nothing() -> None:
    model = csv_model(lambda record: float(record[0]))
    (first, second) = shap(explain(prepared("1\n" * 999 + "3"), "1\n2", model, most_rows=1000))
    assert [body.count(b"\n") + 1 for body in model.bodies] == [2, 1000]
    assert [each[0]["attributions"][0]["attribution"] for each in (first, second)] == [
        [pytest.approx(1 - 1.002)],
        [pytest.approx(2 - 1.002)],
    ]
