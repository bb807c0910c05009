"""Each runtime serves a true model, asked by boto3, and answers as the library itself does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hostmaker.fleet.confine import probe

from .conftest import HOSTMAKER, ROLE, Server, create_config
from .runtime_house import wait_until

pytestmark = pytest.mark.integration
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"


def python_of(image: str) -> str:
    """Give the interpreter that will serve an image."""
    command = [HOSTMAKER, "environments", "build", image]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def deploy(
    server: Server,
    name: str,
    image: str,
    files: Mapping[str, str | bytes],
    environment: Mapping[str, str] | None = None,
) -> None:
    container = {"Image": image, "Environment": dict(environment or {})}
    script = files.get("code/inference.py")
    others = {path: data for path, data in files.items() if path != "code/inference.py"}
    if script is None:
        url = server.upload(f"{name}/model.tar.gz", others)
        model = {**container, "ModelDataUrl": url}
        sagemaker = server.client("sagemaker")
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=model)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        variants = [{**variant, "InitialInstanceCount": 1}]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    else:
        create_config(server.client, name, str(script), files=others, container=container)
    server.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    described = server.wait_while(name, "Creating", within_s=180)
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")


def ask(server: Server, name: str, body: bytes, content_type: str, accept: str = "*/*") -> tuple[int, str, bytes]:
    """Give status, content type and body; of an error the model's own status and message."""
    runtime = server.client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type, Accept=accept)
    except ClientError as error:
        told: Any = error.response
        status = told.get("OriginalStatusCode", told["ResponseMetadata"]["HTTPStatusCode"])
        return int(status), "", told.get("OriginalMessage", told["Error"]["Message"]).encode()
    return 200, answer["ContentType"], answer["Body"].read()


TRAIN = """
import json, pickle, sys, numpy as np, xgboost
chance = np.random.RandomState(0)
rows = chance.rand(300, 4)
labels = (rows[:, 0] > rows[:, 1]).astype(int) + (rows[:, 2] > 0.7)
probe = xgboost.DMatrix(np.array([[0.9, 0.1, 0.2, 0.3], [0.1, 0.9, 0.2, 0.9]]))
told = {}
for name, parameters, wanted in (("binary", {"objective": "binary:logistic"}, labels > 0),
                                 ("other", {"objective": "binary:logistic", "max_depth": 2}, labels > 0),
                                 ("multi", {"objective": "multi:softprob", "num_class": 3}, labels),
                                 ("number", {"objective": "reg:squarederror"}, labels)):
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, label=wanted), 8)
    booster.save_model(name + ".json")
    pickle.dump(booster, open(name + ".pkl", "wb"))
    told[name] = booster.predict(probe).tolist()
json.dump(told, open("told.json", "w"))
"""
CSV_ROWS = b"0.9,0.1,0.2,0.3\n0.1,0.9,0.2,0.9"
SVM_ROWS = b"1 1:0.9 2:0.1 3:0.2 4:0.3\n0 1:0.1 2:0.9 3:0.2 4:0.9"


