"""The scikit-learn handler behaves like its image: default functions, statuses, error bodies, what scripts import."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from .runtime_house import WITHIN_S, ModelServer, Reply, start_model_server

LOAD = "import joblib, os\ndef model_fn(d): return joblib.load(os.path.join(d, 'model.joblib'))\n"
ONE = "def model_fn(d): return d\n"
Start = Callable[..., ModelServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[ModelServer] = []

    def begin(script: str, is_ready: bool = True, **named: Any) -> ModelServer:
        server = start_model_server(tmp_path, script, False, **named)
        started.append(server)
        return server.wait() if is_ready else server

    yield begin
    for server in started:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A true model: y = 2a + 3b + 1."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    buffer = io.BytesIO()
    joblib.dump(LinearRegression().fit(rows, rows @ [2.0, 3.0] + 1.0), buffer)
    server = start_model_server(
        tmp_path_factory.mktemp("m"), LOAD, False, files={"model.joblib": buffer.getvalue()}
    ).wait()
    yield server
    server.end()


def ask(server: ModelServer, body: bytes, content_type: str | None = None, accept: str | None = None) -> Reply:
    headers = {"Content-Type": content_type, "Accept": accept}
    return server.ask(body, headers={name: value for name, value in headers.items() if value is not None})


def error_of(reply: Reply) -> Mapping[str, str]:
    assert reply.headers["content-type"] == "application/json"
    document: dict[str, str] = json.loads(reply.body)
    assert sorted(document) == ["error", "error-message", "stack-trace"]
    return document


def as_npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[[1, 2], [3, 4]]", "application/json"),
        (b"[[1, 2], [3, 4]]", None),
        (b"1,2\n3,4", "text/csv"),
        (as_npy(np.array([[1.0, 2.0], [3.0, 4.0]])), "application/x-npy"),
    ],
)
def test_default_input(linear: ModelServer, body: bytes, content_type: str | None) -> None:
    reply = ask(linear, body, content_type)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert json.loads(reply.body) == pytest.approx([9.0, 19.0], rel=1e-5)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("application/x-npy", "application/x-npy"),
        ("*/*", "application/json"),
        (None, "application/json"),
    ],
)
def test_default_output(linear: ModelServer, accept: str | None, content_type: str) -> None:
    reply = ask(linear, b"1,2\n3,4", "text/csv", accept)
    charset = "; charset=utf-8" if content_type == "text/csv" else ""
    assert (reply.status, reply.headers["content-type"]) == (200, content_type + charset)
    readers: dict[str, Callable[[bytes], Any]] = {
        "application/json": json.loads,
        "text/csv": lambda body: np.loadtxt(io.BytesIO(body)),
        "application/x-npy": lambda body: np.load(io.BytesIO(body)),
    }
    read = readers[content_type]
    assert list(read(reply.body)) == pytest.approx([9.0, 19.0], rel=1e-5)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "error"),
    [
        (b"1,2", "text/plain", None, 415, "UnsupportedFormatError"),
        (b"1,2\n3,4", "text/csv; charset=utf-8", None, 415, "UnsupportedFormatError"),
        (b"1,2\n3,4", "text/csv", "image/png", 406, "UnsupportedFormatError"),
        (b"1,2\n3,4", "text/csv", "text/csv;q=0.5", 406, "UnsupportedFormatError"),
        (b"1,2\n3,4", "text/csv", "text/csv, application/json", 406, "UnsupportedFormatError"),
        (b"PK", "application/x-npz", None, 415, "UnsupportedFormatError"),
        (b"1,2\n3,4", "TEXT/CSV", None, 415, "UnsupportedFormatError"),
        (b"age,height\n3,4", "text/csv", None, 500, "ValueError"),
        (b"1,\n3,4", "text/csv", None, 500, "ValueError"),
        (b"1,2\n#3,4", "text/csv", None, 500, "ValueError"),
        (b"1,2\n3", "text/csv", None, 500, "ValueError"),
        (b"nonsense", "application/json", None, 500, "JSONDecodeError"),
        (b"1,2,3", "text/csv", None, 500, "ValueError"),
        (b'{"a": 1}', "application/json", None, 500, "TypeError"),
        (b"\xff\xfe", "application/json", None, 500, "JSONDecodeError"),
        (b"nonsense", "application/x-npy", None, 500, "ValueError"),
        (as_npy(np.array([{"a": 1}], dtype=object)), "application/x-npy", None, 500, "ValueError"),
        (b"", "application/json", None, 500, "JSONDecodeError"),
    ],
)
def test_statuses(
    linear: ModelServer, body: bytes, content_type: str, accept: str | None, status: int, error: str
) -> None:
    reply = ask(linear, body, content_type, accept)
    assert reply.status == status
    document = error_of(reply)
    assert document["error"] == error
    assert document["stack-trace"].startswith("Traceback (most recent call last):")
    if status in (406, 415):
        assert document["error-message"].startswith("Content type ")
        assert " is not supported by this framework.\n\n" in document["error-message"]


def test_functions_get_what_the_image_gives(start: Start) -> None:
    script = ONE + (
        "def input_fn(body, content_type): return [type(body).__name__, content_type]\n"
        "def predict_fn(data, model): return data + [model.split('/')[-1]]\n"
        "def output_fn(prediction, accept): return ' '.join(prediction + [accept]), 'text/plain'\n"
    )
    server = start(script, environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})
    for content_type, accept, told in (
        ("text/csv", "application/json", b"str text/csv model application/json"),
        ("application/json", None, b"str application/json model text/csv"),
        (None, "*/*", b"str application/json model text/csv"),
        ("text/csv; charset=utf-8", "a/b, c/d", b"bytes text/csv; charset=utf-8 model a/b, c/d"),
        ("image/png", None, b"bytes image/png model text/csv"),
    ):
        reply = ask(server, b"1", content_type, accept)
        assert (reply.status, reply.body, reply.headers["content-type"]) == (200, told, "text/plain; charset=utf-8")


def test_a_transform_function_alone(start: Start) -> None:
    server = start(ONE + "def transform_fn(model, body, content_type, accept): return body[::-1], accept\n")
    reply = ask(server, b"abc", "text/csv", "x/y")
    assert (reply.body, reply.headers["content-type"]) == (b"cba", "x/y")


def test_execution_parameters(start: Start) -> None:
    script = ONE + "def execution_parameters_fn(): return {'MaxConcurrentTransforms': 8}\n"
    reply = start(script).ask(method="GET", path="/execution-parameters")
    assert (reply.status, json.loads(reply.body)) == (200, {"MaxConcurrentTransforms": 8})


FEATURIZER = """
import json
from sagemaker_containers.beta.framework import content_types, encoders, env, errors, modules, transformer, worker

