"""Answers made of what a script's functions return, as the Flask application of the classic images makes them.

Source: werkzeug `get_content_type` (the same in 0.15 to 3.1), sagemaker-containers 2.8.6 `_worker` and `_transformer`.
"""

import json
from typing import Any, Dict, Optional

from hostmaker_runtime import formats
from hostmaker_runtime.http_messages import Answer
from hostmaker_runtime.results import body_of, is_stream, returned_headers

HTML = "text/html"  # what Flask takes a plain text for
TEXT_TYPES = (
    "application/ecmascript", "application/javascript", "application/sql", "application/xml", "application/xml-dtd",
    "application/xml-external-parsed-entity",
)  # fmt: skip


class Response:
    """What `worker.Response` is to a script: a Flask response that is JSON unless it says otherwise.

    The second argument is ignored in the images, too.
    """

    def __init__(
        self,
        response: Any = None,
        accept: Optional[str] = None,
        status: Any = None,
        headers: Any = None,
        mimetype: Optional[str] = None,
        direct_passthrough: bool = False,
    ) -> None:
        self.response = response
        self.status_code = int(str(status).split(" ")[0]) if status is not None else 200  # "404 NOT FOUND" as well
        self.headers: Dict[str, str] = dict(headers or {})
        named = [name for name in self.headers if name.lower() == "content-type"]
        if mimetype is not None or not named:
            for name in named:
                del self.headers[name]
            self.headers["Content-Type"] = with_charset(formats.JSON if mimetype is None else mimetype)

    @property
    def content_type(self) -> str:
        """The content type with its parameters."""
        return next(value for name, value in self.headers.items() if name.lower() == "content-type")

    @property
    def mimetype(self) -> str:
        """The content type without parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def data(self) -> bytes:
        """The whole body."""
        body = body_of(self.response)
        return body if isinstance(body, bytes) else b"".join(body)


def with_charset(mimetype: str) -> str:
    """Return the content type that Flask makes of a type: text gets `; charset=utf-8`, whatever it says itself."""
    if mimetype.startswith("text/") or mimetype in TEXT_TYPES or mimetype.endswith("+xml"):
        return mimetype + "; charset=utf-8"
    return mimetype


def answer_of(result: Any, accept: str) -> Answer:
    """Return the answer for a result: a Response, a pair of body and content type, an object for JSON, or a text.

    A generator is streamed as the accepted type. Raises TypeError for anything else, IndexError for a tuple of one, and
    ValueError for what cannot be written as HTTP.
    """
    if isinstance(result, Answer):
        return result
    if isinstance(result, tuple):
        return _answer_of_response(Response(result[0], mimetype=result[1]))
    if hasattr(result, "status_code") and hasattr(result, "response"):
        return _answer_of_response(result)
    if isinstance(result, dict):
        text = json.dumps(result, sort_keys=True, separators=(",", ":")) + "\n"
        return Answer(200, text.encode("utf-8"), formats.JSON.encode())
    if isinstance(result, (str, bytes, bytearray)):
        return _answer_of_response(Response(result, mimetype=HTML))
    if is_stream(result):
        return _answer_of_response(Response(result, mimetype=accept))
    raise TypeError(
        "the function returned %s: an answer is a Response, a pair of body and content type, a dict, str or bytes"
        % ("nothing" if result is None else type(result).__name__)
    )


def _answer_of_response(response: Any) -> Answer:
    """Read a `worker.Response`, ours or a true Flask one."""
    headers: Dict[str, str] = {str(name): str(value) for name, value in dict(response.headers).items()}
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return Answer(
        int(response.status_code),
        body_of(response.response),
        content_type.encode("latin-1"),
        returned_headers(headers),
    )
