"""The HuggingFace image: a pipeline over the model directory, or over a model of the hub (HF_MODEL_ID); or a script.

`HF_TASK` names the task; without it, it follows from the architecture in `config.json`. Whatever is raised is answered
400, as the image does: {"code": 400, "type": "InternalServerException", "message": ...}.
"""

import json
import os
import threading
from typing import Any, Dict, Optional

from hostmaker_runtime import formats, huggingface_formats
from hostmaker_runtime.errors import PredictionException
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.script import code_directory, import_script_if_there
from hostmaker_runtime.toolkit import Framework, Handler
from hostmaker_runtime.toolkit_answers import UnsupportedOutputError, error_document

TASK_OF_ARCHITECTURE = (  # by how its name ends; the first that fits
    ("TapasForQuestionAnswering", "table-question-answering"),
    ("ForQuestionAnswering", "question-answering"),
    ("ForTokenClassification", "token-classification"),
    ("ForSequenceClassification", "text-classification"),
    ("ForMultipleChoice", "multiple-choice"),
    ("ForMaskedLM", "fill-mask"),
    ("ForCausalLM", "text-generation"),
    ("ForConditionalGeneration", "text2text-generation"),
    ("MTModel", "text2text-generation"),
    ("EncoderDecoderModel", "text2text-generation"),
    ("GPT2LMHeadModel", "text-generation"),
    ("T5WithLMHeadModel", "text2text-generation"),
)
WITHOUT_CSV = ("zero-shot-classification", "table-question-answering")
WITH_FEATURES = (
    "automatic-speech-recognition", "image-segmentation", "image-classification", "audio-classification",
    "object-detection", "zero-shot-image-classification",
)  # fmt: skip


def load(model_dir: str) -> "HuggingFaceHandler":
    """Import the script, if there is one, and load the model; raises whatever they raise."""
    handler = HuggingFaceHandler(model_dir, import_script_if_there(code_directory(model_dir)), HuggingFace())
    handler.load_model()
    return handler


class HuggingFaceHandler(Handler):
    """Answers one request at a time: tokenizers and pipelines may not be used by several threads at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._turn = threading.Lock()
        self._default_accept = formats.JSON

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation; raises what the script or the pipeline raises."""
        with self._turn:
            return super().invoke(request)

    def failure(self, error: BaseException) -> Answer:
        """Return the answer for what was raised."""
        if isinstance(error, UnsupportedOutputError):
            return super().failure(error)
        return error_document(400, str(error))

    def _answer(self, *arguments: Any) -> Any:
        """Return what the functions make of a request; a pair is a list to this image, not a body and its type."""
        result = super()._answer(*arguments)
        return list(result) if isinstance(result, tuple) else result


class HuggingFace(Framework):
    """The image's defaults, on the processor."""

    def model_fn(self, model_dir: str) -> Any:
        """Make a pipeline; raises ValueError when its task cannot be told."""
        named = os.environ.get("HF_MODEL_ID")
        options: Dict[str, Any] = {"device": -1}
        if named:
            options["revision"] = os.environ.get("HF_MODEL_REVISION") or None
            options["token"] = os.environ.get("HF_API_TOKEN") or os.environ.get("HF_TOKEN") or None
        if os.environ.get("HF_TRUST_REMOTE_CODE", "").lower() in ("1", "true", "yes", "on", "y", "t"):
            options["trust_remote_code"] = True
        task = os.environ.get("HF_TASK") or (None if named else _task(model_dir))
        return pipeline_of(task, named or model_dir, **options)

    def input_fn(self, content: Any, content_type: Optional[str]) -> Any:
        """Decode JSON, CSV with a header, npy, images and sounds."""
        task = os.environ.get("HF_TASK", "")
        if task in WITHOUT_CSV and content_type == formats.CSV:
            raise PredictionException(
                "content type %s not support with %s, use different content_type" % (content_type, task), 400
            )
        return huggingface_formats.decode(content, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the pipeline with `inputs` and, where there are any, `parameters`."""
        inputs, parameters = data.pop("inputs", data), data.pop("parameters", None)
        return model(inputs, **parameters) if parameters is not None else model(inputs)

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """Encode as JSON, CSV, npy or an image."""
        return huggingface_formats.encode(prediction, accept)


def pipeline_of(task: Optional[str], model: str, **options: Any) -> Any:
    """Return the pipeline of a task over a directory or a model of the hub, with its tokenizer or feature extractor."""
    from transformers import pipeline

    if task is not None:
        options["feature_extractor" if task in WITH_FEATURES else "tokenizer"] = model
    return pipeline(task=task, model=model, **options)


def task_of(config_path: str, index: int = 0) -> str:
    """Return the task of the architecture in a `config.json`; raises ValueError when it cannot be told."""
    with open(config_path, encoding="utf-8") as file:
        architecture = str((json.load(file).get("architectures") or [""])[index])
    for ending, task in TASK_OF_ARCHITECTURE:
        if architecture.endswith(ending):
            return task
    raise ValueError("The task cannot be told from the architecture %r: name it in HF_TASK." % architecture)


def _task(model_dir: str) -> str:
    path = os.path.join(model_dir, "config.json")
    if not os.path.isfile(path):
        raise ValueError("There is no config.json in the model data: name the task in HF_TASK, or give a model_fn.")
    return task_of(path)
