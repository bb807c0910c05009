"""The images' serving packages: every module is found under its own name, and does what scripts ask of it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hostmaker_runtime import image_modules
from hostmaker_runtime.errors import UnsupportedFormatError
from hostmaker_runtime.http_messages import Request
from hostmaker_runtime.placeholders import NotServedError
from hostmaker_runtime.toolkit import Context

HERE = Path(image_modules.HERE)
MODULES = sorted(
    ".".join(path.relative_to(HERE).with_suffix("").parts).removesuffix(".__init__")
    for path in HERE.rglob("*.py")
    if path.parent != HERE
)


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    before = set(sys.modules)
    image_modules.install()
    yield
    sys.meta_path.remove(image_modules.Finder)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in image_modules.NAMES:
            del sys.modules[name]


def found(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_imported_by_its_name(name: str) -> None:
    assert found(name).__name__ == name


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "sagemaker_containers.beta.framework",
            "content_types encoders entry_point env errors files functions logging mapping modules mpi params process "
            "runner server trainer training_env transformer worker",
        ),
        ("sagemaker_xgboost_container.encoder", "csv_to_dmatrix libsvm_to_dmatrix recordio_protobuf_to_dmatrix decode"),
        ("sagemaker_xgboost_container.data_utils", "get_content_type get_dmatrix get_size CSV LIBSVM PARQUET"),
        ("sagemaker_xgboost_container.distributed", "Rabit rabit_run"),
        ("sagemaker_xgboost_container.checkpointing", "load_checkpoint save_checkpoint SaveCheckpointCallBack train"),
        ("sagemaker_xgboost_container.constants.xgb_content_types", "LIBSVM X_LIBSVM X_PARQUET X_RECORDIO_PROTOBUF"),
        ("sagemaker_algorithm_toolkit.exceptions", "UserError AlgorithmError PlatformError"),
        ("sagemaker_inference", "content_types decoder default_inference_handler encoder environment errors utils"),
        ("sagemaker_huggingface_inference_toolkit.decoder_encoder", "decode encode decode_json encode_json"),
        ("sagemaker_pytorch_serving_container.handler_service", "HandlerService"),
    ],
)
def test_names_that_scripts_import(module: str, names: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"from {module} import {', '.join(names.split())}", scope)
    assert set(names.split()) <= set(scope)


def test_the_environments_own_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sagemaker_inference").mkdir()
    (tmp_path / "sagemaker_inference" / "__init__.py").write_text("ORIGIN = 'theirs'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert found("sagemaker_inference").ORIGIN == "theirs"
    with pytest.raises(ModuleNotFoundError):
        found("sagemaker_inference.encoder")


def test_what_only_training_uses_says_so() -> None:
    for module, name in (
        ("sagemaker_containers", "training_env"),
        ("sagemaker_containers.entry_point", "run"),
        ("sagemaker_xgboost_container.data_utils", "get_dmatrix"),
    ):
        with pytest.raises(NotServedError, match=f"{module}.*{name}"):
            getattr(found(module), name)()
    with pytest.raises(NotServedError, match="the model server takes its place"):
        found("sagemaker_containers.beta.framework").worker.Worker()
    with pytest.raises(NotServedError, match="start_model_server is part of the image's server"):
        found("sagemaker_inference.model_server").start_model_server(handler_service="x")


def test_encoders_of_the_two_families() -> None:
    classic = found("sagemaker_containers.beta.framework").encoders
    toolkit = found("sagemaker_inference.encoder")
    assert classic.encode(["a,b"], "text/csv") == '"a,b"\n'
    assert toolkit.encode(["a,b"], "text/csv") == "a,b\n"
    assert {"application/json", "text/csv", "application/x-npy"} == toolkit.SUPPORTED_CONTENT_TYPES
    assert classic.array_to_recordio_protobuf(np.array([[1.0]]))[:4] == b"\x0a\x23\xd7\xce"
    with pytest.raises(found("sagemaker_inference.errors").UnsupportedFormatError):
        found("sagemaker_inference.decoder").decode("1", "text/plain")


def test_a_serving_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "train.py")
    monkeypatch.setenv("SM_MODEL_DIR", "/the/model")
    env = found("sagemaker_containers.beta.framework").env
    serving = env.ServingEnv()
    assert (serving.module_name, serving.model_dir, env.model_dir) == ("train", "/the/model", "/the/model")
    assert dict(serving)["default_accept"] == "application/json"
    environment = found("sagemaker_inference.environment")
    assert (environment.Environment().module_name, environment.code_dir) == ("train", "/the/model/code")


def test_mappings() -> None:
    mapping = found("sagemaker_containers.beta.framework").mapping
    assert mapping.to_cmd_args({"b": 1, "name": {"x": 2}}) == ["-b", "1", "--name", "x=2"]
    assert mapping.to_env_vars({"a": [1], "b": None, "c": "d"}) == {"SM_A": "[1]", "SM_B": "", "SM_C": "d"}
    assert mapping.split_by_criteria({"a": 1, "sm_b": 2}, prefix="sm_").included == {"sm_b": 2}
    functions = found("sagemaker_containers.beta.framework").functions
    assert functions.matching_args(lambda a, c: None, {"a": 1, "b": 2}) == {"a": 1}
    with pytest.raises(LookupError):
        functions.error_wrapper(lambda: 1 / 0, LookupError)()


@pytest.mark.parametrize(
    ("kind", "name"),
    [(None, "libsvm"), ("text/csv; charset=utf8", "csv"), ("CSV", "csv"), ("application/x-parquet", "parquet")],
)
def test_content_types_of_xgboost(kind: str | None, name: str) -> None:
    assert found("sagemaker_xgboost_container.data_utils").get_content_type(kind) == name


@pytest.mark.parametrize("kind", ["application/json", "text/csv; label_size=2", ""])
def test_content_types_that_xgboost_does_not_take(kind: str) -> None:
    data_utils, exceptions = (
        found("sagemaker_xgboost_container.data_utils"),
        found("sagemaker_algorithm_toolkit.exceptions"),
    )
    with pytest.raises(exceptions.UserError, match="is not an accepted"):
        data_utils.get_content_type(kind)


def handled(module: ModuleType, handler: type, body: bytes, monkeypatch: pytest.MonkeyPatch, **headers: str) -> Any:
    """Ask a handler service with `handler` for its defaults; returns status and the answer."""
    monkeypatch.setenv("SAGEMAKER_PROGRAM", f"{module.__name__}.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.__spec__ = SimpleNamespace()  # type: ignore[assignment]
    service_module = found("sagemaker_inference.default_handler_service")

    class Service(service_module.DefaultHandlerService):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__(transformer=found("sagemaker_inference.transformer").Transformer(handler()))

    monkeypatch.setenv("PYTHONPATH", "")
    request = Request()
    request.headers = {name.lower().encode(): value.encode() for name, value in headers.items()}
    context, service = Context("/model", request), Service()
    service.initialize(context)
    answer = service.handle([{"body": body}], context)[0]
    return context.status, answer


def test_a_handler_service_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    base = found("sagemaker_inference.default_inference_handler").DefaultInferenceHandler

    class Handler(base):  # type: ignore[misc,valid-type]
        def default_model_fn(self, model_dir: str) -> Any:
            return model_dir

        def default_predict_fn(self, data: Any, model: Any, context: Any) -> Any:
            return [model, *data.tolist()]

    script = ModuleType("own_script")
    kind = {"Content-Type": "application/json"}
    assert handled(script, Handler, b"[1]", monkeypatch, **kind) == (None, '["/model", 1]')
    script.predict_fn = lambda data, model: data * 2  # type: ignore[attr-defined]
    assert handled(script, Handler, b"[1]", monkeypatch, Accept="text/csv", **kind) == (None, "2\n")
    status, told = handled(script, Handler, b"[1]", monkeypatch)
    assert (status, told.split("\n")[0]) == (500, "Content type None is not supported by this framework.")
    script.transform_fn = lambda *a: ""  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="in conjunction with"):
        handled(script, Handler, b"[1]", monkeypatch, **kind)


def test_decoders_of_the_hugging_face_image() -> None:
    module = found("sagemaker_huggingface_inference_toolkit.decoder_encoder")
    assert module.decode('{"inputs": "a"}', "application/json") == {"inputs": "a"}
    assert module.decode("inputs\na\nb\n", "text/csv") == {"inputs": ["a", "b"]}
    assert module.decode("question,context\na,b\n", "text/csv") == {"inputs": [{"question": "a", "context": "b"}]}
    with pytest.raises(found("mms.service").PredictionException, match="Header columns.* : 400"):
        module.decode("x\na\n", "text/csv")
    assert module.encode([{"a": np.float32(0.5)}], "application/json") == '[{"a":0.5}]'
    assert module.encode([{"a": 1}], "text/csv") == "a\r\n1\r\n"
    with pytest.raises(UnsupportedFormatError):
        module.encode([], "a/b")
    assert json.loads(module.encode_json({"a": "é"})) == {"a": "é"}
