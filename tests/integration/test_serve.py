"""`hostmaker serve PATH`: from a file or a directory to an endpoint that answers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from .conftest import HOSTMAKER, Server

pytestmark = pytest.mark.integration
SCRIPT = """
def model_fn(model_dir): return lambda data: {"length": len(data), "version": VERSION}
VERSION = 1
"""


def serve(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HOSTMAKER, "serve", *words], capture_output=True, text=True, timeout=180, check=False)


def project(folder: Path, script: str = SCRIPT) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "inference.py").write_text(script)
    return folder


def ask(server: Server, endpoint: str) -> bytes:
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=b"[[1, 2], [3, 4]]")
    body: bytes = answer["Body"].read()
    return body


def test_a_server_is_started_where_none_runs(tmp_path: Path) -> None:
    told = serve(project(tmp_path / "my_model"), "--data-dir", tmp_path / "data", "--port", "0", "--once")
    assert told.returncode == 0, told.stderr
    assert "hostmaker/python: inference.py imports no framework" in told.stderr
    assert "my-model is in service" in told.stdout
    assert "/endpoints/my-model/invocations" in told.stdout
    assert not (tmp_path / "data" / "ready.json").exists()


def test_a_directory_and_what_comes_after_it(server: Server, tmp_path: Path) -> None:
    folder = project(tmp_path / "served")
    words = (folder, "--data-dir", server.data_dir, "--name", "served-project", "--env", "A=b")
    assert serve(*words).returncode == 0
    assert json.loads(ask(server, "served-project")) == {"length": 2, "version": 1}
    model = server.client("sagemaker").list_models(NameContains="served-project")["Models"][0]["ModelName"]
    described = server.client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
    assert (described["Image"], described["Environment"]["A"]) == ("hostmaker/python", "b")

    project(folder, SCRIPT.replace("VERSION = 1", "VERSION = 2"))
    assert serve(*words, "--instances", "2").returncode == 0
    assert json.loads(ask(server, "served-project"))["version"] == 2

    project(folder, "raise RuntimeError('it cannot be loaded')")
    broken = serve(*words)
    assert broken.returncode == 1
    assert "back at what it served before" in broken.stderr
    assert "it cannot be loaded" in broken.stderr
    assert json.loads(ask(server, "served-project"))["version"] == 2


def test_a_single_file(server: Server, tmp_path: Path) -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    joblib.dump(LinearRegression().fit(rows, rows @ [2.0, 3.0] + 1.0), tmp_path / "linear.joblib")
    told = serve(tmp_path / "linear.joblib", "--data-dir", server.data_dir, "--image", "sagemaker-scikit-learn:1.2-1")
    assert told.returncode == 1  # an image that is named is taken as it is, and this one wants a script
    assert "no such" in told.stderr.lower() or "is not in" in told.stderr
    told = serve(tmp_path / "linear.joblib", "--data-dir", server.data_dir)
    assert told.returncode == 0, told.stderr
    assert json.loads(ask(server, "linear")) == pytest.approx([9.0, 19.0])


def test_what_cannot_be_served_says_why(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    told = serve(tmp_path / "notes.txt", "--data-dir", tmp_path / "data")
    assert told.returncode == 1
    assert "no file of a known kind" in told.stderr
    assert not (tmp_path / "data").exists()
