"""`hostmaker/python`: any Python with any requirements. Scripts as for the toolkit images, with plainer defaults.

JSON is decoded to what it is in Python and text to a string; whatever else comes is bytes. The model is called with it:
its `predict`, or itself. An answer is JSON unless it is a string or bytes already.
"""

import json
from typing import Any, Optional

from hostmaker_runtime import formats
from hostmaker_runtime.toolkit import Framework, Handler, load_toolkit

TEXT = "text/plain"
OCTET_STREAM = formats.OCTET_STREAM


def load(model_dir: str) -> Handler:
    """Import the script and load the model; raises whatever they raise."""
    return load_toolkit(model_dir, Plain())


class Plain(Framework):
    """Defaults that need no package at all."""

    def input_fn(self, content: Any, content_type: Optional[str]) -> Any:
        """Decode JSON and text."""
        name, _, parameters = (content_type or "").partition(";")
        if name.strip().lower() == formats.JSON:
            return json.loads(content)
        if name.strip().lower().startswith("text/") and isinstance(content, bytes):
            charset = parameters.partition("charset=")[2].strip(" \"'") or "utf-8"
            return content.decode(charset)
        return content

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Call the model's `predict`, or the model."""
        return model.predict(data) if hasattr(model, "predict") else model(data)

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """Pass strings and bytes on as they are; write anything else as JSON, whatever is accepted."""
        if isinstance(prediction, str):
            return prediction, TEXT
        if isinstance(prediction, (bytes, bytearray, memoryview)):
            return bytes(prediction), OCTET_STREAM
        return formats.array_to_json(prediction), formats.JSON
