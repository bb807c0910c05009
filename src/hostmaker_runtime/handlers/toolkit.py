"""Images of the SageMaker inference toolkit without a framework's defaults: the script has `model_fn`, `predict_fn`."""

from hostmaker_runtime.toolkit import Framework, Handler, load_toolkit


def load(model_dir: str) -> Handler:
    """Import the script and load the model; raises whatever they raise."""
    return load_toolkit(model_dir, Framework())
