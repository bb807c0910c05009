"""Explanations as boto3's users have them, by real models: the answers, the errors, and what is counted."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Server
from .explained_models import ask, configure, explainer, refusal, serve

pytestmark = pytest.mark.integration
EVER = {"StartTime": datetime(2000, 1, 1, tzinfo=UTC), "EndTime": datetime(2100, 1, 1, tzinfo=UTC)}
LINES = "application/jsonlines"


@pytest.fixture(scope="module")
def linear(server: Server) -> str:
    """An endpoint that explains everything against two records of a baseline."""
    serve(server, "exp-linear", "linear", explainer("0,0,0,0\n1,1,1,1"))
    return "exp-linear"


def test_a_linear_model_is_explained_by_its_slopes(server: Server, linear: str) -> None:
    answer = ask(server, linear, "1,2,3,4\n")
    values = [pytest.approx(value, abs=1e-12) for value in (0.25, -1.5, 5.0, 0.875)]
    assert answer.json == {
        "version": "1.0",
        "predictions": {"content_type": "text/csv", "data": "5.5\n"},
        "explanations": {"kernel_shap": [[{"attributions": [{"attribution": [value]}]} for value in values]]},
    }
    assert sum(value for (value,) in answer.attributions()) == pytest.approx(4.625, abs=1e-12)
    assert answer.body == json.dumps(answer.json, separators=(",", ":")).encode()
    # The baseline's two records, and each of the 2**4 - 2 coalitions with both; one call for the request itself.
    assert {name: answer.done[name] for name in ("records", "exact", "coalitions", "rows")} == {
        "records": 1,
        "exact": 1,
        "coalitions": 14,
        "rows": 30,
    }


def test_nothing_explained_is_98_bytes(server: Server, linear: str) -> None:
    answer = ask(server, linear, "0,0,0,3.8855116", EnableExplanations="`false`")
    data = b'{"version":"1.0","predictions":{"content_type":"text/csv","data":"0.9713779\\n"},"explanations":{}}'
    assert answer.body == data
    assert len(data) == 98
    assert answer.done["calls"] == 1


def test_several_classes_with_names(server: Server) -> None:
    serve(server, "exp-classes", "classes", explainer("0,0,0", {"LabelHeaders": ["cat", "dog", "fish"]}))
    answer = ask(server, "exp-classes", "1,2,3\n")
    assert list(answer.json) == ["version", "predictions", "label_headers", "explanations"]
    assert answer.json["label_headers"] == ["cat", "dog", "fish"]
    scores = [float(cell) for cell in answer.json["predictions"]["data"].split(",")]
    assert scores == pytest.approx([0.106507, 0.786986, 0.106507], abs=1e-6)
    found = answer.attributions()
    expected = [[0.178295, -0.155822, -0.022473], [-0.116994, 0.603735, -0.486741], [-0.288127, 0.00574, 0.282388]]
    assert [pytest.approx(row, abs=1e-6) for row in expected] == found
    assert [sum(column) + 1 / 3 for column in zip(*found, strict=True)] == pytest.approx(scores, abs=1e-12)


def test_an_expression_says_which_records_and_a_header_says_otherwise(server: Server) -> None:
    names = ["Age", "Hours", "Gain", "Loss"]
    serve(server, "exp-some", "linear", explainer(inference={"FeatureHeaders": names}, EnableExplanations="[0]>`5`"))
    body = "1,0,0,0\n1,2,3,4\n0,0,1,0\n"

    def explained(**members: Any) -> list[bool]:
        shap = ask(server, "exp-some", body, **members).json["explanations"].get("kernel_shap", [])
        return [record is not None for record in shap]

    answer = ask(server, "exp-some", body)
    first, second, third = answer.json["explanations"]["kernel_shap"]
    assert (first, third) == (None, None)
    assert [feature["feature_header"] for feature in second] == names
    assert answer.json["predictions"]["data"] == "0.5\n5.5\n2.0\n"
    assert explained(EnableExplanations="`false`") == []
    assert explained(EnableExplanations="[0]<`1`") == [True, False, False]
    assert explained(EnableExplanations="`true`") == [True, True, True]
    assert ask(server, "exp-some", "1,0,0,0").json["explanations"] == {}


def test_json_lines_in_and_out(server: Server) -> None:
    inference = {
        "FeaturesAttribute": "data.features",
        "ContentTemplate": '{"data":{"features":$features}}',
        "ProbabilityAttribute": "out.score",
    }
    baseline = {"MimeType": LINES, "ShapBaseline": '{"data":{"features":[0,0,0,0]}}\n{"data":{"features":[1,1,1,1]}}'}
    sent = explainer(inference=inference, shapBaselineConfig=baseline, EnableExplanations="out.score>`1`")
    serve(server, "exp-lines", "linear", sent)
    body = '{"data":{"features":[1,2,3,4]},"id":7}\n{"data":{"features":[1,0,0,0]}}\n'
    values = pytest.approx([0.25, -1.5, 5.0, 0.875], abs=1e-12)
    for content_type, given in ((LINES, body), ("text/csv", "1,2,3,4\n1,0,0,0\n")):
        answer = ask(server, "exp-lines", given, content_type, Accept=LINES)
        assert answer.json["predictions"] == {
            "content_type": LINES,
            "data": '{"out": {"score": 5.5}}\n{"out": {"score": 0.5}}\n',
        }
        assert [value for (value,) in answer.attributions(0)] == values
        assert answer.json["explanations"]["kernel_shap"][1] is None
    answer = ask(server, "exp-lines", body, LINES, EnableExplanations="[0]>`1`")  # of CSV, which comes back this time
    assert [value for (value,) in answer.attributions(0)] == values


def test_a_text_and_a_number(server: Server) -> None:
    text = {"Language": "en", "Granularity": "token"}
    serve(server, "exp-words", "words", explainer('"<MASK>",3', textConfig=text))
    answer = ask(server, "exp-words", '"Good, really",5\n')
    units = [
        {"attribution": [pytest.approx(value, abs=1e-12)], "description": {"partial_text": part, "start_idx": start}}
        for part, start, value in (("Good", 0, 0.3), (",", 4, 0.0), ("really", 6, 0.1))
    ]
    (record,) = answer.json["explanations"]["kernel_shap"]
    assert record == [
        {"attributions": units, "feature_type": "text"},
        {"attributions": [{"attribution": [pytest.approx(0.1, abs=1e-12)]}], "feature_type": "numerical"},
    ]


def test_a_baseline_in_the_store_is_that_of_the_last_update(server: Server) -> None:
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    server.upload("exp-stored/unused.tar.gz", {})

    def put(text: str) -> None:
        s3.put_object(Bucket="models", Key="exp-stored/baseline.csv", Body=text.encode())

    def explained() -> list[float]:
        return [value for (value,) in ask(server, "exp-stored", "1,2,3,4").attributions()]

    put("0,0,0,0\n")
    sent = explainer(shapBaselineConfig={"ShapBaselineUri": "s3://models/exp-stored/baseline.csv"})
    serve(server, "exp-stored", "linear", sent)
    before = pytest.approx([0.5, -2.0, 6.0, 1.0], abs=1e-12)
    assert explained() == before
    put("1,1,1,1\n")
    assert explained() == before
    s3.delete_object(Bucket="models", Key="exp-stored/baseline.csv")
    assert explained() == before
    put("1,1,1,1\n")
    configure(server, "exp-stored-2", "linear", sent)
    sagemaker.update_endpoint(EndpointName="exp-stored", EndpointConfigName="exp-stored-2")
    assert server.wait_while("exp-stored", "Updating")["EndpointConfigName"] == "exp-stored-2"
    assert explained() == pytest.approx([0.0, -1.0, 4.0, 0.75], abs=1e-12)


def test_what_is_wrong_with_a_request(server: Server, linear: str) -> None:
    def told(body: str, *content_type: str, **members: Any) -> tuple[Any, ...]:
        return refusal(server, linear, body, *content_type, **members)

    code, message = told("1,2,3,4", EnableExplanations="[0]>`0`" + " " * 58)
    assert code == "ValidationError"
    assert "length less than or equal to 64" in message
    assert told("1,2,3,4", EnableExplanations="[0]>") == (
        400,
        "Invalid EnableExplanations expression: Incomplete expression",
    )
    not_boolean = "EnableExplanations must evaluate to a boolean for record 1, got"
    assert told("1,2,3,4\n0,0,0,0", EnableExplanations="[0]>`1` || [0]") == (400, f"{not_boolean} number")
    assert told("1,2,3,4\n0,0,0,0", EnableExplanations="[0]>`1` || [5]") == (400, f"{not_boolean} null")
    unsupported = "Unsupported content type application/json for explanations; use text/csv or application/jsonlines"
    assert told("1,2,3,4", "application/json") == (415, unsupported)
    unreadable = "Unsupported model output type application/xml; answer text/csv or application/jsonlines"
    assert told("1,2,3,4", Accept="application/xml") == (500, unreadable)
    assert told("1,2,3,4\n1,2,3", "text/csv") == (400, "Record 1 has 3 features, the SHAP baseline has 4")
    status, message = told("[1,2,3,4]", LINES)
    assert (status, "ContentTemplate" in message) == (400, True)
    status, message = told("1,2,3,4", Accept=LINES)
    assert (status, "ProbabilityAttribute" in message) == (500, True)
    status, message = told("1,2,3,x")  # the model's own words
    assert status == 500
    assert "could not convert string to float: 'x'" in message
    # Of no interest where nothing is to be explained.
    assert ask(server, linear, "1,2,3,4", Accept=LINES, EnableExplanations="`false`").json["explanations"] == {}


def test_explanations_are_refused_where_nobody_explains(server: Server, endpoint: str) -> None:
    code, message = refusal(server, endpoint, "1,2", EnableExplanations="`true`")
    assert code == "ValidationError"
    assert f"{endpoint} has no explainer" in message


def test_a_model_that_takes_single_records_is_found_out(server: Server) -> None:
    serve(server, "exp-single", "single", explainer())
    answer = ask(server, "exp-single", "1,2,3,4")
    assert [value for (value,) in answer.attributions()] == pytest.approx([0.5, -2.0, 6.0, 1.0], abs=1e-12)
    again = ask(server, "exp-single", "1,2,3,4")
    assert (again.done["rows"], again.done["calls"], again.done["largest"]) == (15, 16, 1)
    assert answer.done["calls"] > 16  # the larger ones that it would not have


def test_what_is_wrong_with_a_model(server: Server) -> None:
    serve(server, "exp-first-only", "first_only", explainer(inference={"MaxRecordCount": 5}))
    assert refusal(server, "exp-first-only", "1,2,3,4") == (500, "Model returned 1 records for 5; set MaxRecordCount")
    serve(server, "exp-strict", "strict", explainer(inference={"MaxRecordCount": 5}))
    status, message = refusal(server, "exp-strict", "1,2,3,4")
    assert status == 500
    assert message.startswith("Model failed on a synthetic request of 5 records: ")
    assert "there is nothing without a weight" in message
    assert ask(server, "exp-strict", "1,2,3,4", EnableExplanations="`false`").json["explanations"] == {}


def test_a_model_that_dies_of_a_synthetic_record(server: Server) -> None:
    serve(server, "exp-mortal", "mortal", explainer(inference={"MaxRecordCount": 5}))
    status, message = refusal(server, "exp-mortal", "1,2,3,4")
    assert status == 500
    assert message.startswith("Model failed on a synthetic request of 5 records: ")
    assert re.search("process closed the connection before it answered|Connection refused", message)
    deadline = time.monotonic() + 20
    while plain(server, "exp-mortal") is None:  # another instance takes its place
        assert time.monotonic() < deadline
        time.sleep(0.05)


def plain(server: Server, endpoint: str) -> str | None:
    """Give what a model predicts, None where the endpoint cannot be asked at the moment."""
    try:
        answer = ask(server, endpoint, "1,2,3,4", EnableExplanations="`false`")
    except ClientError:
        return None
    return str(answer.json["predictions"]["data"])


def test_one_request_is_one_invocation_to_cloudwatch(server: Server) -> None:
    serve(server, "exp-counted", "slow", explainer(inference={"MaxRecordCount": 5}))
    began = time.perf_counter()
    answer = ask(server, "exp-counted", "1,2,3,4")
    whole_us = (time.perf_counter() - began) * 1e6
    assert answer.done["calls"] == 4
    dimensions = [{"Name": "EndpointName", "Value": "exp-counted"}, {"Name": "VariantName", "Value": "AllTraffic"}]

    def of(name: str) -> tuple[float, float]:
        found = server.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=dimensions,
            Period=864_000_000,
            Statistics=["Sum", "SampleCount"],
            **EVER,
        )["Datapoints"]
        return sum(point["Sum"] for point in found), sum(point["SampleCount"] for point in found)

    deadline = time.monotonic() + 20
    while not of("Invocations")[0]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)  # another one would be counted by now
    assert of("Invocations") == (1.0, 1.0)
    model_us, overhead_us = of("ModelLatency")[0], of("OverheadLatency")[0]
    assert model_us > 0.02 * 6 * 1e6  # the request's record, then at least five in one call
    assert model_us + overhead_us < whole_us
    assert of("Invocation4XXErrors")[0] == of("Invocation5XXErrors")[0] == of("InvocationModelErrors")[0] == 0


def test_what_does_not_fit_into_the_time_says_what_would(start_server: Any) -> None:
    server = start_server("--set", "gateway.invocation_timeout_s=2")
    serve(server, "exp-slow", "slow", explainer("0,0,0,0\n" * 20, {"MaxRecordCount": 4}))
    began = time.monotonic()
    status, message = refusal(server, "exp-slow", "1,2,3,4")
    assert time.monotonic() - began < 2
    assert status == 504
    assert re.fullmatch(
        r"Explanation would take some \d+ s, and 1\.96 s are allowed \(\d+ of 300 synthetic records done\); lower "
        r"NumberOfSamples or the baseline size, or raise MaxRecordCount: at [\d.]+ ms each, about \d+ of them fit",
        message,
    )
    fitting = int(message.split()[-4])
    assert 20 <= fitting <= 200  # 20 ms each, one to two calls at once
