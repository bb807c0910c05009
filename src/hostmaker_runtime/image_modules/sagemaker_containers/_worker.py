"""Answers of a script. The Flask application itself is not there: the model server takes its place."""

from hostmaker_runtime.flask_answers import Response
from hostmaker_runtime.placeholders import ServerOnly

Worker = ServerOnly("sagemaker_containers.beta.framework.worker.Worker")
Request = ServerOnly("sagemaker_containers.beta.framework.worker.Request")

__all__ = ["Request", "Response", "Worker", "default_healthcheck_fn"]


def default_healthcheck_fn() -> Response:
    """Return an empty answer."""
    return Response(status=200)