@pytest.fixture(scope="module")
def boosters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and what xgboost itself predicts with them (`told.json`)."""
    folder = tmp_path_factory.mktemp("xgboost")
    subprocess.run([python_of(XGBOOST), "-c", TRAIN], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def told(boosters: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((boosters / "told.json").read_text())
    return document


def test_xgboost_without_a_script(server: Server, boosters: Path, told: dict[str, Any]) -> None:
    deploy(server, "xgb", XGBOOST, {"xgboost-model": (boosters / "binary.pkl").read_bytes(), ".hidden": b"x"})
    scores = told["binary"]

    status, kind, body = ask(server, "xgb", CSV_ROWS, "text/csv")
    assert (status, kind, [float(line) for line in body.splitlines()]) == (
        200,
        "text/csv; charset=utf-8",
        pytest.approx(scores),
    )
    assert ask(server, "xgb", CSV_ROWS.replace(b",", b";"), "text/csv; charset=utf-8")[2] == body
    assert ask(server, "xgb", SVM_ROWS, "text/libsvm")[2] == body
    assert ask(server, "xgb", SVM_ROWS, "text/x-libsvm")[2] == body
    whole = json.loads(ask(server, "xgb", CSV_ROWS, "text/csv", "application/json")[2])
    assert [each["score"] for each in whole["predictions"]] == pytest.approx(scores)
    lines = ask(server, "xgb", CSV_ROWS, "text/csv", "application/jsonlines")[2].splitlines()
    assert [json.loads(line)["score"] for line in lines] == pytest.approx(scores)
    assert ask(server, "xgb", CSV_ROWS, "text/csv", "application/x-recordio-protobuf")[2][:4] == b"\x0a\x23\xd7\xce"

    assert ask(server, "xgb", b"1,2", "text/csv")[:1] == (400,)
    assert b"Unable to evaluate payload provided" in ask(server, "xgb", b"1,2", "text/csv")[2]
    assert ask(server, "xgb", b"a,b,c,d", "text/csv")[0] == 415
    assert ask(server, "xgb", b"x", "text/plain")[0] == 415
    refused = ask(server, "xgb", b"[[1, 2]]", "application/json")
    assert refused[::2] == (415, b"Content-type application/json is not supported.")
    assert ask(server, "xgb", CSV_ROWS, "text/csv; label_size=0")[0] == 415
    assert ask(server, "xgb", CSV_ROWS, "CSV")[2] == body
    fewer = CSV_ROWS.splitlines()[0].rpartition(b",")[0]  # a pickle's features, or one less
    assert ask(server, "xgb", fewer, "text/csv")[0] == 200
    assert ask(server, "xgb", fewer + b",1,1", "text/csv")[0] == 400
    assert ask(server, "xgb", CSV_ROWS, "text/csv", "image/png")[0] == 406


def test_xgboost_averages_several_models_and_gives_what_is_chosen(
    server: Server, boosters: Path, told: dict[str, Any]
) -> None:
    files = {name: (boosters / name).read_bytes() for name in ("binary.json", "other.json")}
    deploy(server, "xgb-both", XGBOOST, files)
    mean = [(one + other) / 2 for one, other in zip(told["binary"], told["other"], strict=True)]
    assert [float(line) for line in ask(server, "xgb-both", CSV_ROWS, "text/csv")[2].splitlines()] == pytest.approx(
        mean
    )

    chosen = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label, probabilities,labels,predicted_score"}
    deploy(server, "xgb-multi", XGBOOST, {"m": (boosters / "multi.json").read_bytes()}, chosen)
    first = json.loads(ask(server, "xgb-multi", CSV_ROWS, "text/csv", "application/json")[2])["predictions"][0]
    assert first["probabilities"] == pytest.approx(told["multi"][0])
    assert first["predicted_label"] == told["multi"][0].index(max(told["multi"][0]))
    assert first["labels"] == [0, 1, 2]
    assert first["predicted_score"] != first["predicted_score"]  # NaN: a class has none
    assert ask(server, "xgb-multi", CSV_ROWS, "text/csv")[2].count(b"\n") == 1


def test_xgboost_with_a_script(server: Server, boosters: Path, told: dict[str, Any]) -> None:
    script = """
import os, xgboost
from sagemaker_xgboost_container import distributed, encoder
from sagemaker_xgboost_container.data_utils import get_content_type, get_dmatrix
def input_fn(body, content_type):
    return encoder.csv_to_dmatrix(body) if content_type == "text/csv" else encoder.decode(body, content_type)
def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "number.json"))
    return booster
"""
    files = {"code/inference.py": script, "number.json": (boosters / "number.json").read_bytes()}
    deploy(server, "xgb-script", XGBOOST, files, {"SAGEMAKER_PROGRAM": "inference.py"})
    status, kind, body = ask(server, "xgb-script", CSV_ROWS, "text/csv")
    assert (status, kind, json.loads(body)) == (200, "application/json", pytest.approx(told["number"]))
    assert json.loads(ask(server, "xgb-script", SVM_ROWS, "text/libsvm")[2]) == pytest.approx(told["number"])
    assert ask(server, "xgb-script", b"x", "text/plain")[0] == 415
    assert ask(server, "xgb-script", CSV_ROWS + b"\n", "text/csv")[0] == 500  # a row more, of another length
    answer = ask(server, "xgb-script", CSV_ROWS, "text/csv", "text/csv")
    assert (answer[1], [float(line) for line in answer[2].splitlines()]) == (
        "text/csv; charset=utf-8",
        pytest.approx(told["number"]),
    )
    assert ask(server, "xgb-script", CSV_ROWS, "text/csv", "image/png")[0] == 406


def test_a_toolkit_script(server: Server) -> None:
    script = """
