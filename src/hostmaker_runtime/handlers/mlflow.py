"""MLflow's own container: any model with a pyfunc flavour, asked by the scoring code of the MLflow it needs."""

import os
from typing import Any

from hostmaker_runtime import journal
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.http_server import Routes

FLAVOUR = "python_function"
JSON = b"application/json"


def load(model_dir: str) -> "Handler":
    """Load the model; raises whatever MLflow raises, and ValueError for a flavour that is not served."""
    named = os.environ.get("MLFLOW_DEPLOYMENT_FLAVOR_NAME", FLAVOUR)
    if named != FLAVOUR:
        raise ValueError("MLFLOW_DEPLOYMENT_FLAVOR_NAME is %r; what is served is %s." % (named, FLAVOUR))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.pyfunc import load_model, scoring_server

    model = load_model(model_dir)
    print("[hostmaker-runtime] MLflow %s: %s" % (mlflow.__version__, ", ".join(model.metadata.flavors)), flush=True)
    ask = getattr(scoring_server, "invocations", None)
    schema = model.metadata.get_input_schema()
    if ask is not None:
        return Handler(lambda body, content_type: _asked(ask(body, content_type, model, schema)), mlflow.__version__)
    application = scoring_server.init(model)  # older releases have the same inside a Flask application only
    return Handler(lambda body, content_type: _asked_by_flask(application, body, content_type), mlflow.__version__)


class Handler:
    """A loaded model; called in several threads at once. `ask` takes a body and its content type."""

    def __init__(self, ask: Any, version: str) -> None:
        self._ask = ask
        self._version = version.encode("utf-8")

    def routes(self) -> Routes:
        """Give what is answered, by method and path."""
        return {
            (b"POST", b"/invocations"): self.invoke,
            (b"GET", b"/health"): lambda request: Answer(200, b"\n", JSON),
            (b"GET", b"/version"): lambda request: Answer(200, self._version, JSON),
        }

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation; raises what MLflow raises."""
        answer: Answer = self._ask(request.body, request.header(b"content-type"))
        return answer

    def failure(self, error: BaseException) -> Answer:
        """Give the answer that MLflow has for its own exceptions, else 500."""
        if hasattr(error, "serialize_as_json") and hasattr(error, "get_http_status_code"):
            return Answer(int(error.get_http_status_code()), error.serialize_as_json().encode("utf-8"), JSON)
        return Answer(500, journal.traceback_of(error).encode("utf-8", "replace"), b"text/plain")


def _asked(result: Any) -> Answer:
    body = result.response
    return Answer(
        int(result.status), body.encode("utf-8") if isinstance(body, str) else bytes(body), result.mimetype.encode()
    )


def _asked_by_flask(application: Any, body: bytes, content_type: str) -> Answer:
    result = application.test_client().post("/invocations", data=body, content_type=content_type)
    return Answer(int(result.status_code), result.data, str(result.content_type).encode())