def model_fn(model_dir):
    assert env.ServingEnv().model_dir == model_dir
    return model_dir

def input_fn(body, content_type):
    if content_type == content_types.CSV:
        return encoders.csv_to_numpy(body, dtype=float)
    return encoders.decode(body, content_type)

def predict_fn(data, model):
    return data * 2

def output_fn(prediction, accept):
    if accept == "application/json":
        rows = [{"features": row} for row in prediction.tolist()]
        return worker.Response(json.dumps({"instances": rows}), accept, mimetype=accept)
    if accept == "text/csv":
        return worker.Response(encoders.encode(prediction, accept), accept, mimetype=accept)
    if accept == "x/own-status":
        headers = {"X-Amzn-SageMaker-Custom-Attributes": "seen=yes", "X-Other": "no"}
        return worker.Response("not for you", status=403, headers=headers, mimetype="text/plain")
    raise errors.ClientError("{} accept type is not supported by this script.".format(accept))
"""


def test_a_script_of_the_old_framework(start: Start) -> None:
    server = start(FEATURIZER)
    reply = ask(server, b"1,2\n3,4", "text/csv", "application/json")
    assert json.loads(reply.body) == {"instances": [{"features": [2.0, 4.0]}, {"features": [6.0, 8.0]}]}
    reply = ask(server, b"1,2\n3,4", "text/csv", "text/csv")
    assert (reply.body, reply.headers["content-type"]) == (b"2.0,4.0\n6.0,8.0\n", "text/csv; charset=utf-8")
    reply = ask(server, b"1", "text/csv", "x/own-status")
    assert (reply.status, reply.body) == (403, b"not for you")
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "seen=yes"
    assert "x-other" not in reply.headers
    reply = ask(server, b"1", "text/csv", "x/y")
    assert (reply.status, error_of(reply)["error"]) == (500, "ClientError")
    assert ask(server, b"1", "x/y").status == 415


def test_a_script_of_the_toolkit(start: Start) -> None:
    script = ONE + (
        "from sagemaker_inference import content_types, decoder, encoder, errors\n"
        "import sagemaker_inference.encoder\n"
        "def input_fn(body, content_type): return decoder.decode(body, content_type)\n"
        "def predict_fn(data, model): return data + 1\n"
        "def output_fn(prediction, accept): return encoder.encode(prediction, accept), accept\n"
    )
    assert ask(start(script), b"[1, 2]", "application/json", "application/json").body == b"[2, 3]"


def test_what_the_environment_or_the_model_brings_comes_before_ours(start: Start) -> None:
    files = {
        "code/sagemaker_inference/__init__.py": b"ORIGIN = 'packed by the user'\n",
        "code/sagemaker_inference/encoder.py": b"def encode(value, accept): return 'theirs'\n",
    }
    script = (
        ONE + "from sagemaker_inference import encoder\ndef transform_fn(m, b, c, a): return encoder.encode(b, a), a\n"
    )
    assert ask(start(script, files=files), b"1").body == b"theirs"


def test_a_script_that_also_trains(start: Start) -> None:
    """What belongs to training can be imported where a script is served, and says so when it is called."""
    script = ONE + (
        "import sagemaker_containers\n"
        "from sagemaker_containers import entry_point, _content_types\n"
        "from sagemaker_containers.beta.framework import files, mapping, modules, server, trainer\n"
        "from sagemaker_sklearn_container import exceptions, handler_service\n"
        "from sagemaker_sklearn_container.serving import default_input_fn\n"
        "def transform_fn(m, body, kind, accept):\n"
        "    try:\n"
        "        sagemaker_containers.training_env()\n"
        "    except RuntimeError as error:\n"
        "        return '%s %s' % (default_input_fn(body, kind).tolist(), error), 'text/plain'\n"
        "if __name__ == '__main__':\n"
        "    entry_point.run()\n"
    )
    reply = ask(start(script), b'"1",2', "text/csv")
    assert reply.body.startswith(b"[1.0, 2.0] sagemaker_containers.training_env is part of training")


def test_a_name_that_the_images_do_not_have(start: Start) -> None:
    server = start("from sagemaker_containers.beta.framework import no_such_part\n" + ONE, is_ready=False)
    assert server.process.wait(WITHIN_S) == 1
    assert "cannot import name 'no_such_part' from 'sagemaker_containers.beta.framework'" in server.log()


def test_the_users_modules_are_not_hidden_by_ours(start: Start) -> None:
    """Names of our modules, and of some of the standard library that are loaded late, are free for the user's."""
    names = ("serve", "formats", "workers", "keeper", "script", "errors", "handlers", "colorsys")
    files = {f"code/{name}.py": f"NAME = 'the {name} of the user'\n".encode() for name in names}
    script = (
        ONE
        + "".join(f"import {name}\n" for name in names)
        + f"MODULES = ({', '.join(names)})\n"
        + "def transform_fn(m, b, c, a): return '\\n'.join(module.NAME for module in MODULES), 'text/plain'\n"
    )
    told = ask(start(script, files=files), b"1").body.decode().splitlines()
    assert told == [f"the {name} of the user" for name in names]


