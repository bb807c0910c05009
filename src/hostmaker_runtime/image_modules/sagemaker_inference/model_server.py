"""Starting a model server is the platform's work here."""

from typing import Any, NoReturn

from .environment import code_dir

__all__ = ["code_dir", "start_model_server"]


def start_model_server(*arguments: Any, **options: Any) -> NoReturn:
    """Raise NotImplementedError."""
    raise NotImplementedError(
        "start_model_server starts multi-model-server, a Java program that is not in this environment: serve the "
        "handler with an image of the inference toolkit, or install sagemaker-inference and multi-model-server."
    )