import numpy
from sagemaker_inference import content_types, errors
def pre_model_fn(model_dir): print("before")
def model_fn(model_dir, context): return numpy.array([1.0, 2.0])
def model_warmup_fn(model_dir, model): print("warmed up", model.tolist())
def predict_fn(data, model, context):
    if data.shape[-1] != 2:
        raise errors.BaseInferenceToolkitError(422, "two numbers, please", "Unprocessable")
    return data @ model
"""
    deploy(server, "toolkit", "hostmaker/toolkit:3.11", {"code/inference.py": script})
    assert ask(server, "toolkit", b"[[1, 2], [3, 4]]", "application/json") == (200, "application/json", b"[5.0, 11.0]")
    assert ask(server, "toolkit", b"1,2\n3,4", "text/csv", "text/csv") == (200, "text/csv", b"5.0\n11.0\n")
    assert ask(server, "toolkit", b"[[1, 2, 3]]", "application/json")[0] == 422
    assert ask(server, "toolkit", b"1,2", "text/csv; charset=utf-8")[0] == 500


def test_any_python_with_any_requirements(server: Server) -> None:
    script = """
import yarl
def model_fn(model_dir): return lambda data: {"host": yarl.URL(data["url"]).host}
"""
    files = {"code/inference.py": script, "code/requirements.txt": "yarl>=1.9  # and what it needs\n"}
    deploy(server, "any-python", "hostmaker/python:3.11", files)
    answer = ask(server, "any-python", b'{"url": "http://a.example/b"}', "application/json")
    assert answer == (200, "application/json", b'{"host": "a.example"}')
    assert ask(server, "any-python", b"{", "application/json")[0] == 500


SERVE = """#!/usr/bin/env python3
import http.server, os, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die":
            print("dying, as asked", flush=True)
            os._exit(9)
        self.answer(b"%s from %d" % (body, PORT))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/x-own")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

PORT = int(os.environ.get("PORT") or os.environ["SAGEMAKER_BIND_TO_PORT"])
time.sleep(0.3)
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""


def test_a_server_of_ones_own(server: Server) -> None:
    deploy(server, "own-server", "hostmaker/serve", {"serve": SERVE})
    status, kind, body = ask(server, "own-server", b"hello", "text/plain")
    assert (status, kind) == (200, "text/x-own")
    assert body.startswith(b"hello from ")
    large = b"x" * 5_000_000
    assert ask(server, "own-server", large, "text/plain")[2].startswith(large)
    assert ask(server, "own-server", b"die", "text/plain")[0] != 200
    logs = server.client("logs")
    group = "/aws/sagemaker/Endpoints/own-server"

    def has_ended() -> bool:
        events = logs.filter_log_events(logGroupName=group)["events"]
        return any("ended with exit code 9" in event["message"] for event in events)

    wait_until(has_ended)
    wait_until(lambda: ask(server, "own-server", b"again", "text/plain")[0] == 200)


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("no-serve", {"server.py": "x"}, "no executable 'serve'"),
        ("bad-serve", {"serve": "#!/bin/sh\necho it cannot start >&2; exit 3\n"}, "it cannot start"),
    ],
)
def test_a_server_that_does_not_start_says_why(
    server: Server, name: str, files: dict[str, str | bytes], says: str
) -> None:
    with pytest.raises(AssertionError, match="ping health check") as caught:
        deploy(server, name, "hostmaker/serve", files)
    assert says in str(caught.value)


FIXED = """
import os
HERE = os.listdir("/opt")

def model_fn(model_dir):
    return open("/opt/ml/model/who").read()

def predict_fn(data, model):
    return {"model": model, "beside": HERE, "here": sorted(os.listdir("/opt/ml/model"))}
"""


@pytest.mark.parametrize("number", [1, 2])  # each sees its own
def test_a_path_of_the_container_is_there_in_a_view(server: Server, number: int) -> None:
    if not probe()["view"]:
        assert not Path("/opt/ml/model").exists()
        return
    files = {"code/inference.py": FIXED, "who": f"it is {number}"}
    deploy(server, f"fixed-path-{number}", "hostmaker/python", files)
    told = json.loads(ask(server, f"fixed-path-{number}", b"1", "application/json")[2])
    assert told["model"] == f"it is {number}"
    assert told["here"] == ["code", "who"]
    assert set(told["beside"]) == {*(path.name for path in Path("/opt").iterdir()), "ml"}
    assert not Path("/opt/ml/model/who").exists()
