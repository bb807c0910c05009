"""The HuggingFace image: a pipeline over the model directory, or over a model of the hub (HF_MODEL_ID); or a script.

`HF_TASK` names the task; without it, it follows from the architecture in `config.json`. Whatever is raised is answered
400, as the image does: {"code": 400, "type": "InternalServerException", "message": ...}.
"""

import csv
import datetime
import io
import json
import os
import threading
from typing import Any, Dict, List, Optional

from hostmaker_runtime import formats
from hostmaker_runtime.formats import UnsupportedFormatError
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.script import code_directory, import_script_if_there
from hostmaker_runtime.toolkit import Framework, Handler

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
HEADERS = ("question", "context", "inputs")
IMAGES = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/webp", "image/x-image")
SOUNDS = ("audio/x-flac", "audio/mpeg", "audio/wave", "audio/ogg", "audio/x-audio")


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
        """Give the answer for what was raised."""
        document = {"code": 400, "type": "InternalServerException", "message": str(error)}
        return Answer(400, json.dumps(document).encode("utf-8"), formats.JSON.encode())


class HuggingFace(Framework):
    """The image's defaults, on the processor."""

    def model_fn(self, model_dir: str) -> Any:
        """Make a pipeline; raises ValueError when its task cannot be told."""
        from transformers import pipeline

        named = os.environ.get("HF_MODEL_ID")
        options: Dict[str, Any] = {"device": -1}
        if named:
            options["revision"] = os.environ.get("HF_MODEL_REVISION") or None
            options["token"] = os.environ.get("HF_API_TOKEN") or os.environ.get("HF_TOKEN") or None
        if os.environ.get("HF_TRUST_REMOTE_CODE", "").lower() in ("1", "true", "yes", "on", "y", "t"):
            options["trust_remote_code"] = True
        model = named or model_dir
        task = os.environ.get("HF_TASK") or (None if named else _task(model_dir))
        if task is not None:
            options["feature_extractor" if task in WITH_FEATURES else "tokenizer"] = model
        return pipeline(task=task, model=model, **options)

    def input_fn(self, content: Any, content_type: Optional[str]) -> Any:
        """Decode JSON, CSV with a header, npy, images and sounds."""
        if content_type == formats.JSON:
            return json.loads(content)
        if content_type == formats.CSV:
            return _decode_csv(content)
        if content_type == formats.NPY:
            return formats.npy_to_numpy(content)
        if content_type in IMAGES:
            from PIL import Image

            return {"inputs": Image.open(io.BytesIO(content)).convert("RGB")}
        if content_type in SOUNDS:
            return {"inputs": bytes(content)}
        raise UnsupportedFormatError(str(content_type))

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the pipeline with `inputs` and, where there are any, `parameters`."""
        inputs, parameters = data.pop("inputs", data), data.pop("parameters", None)
        return model(inputs, **parameters) if parameters is not None else model(inputs)

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """Encode as JSON, CSV, npy or an image."""
        if accept == formats.JSON:
            text = json.dumps(prediction, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
            return text, accept
        if accept == formats.CSV:
            return _encode_csv(prediction), accept
        if accept == formats.NPY:
            return formats.array_to_npy(prediction), accept
        if accept in IMAGES:
            kind = "PNG" if accept == "image/x-image" else accept.rpartition("/")[2].upper()
            return _image(prediction, kind), accept
        raise UnsupportedFormatError(accept)


def _task(model_dir: str) -> str:
    path = os.path.join(model_dir, "config.json")
    if not os.path.isfile(path):
        raise ValueError("There is no config.json in the model data: name the task in HF_TASK, or give a model_fn.")
    with open(path, encoding="utf-8") as file:
        architecture = str((json.load(file).get("architectures") or [""])[0])
    for ending, task in TASK_OF_ARCHITECTURE:
        if architecture.endswith(ending):
            return task
    raise ValueError("The task cannot be told from the architecture %r: name it in HF_TASK." % architecture)


def _decode_csv(text: str) -> Dict[str, Any]:
    task = os.environ.get("HF_TASK", "")
    if task in WITHOUT_CSV:
        raise ValueError("content type %s not support with %s, use different content_type" % (formats.CSV, task))
    first = (text.splitlines() or [""])[0].lower()
    if not any(name in first for name in HEADERS):
        raise ValueError(
            "You need to provide the correct CSV with Header columns to use it with the inference toolkit default "
            "handler."
        )
    rows = list(csv.DictReader(io.StringIO(text)))
    if rows and "inputs" in rows[0]:
        return {"inputs": [row["inputs"] for row in rows]}
    return {"inputs": rows}


def _encode_csv(prediction: Any) -> str:
    rows: List[Dict[str, Any]] = prediction if isinstance(prediction, list) else list(prediction)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Give what JSON can write of numpy's values, times and images."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return str(value)
    if hasattr(value, "save") and hasattr(value, "tobytes"):
        import base64

        return base64.b64encode(_image(value, "PNG")).decode("ascii")
    raise TypeError("%s cannot be written as JSON" % type(value).__name__)


def _image(image: Any, kind: str) -> bytes:
    with io.BytesIO() as stream:
        image.save(stream, format=kind)
        return stream.getvalue()
