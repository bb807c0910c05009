"""Endpoints with an explainer, of one model that behaves in many ways, for the tests of explanations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .conftest import Server

# A file in the archive names the function that answers. A record with a zero is a synthetic one: it is the baseline's.
SCRIPT = """
import csv
import io
import json
import math
import os
import time

from sagemaker_containers.beta.framework import worker

def model_fn(model_dir):
    return globals()[open(os.path.join(model_dir, "which")).read()]

def transform_fn(model, body, content_type, accept):
    answer = model(body if isinstance(body, str) else body.decode(), accept)
    return worker.Response(answer, headers={"Content-Type": accept})  # without the charset that a pair would get

def rows(text):
    lines = text.splitlines()
    if text.startswith("{"):
        return [json.loads(line)["data"]["features"] for line in lines]
    return [[float(cell) for cell in line.split(",")] for line in lines]

def weigh(row):
    a, b, c, d = row
    return 0.5 * a - b + 2 * c + 0.25 * d

def linear(text, accept):
    scores = [weigh(row) for row in rows(text)]
    if accept == "application/jsonlines":
        return "".join(json.dumps({"out": {"score": score}}) + "\\n" for score in scores)
    return "".join("%r\\n" % score for score in scores)

def classes(text, accept):
    lines = []
    for x, y, z in rows(text):
        powers = [math.exp(score) for score in (x - 0.5 * z, y - 0.5 * x, 0.5 * z - y)]
        lines.append(",".join("%r" % (power / sum(powers)) for power in powers))
    return "\\n".join(lines) + "\\n"

def words(text, accept):
    good = [(0.3 * ("Good" in text) + 0.1 * ("really" in text) + 0.05 * float(stars)) for text, stars in
            csv.reader(io.StringIO(text))]
    return "".join("%r\\n" % score for score in good)

def single(text, accept):
    (row,) = rows(text)
    return "%r\\n" % weigh(row)

def first_only(text, accept):
    return "%r\\n" % weigh(rows(text)[0])

def strict(text, accept):
    if any(0 in row for row in rows(text)):
        raise ValueError("there is nothing without a weight")
    return linear(text, accept)

def mortal(text, accept):
    if any(0 in row for row in rows(text)):
        os._exit(7)
    return linear(text, accept)

def slow(text, accept):
    time.sleep(0.02 * len(rows(text)))
    return linear(text, accept)

def slow_half(text, accept):
    time.sleep(0.02 * len(rows(text)))
    return "".join("%r\\n" % (weigh(row) / 2) for row in rows(text))
"""


def explainer(baseline: str = "0,0,0,0", inference: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Give an ExplainerConfig; `members` with small letters are of ShapConfig, others of ClarifyExplainerConfig."""
    shap = {name[0].upper() + name[1:]: value for name, value in members.items() if name[0].islower()}
    shap.setdefault("ShapBaselineConfig", {"ShapBaseline": baseline})
    clarify = {name: value for name, value in members.items() if name[0].isupper()}
    if inference is not None:
        clarify["InferenceConfig"] = inference
    return {"ClarifyExplainerConfig": {**clarify, "ShapConfig": shap}}


def configure(server: Server, name: str, which: str, explained: dict[str, Any], **further: Any) -> None:
    """Create a config of one of the models."""
    server.create_config(name, SCRIPT, files={"which": which}, explainer=explained, **further)


def serve(server: Server, name: str, which: str, explained: dict[str, Any], **further: Any) -> None:
    """Create an endpoint of one of the models, and wait until it is in service with the explainer as it was sent."""
    configure(server, name, which, explained, **further)
    sagemaker = server.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    described = server.wait_while(name, "Creating")
    assert described["EndpointStatus"] == "InService", described
    assert described["ExplainerConfig"] == explained
    assert sagemaker.describe_endpoint_config(EndpointConfigName=name)["ExplainerConfig"] == explained


@dataclass(frozen=True)
class Answer:
    """What a client got: the bytes, and the header that says how they were come by."""

    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def done(self) -> dict[str, float]:
        told = self.headers["x-hostmaker-explanation"].split(", ")
        return {name: float(value) for name, value in (each.split("=") for each in told)}

    def attributions(self, record: int = 0) -> list[list[float]]:
        """Give, for each feature or unit of text, what it adds to each score."""
        features = self.json["explanations"]["kernel_shap"][record]
        return [each["attribution"] for feature in features for each in feature["attributions"]]


def ask(server: Server, endpoint: str, body: str, content_type: str = "text/csv", **members: Any) -> Answer:
    """Invoke an endpoint; the answer of one with an explainer is JSON, whatever the model answers with."""
    asked = {"Accept": "text/csv", **members}
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType=content_type, Body=body, **asked
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    return Answer(answer["Body"].read(), answer["ResponseMetadata"]["HTTPHeaders"])


def refusal(
    server: Server, endpoint: str, body: str, content_type: str = "text/csv", **members: Any
) -> tuple[Any, ...]:
    """Give the status and message of the ModelError that a client gets, or code and message of another error."""
    try:
        answer = ask(server, endpoint, body, content_type, **members)
    except ClientError as error:
        told: dict[str, Any] = error.response
    else:
        raise AssertionError(f"it was answered: {answer.body!r}")
    if told["Error"]["Code"] == "ModelError":
        assert told["OriginalMessage"][:100] in told["Error"]["Message"]
        return told["OriginalStatusCode"], told["OriginalMessage"]
    return told["Error"]["Code"], told["Error"]["Message"]
