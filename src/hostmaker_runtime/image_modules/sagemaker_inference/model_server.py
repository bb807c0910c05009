"""Starting a model server is the platform's work here."""

from hostmaker_runtime.placeholders import ServerOnly

from .environment import code_dir

start_model_server = ServerOnly("sagemaker_inference.model_server.start_model_server")

__all__ = ["code_dir", "start_model_server"]