def test_nothing_of_ours_is_on_the_path(start: Start) -> None:
    server = start("import sys\n" + ONE + "def transform_fn(m, b, c, a): return '\\n'.join(sys.path), 'text/plain'\n")
    path = ask(server, b"1").body.decode().splitlines()
    assert path[0] == str(server.directory / "model" / "code")
    assert not [place for place in path if "hostmaker_runtime" in place]


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({}, "code/inference.py"),
        ({"SAGEMAKER_PROGRAM": "other.py"}, "code/other.py"),
        ({"SAGEMAKER_PROGRAM": "other.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}, "code/other.py"),
        ({"SAGEMAKER_PROGRAM": "a/b.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/src"}, "src/a/b.py"),
        ({"SAGEMAKER_PROGRAM": "top.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model"}, "top.py"),
        ({"SAGEMAKER_PROGRAM": "/somewhere/else/other.py"}, "code/other.py"),
    ],
)
def test_where_the_script_is_looked_for(start: Start, environment: dict[str, str], where: str) -> None:
    ours = ONE + "import beside\ndef transform_fn(m, b, c, a): return __file__ + beside.NAME, 'text/plain'\n"
    beside = str(Path(where).with_name("beside.py"))
    files = {where: ours.encode(), beside: b"NAME = ' and beside'\n"}
    script = ours if where == "code/inference.py" else "raise RuntimeError('not this one')"
    server = start(script, environment=environment, files=files)
    assert ask(server, b"1").body.decode() == f"{server.directory}/model/{where} and beside"


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_script_in_a_directory_of_its_own(start: Start, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "entry.py").write_text(ONE + "def transform_fn(m, b, c, a): return 'there', a\n")
    environment = {"SAGEMAKER_PROGRAM": "entry.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"{prefix}{tmp_path}/source"}
    assert ask(start("raise RuntimeError", environment=environment), b"1").body == b"there"


def test_classes_of_the_script_are_found_by_pickles(start: Start) -> None:
    script = (
        "import os, pickle\n"
        "class Model:\n    pass\n"
        "def model_fn(d): return pickle.loads(pickle.dumps(Model()))\n"
        "def transform_fn(m, b, c, a): return type(m).__module__ + str(isinstance(m, Model)), 'text/plain'\n"
    )
    assert ask(start(script), b"1").body == b"inferenceTrue"


@pytest.mark.parametrize(
    ("script", "environment", "told"),
    [
        ("", {}, "has no model_fn. Please provide a model_fn(model_dir)"),
        (
            ONE,
            {"SAGEMAKER_PROGRAM": "train.py"},
            "The script 'train.py' (SAGEMAKER_PROGRAM,",
        ),
        (
            ONE + "def transform_fn(): pass\ndef input_fn(): pass\n",
            {},
            "Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn",
        ),
        ("def model_fn(:", {}, "SyntaxError"),
        ("import no_such_module_at_all", {}, "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    ],
)
def test_scripts_that_the_image_does_not_take(
    start: Start, script: str, environment: dict[str, str], told: str
) -> None:
    server = start(script, is_ready=False, environment=environment)
    assert server.process.wait(WITHIN_S) == 1
    assert told in server.log()


def test_pickled_arrays_where_the_model_allows_them(start: Start) -> None:
    script = ONE + "def predict_fn(data, model): return [data[0]['a']]\n"
    server = start(script, environment={"HOSTMAKER_ALLOW_PICKLE": "1"})
    assert ask(server, as_npy(np.array([{"a": 5}], dtype=object)), "application/x-npy").body == b"[5]"
