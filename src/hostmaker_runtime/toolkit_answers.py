"""Answers made of what a script's functions return, as the model servers of the inference toolkit make them.

Source: multi-model-server `otf_message_handler.create_predict_response`, sagemaker-inference `transformer`.
"""

import json
from typing import Any

from hostmaker_runtime.http_messages import Answer
from hostmaker_runtime.results import body_of, is_stream


class UnsupportedOutputError(TypeError):
    """A result that is neither text nor bytes nor something that JSON has; the model servers answer it 503."""


def answer_of(result: Any, accept: str) -> Answer:
    """Return the answer for a result: a body of the accepted type, or a pair of body and content type.

    A body that is not str or bytes is written as indented JSON. An iterator of parts is streamed. Raises
    UnsupportedOutputError for what JSON does not have, IndexError for a tuple of one, and ValueError for what cannot be
    written as HTTP.
    """
    if isinstance(result, Answer):
        return result
    body, content_type = (result[0], result[1]) if isinstance(result, tuple) else (result, accept)
    if not isinstance(body, (str, bytes, bytearray, memoryview)) and not is_stream(body):
        body = _json(body)
    return Answer(200, body_of(body), str(content_type).encode("latin-1"))


def error_document(status: int, message: str) -> Answer:
    """Return an error as the model servers write one."""
    document = {"code": status, "type": "InternalServerException", "message": message}
    return Answer(status, json.dumps(document).encode("utf-8"), b"application/json")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2)
    except TypeError as error:
        raise UnsupportedOutputError("Unsupported model output data type.") from error
