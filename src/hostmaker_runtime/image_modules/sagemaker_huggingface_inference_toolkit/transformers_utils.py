"""Tasks and pipelines."""

import os
from typing import Any

from hostmaker_runtime.handlers import huggingface

ARCHITECTURES_2_TASK = dict(huggingface.TASK_OF_ARCHITECTURE)
HF_API_TOKEN = os.environ.get("HF_API_TOKEN")
HF_MODEL_REVISION = os.environ.get("HF_MODEL_REVISION")


def is_aws_neuron_available() -> bool:
    """Whether there is AWS Neuron: never here."""
    return False


def infer_task_from_model_architecture(model_config_path: str, architecture_index: int = 0) -> str:
    """Return the task of the architecture in a `config.json`; raises ValueError when it cannot be told."""
    task = huggingface.task_of(model_config_path, architecture_index)
    os.environ["HF_TASK"] = task
    return task


def get_pipeline(task: str, device: int, model_dir: str, **kwargs: Any) -> Any:
    """Return the pipeline of a task over a model directory."""
    return huggingface.pipeline_of(task, model_dir, device=device, **kwargs)
