"""Directories and environment variables, as scripts read them."""

import os
from typing import Any, Dict, Iterator, List, Optional

from hostmaker_runtime.placeholders import TrainingOnly, names

from . import _content_types, _params

SAGEMAKER_BASE_PATH = "/opt/ml"
BASE_PATH_ENV = "SAGEMAKER_BASE_DIR"
INFO = 20  # logging's level: its import takes longer than all of this

base_dir = os.environ.get(BASE_PATH_ENV, SAGEMAKER_BASE_PATH)
model_dir = os.environ.get("SM_MODEL_DIR") or os.path.join(base_dir, "model")
code_dir = os.path.join(base_dir, "code")
input_dir = os.path.join(base_dir, "input")
input_config_dir = os.path.join(input_dir, "config")
output_dir = os.path.join(base_dir, "output")
output_data_dir = os.path.join(output_dir, "data")
output_intermediate_dir = os.path.join(output_dir, "intermediate")
HYPERPARAMETERS_FILE = "hyperparameters.json"
RESOURCE_CONFIG_FILE = "resourceconfig.json"
INPUT_DATA_CONFIG_FILE = "inputdataconfig.json"

TrainingEnv = TrainingOnly("sagemaker_containers.beta.framework.env.TrainingEnv")
globals().update(
    names(
        "sagemaker_containers.beta.framework.env", "read_hyperparameters", "read_input_data_config",
        "read_resource_config", "write_env_vars",
    )
)  # fmt: skip


class ServingEnv:
    """The variables as they are when it is made; a mapping of its attributes as well."""

    def __init__(self) -> None:
        program: Optional[str] = os.environ.get(_params.USER_PROGRAM_ENV)
        self.user_entry_point = program
        self.module_name = program[: -len(".py")] if program and program.endswith(".py") else program
        self.module_dir = os.environ.get(_params.SUBMIT_DIR_ENV, code_dir)
        self.model_dir = model_dir
        self.base_dir = base_dir
        self.current_host = os.environ.get(_params.CURRENT_HOST_ENV)
        self.log_level = int(os.environ.get(_params.LOG_LEVEL_ENV, INFO))
        self.num_cpus = num_cpus()
        self.num_gpus = num_gpus()
        self.default_accept = os.environ.get(_params.DEFAULT_INVOCATIONS_ACCEPT_ENV, _content_types.JSON)
        self.model_server_timeout = int(os.environ.get(_params.MODEL_SERVER_TIMEOUT_ENV, "60"))
        self.model_server_workers = int(os.environ.get(_params.MODEL_SERVER_WORKERS_ENV, self.num_cpus))
        self.use_nginx = os.environ.get(_params.USE_NGINX_ENV, "true").lower() in ("y", "yes", "t", "true", "on", "1")
        self.framework_module = os.environ.get(_params.FRAMEWORK_SERVING_MODULE_ENV)
        self.http_port = os.environ.get(_params.SAGEMAKER_BIND_TO_PORT_ENV, "8080")
        self.safe_port_range = os.environ.get(_params.SAGEMAKER_SAFE_PORT_RANGE_ENV)

    def properties(self) -> List[str]:
        """Return the names of its attributes."""
        return sorted(vars(self))

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.properties())

    def __len__(self) -> int:
        return len(vars(self))

    def keys(self) -> List[str]:
        """Return the names of its attributes."""
        return self.properties()

    def __str__(self) -> str:
        shown: Dict[str, Any] = dict(self)
        return str(shown)


def channel_path(channel: str) -> str:
    """Return the directory of a channel's data."""
    return os.path.join(input_dir, "data", channel)


def num_cpus() -> int:
    """Return how many CPUs there are."""
    return os.cpu_count() or 1


def num_gpus() -> int:
    """Return 0: images run on the processor here."""
    return 0
