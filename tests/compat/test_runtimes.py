"""The large frameworks serve true models, made by the very environment that serves them, and answer as there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import Server
from tests.integration.test_runtimes import ask, deploy, python_of

pytestmark = pytest.mark.timeout(900)  # the first run installs the frameworks
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.13.0-cpu-py311"
HUGGING_FACE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:2.13.0-transformers5.24.0-cpu-py311"
)
MLFLOW = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-pyfunc:3.17.2"


def made_by(image: str, script: str, folder: Path, *further: str) -> dict[str, bytes]:
    """Run a script with the Python that serves an image; gives the files of `model/` that it has made."""
    subprocess.run([python_of(image), "-c", script, *further], cwd=folder, check=True, capture_output=True)
    model = folder / "model"
    return {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}


NETWORK = """
import json, os, torch
os.mkdir("model")
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
torch.jit.script(net).save("model/net.pth")
torch.save(net.state_dict(), "weights.pt")
json.dump(net(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist(), open("told.json", "w"))
"""
SCRIPT = """
import os, torch
def model_fn(model_dir, context):
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    net.load_state_dict(torch.load(os.path.join(model_dir, "weights.pt"), weights_only=True))
    return net.eval()
"""


def test_pytorch(server: Server, tmp_path: Path) -> None:
    files = made_by(PYTORCH, NETWORK, tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    deploy(server, "torchscript", PYTORCH, files)
    for body, kind in ((b"[[1, 2], [3, 4]]", "application/json"), (b"1,2\n3,4", "text/csv")):
        status, answered, predictions = ask(server, "torchscript", body, kind)
        assert (status, answered) == (200, "application/json")
        assert json.loads(predictions) == [[pytest.approx(value, rel=1e-5) for value in row] for row in told]
    csv = ask(server, "torchscript", b"1,2\n3,4", "text/csv", "text/csv")
    assert [float(line) for line in csv[2].splitlines()] == pytest.approx([row[0] for row in told], rel=1e-5)
    assert ask(server, "torchscript", b"x", "text/plain")[0] == 500

    weights = {"weights.pt": (tmp_path / "weights.pt").read_bytes(), "code/inference.py": SCRIPT}
    deploy(server, "torch-script-mode", PYTORCH, weights, {"SAGEMAKER_PROGRAM": "inference.py"})
    answer = ask(server, "torch-script-mode", b"[[1, 2], [3, 4]]", "application/json")
    assert json.loads(answer[2])[0] == pytest.approx(told[0], rel=1e-5)

    with pytest.raises(AssertionError, match="ping health check") as caught:
        deploy(server, "torch-weights", PYTORCH, {"model.pt": (tmp_path / "weights.pt").read_bytes()})
    assert "saved using torchscript" in str(caught.value)


TRANSFORMER = """
import json, os, torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, pipeline
os.mkdir("model")
open("vocab.txt", "w").write("\\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a"]))
torch.manual_seed(1)
config = BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
BertForSequenceClassification(config).save_pretrained("model")
BertTokenizerFast("vocab.txt").save_pretrained("model")
asked = pipeline("text-classification", model="model", tokenizer="model")
json.dump([asked("a good film"), asked(["a good film", "bad"]), asked("bad", top_k=2)], open("told.json", "w"))
"""


def test_hugging_face(server: Server, tmp_path: Path) -> None:
    files = made_by(HUGGING_FACE, TRANSFORMER, tmp_path)
    one, both, top = json.loads((tmp_path / "told.json").read_text())
    deploy(server, "transformer", HUGGING_FACE, files)

    def answered(body: bytes, kind: str = "application/json") -> list[tuple[str, float]]:
        status, _, answer = ask(server, "transformer", body, kind)
        assert status == 200, answer
        return [(each["label"], pytest.approx(each["score"], rel=1e-4)) for each in json.loads(answer)]

    def named(told: list[dict[str, float | str]]) -> list[tuple[float | str, float | str]]:
        return [(each["label"], each["score"]) for each in told]

    assert answered(b'{"inputs": "a good film"}') == named(one)
    assert answered(b"inputs\na good film\nbad\n", "text/csv") == named(both)
    assert answered(b'{"inputs": "bad", "parameters": {"top_k": 2}}') == named(top)
    status, _, message = ask(server, "transformer", b"x", "text/plain")
    assert (status, json.loads(message)["code"], json.loads(message)["type"]) == (400, 400, "InternalServerException")
    assert ask(server, "transformer", b"no header\nx\n", "text/csv")[0] == 400

    with pytest.raises(AssertionError, match="ping health check") as caught:
        deploy(server, "no-task", HUGGING_FACE, {"model.safetensors": files["model.safetensors"]})
    assert "HF_TASK" in str(caught.value)


PYFUNC = """
import mlflow, pandas
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ((model_input["a"] + model_input["b"]) * (params or {}).get("times", 1)).tolist()
rows = pandas.DataFrame({"a": [1.0], "b": [2.0]})
signature = mlflow.models.infer_signature(rows, [3.0], {"times": 1})
mlflow.pyfunc.save_model("model", python_model=Sum(), signature=signature, pip_requirements=["mlflow==3.17.2", "yarl"])
"""


def test_mlflow(server: Server, tmp_path: Path) -> None:
    deploy(server, "pyfunc", MLFLOW, made_by(MLFLOW, PYFUNC, tmp_path))

    def answered(body: str, kind: str = "application/json") -> tuple[int, object]:
        status, _, answer = ask(server, "pyfunc", body.encode(), kind)
        return status, json.loads(answer)["predictions"] if status == 200 else answer

    assert answered('{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}') == (200, [3.0, 7.0])
    assert answered('{"dataframe_records": [{"a": 1.0, "b": 2.0}]}', "application/json; charset=utf-8") == (200, [3.0])
    assert answered('{"instances": [{"a": 1.0, "b": 2.0}], "params": {"times": 3}}') == (200, [9.0])
    assert answered('{"inputs": {"a": [1.0], "b": [2.0]}}') == (200, [3.0])
    assert answered("a,b\n1,2\n", "text/csv") == (200, [3.0])
    for body in (
        "[1, 2]",
        "{",
        '{"instances": [], "inputs": []}',
        '{"dataframe_split": {"columns": ["x"], "data": [[1]]}}',
    ):
        status, message = answered(body)
        assert (status, b"error_code" in message) == (400, True)  # type: ignore[operator]
    assert answered("x", "text/plain")[0] == 415
    assert answered("a,b\n1,2\n", "text/csv; header=present")[0] == 415
