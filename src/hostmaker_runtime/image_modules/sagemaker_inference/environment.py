"""What the environment variables of the toolkit say."""

import os
from typing import Optional

from . import content_types, parameters

DEFAULT_MODULE_NAME = "inference.py"
DEFAULT_MODEL_SERVER_TIMEOUT = "60"
DEFAULT_STARTUP_TIMEOUT = "600"
DEFAULT_HTTP_PORT = "8080"
DEFAULT_VMARGS = "-XX:-UseContainerSupport"
DEFAULT_MAX_REQUEST_SIZE = None
SAGEMAKER_BASE_PATH = "/opt/ml"

base_dir = os.environ.get(parameters.BASE_PATH_ENV, SAGEMAKER_BASE_PATH)
model_dir = os.environ.get("SM_MODEL_DIR") or os.path.join(base_dir, "model")
code_dir = os.path.join(model_dir, "code")


class Environment:
    """The variables as they are when it is made; `model_server_timeout` and `startup_timeout` are in seconds."""

    def __init__(self) -> None:
        named = os.environ.get(parameters.USER_PROGRAM_ENV, DEFAULT_MODULE_NAME)
        self.module_name = named[: -len(".py")] if named.endswith(".py") else named
        self.model_server_timeout = _whole(parameters.MODEL_SERVER_TIMEOUT_ENV, DEFAULT_MODEL_SERVER_TIMEOUT)
        seconds = os.environ.get(parameters.MODEL_SERVER_TIMEOUT_SECONDS_ENV)
        self.model_server_timeout_seconds = None if seconds is None else int(seconds)
        self.model_server_workers = os.environ.get(parameters.MODEL_SERVER_WORKERS_ENV)
        self.startup_timeout = _whole(parameters.STARTUP_TIMEOUT_ENV, DEFAULT_STARTUP_TIMEOUT)
        self.default_accept = os.environ.get(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV, content_types.JSON)
        self.inference_http_port = os.environ.get(parameters.BIND_TO_PORT_ENV, DEFAULT_HTTP_PORT)
        self.management_http_port = self.inference_http_port
        self.safe_port_range = os.environ.get(parameters.SAFE_PORT_RANGE_ENV)
        self.vmargs = os.environ.get(parameters.MODEL_SERVER_VMARGS, DEFAULT_VMARGS)

    @property
    def max_request_size(self) -> Optional[int]:
        """The most bytes of a request; None without a limit."""
        megabytes = os.environ.get(parameters.MAX_REQUEST_SIZE)
        return None if megabytes is None else int(megabytes) * 1024 * 1024


def _whole(name: str, default: str) -> int:
    return int(os.environ.get(name, default))
