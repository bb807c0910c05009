"""The PyTorch image: without a `model_fn` it loads TorchScript; data are tensors."""

import os
from typing import Any, Optional

from hostmaker_runtime import formats, toolkit_formats
from hostmaker_runtime.toolkit import Framework, Handler, load_toolkit

MODEL_FILE = "model.pt"
ENDINGS = (".pt", ".pth")


def load(model_dir: str) -> Handler:
    """Import the script and load the model; raises whatever they raise."""
    return load_toolkit(model_dir, PyTorch())


class ModelLoadError(Exception):
    """The file is no TorchScript."""


class PyTorch(Framework):
    """The image's defaults, on the processor."""

    def model_fn(self, model_dir: str) -> Any:
        """Load `model.pt`, else the only file that ends like it; raises ValueError and ModelLoadError."""
        import torch

        path = os.path.join(model_dir, MODEL_FILE)
        if not os.path.exists(path):
            names = [name for name in sorted(os.listdir(model_dir)) if name.endswith(ENDINGS)]
            if len(names) != 1:
                raise ValueError("Exactly one .pth or .pt file is required for PyTorch models: %s" % names)
            path = os.path.join(model_dir, names[0])
        try:
            model = torch.jit.load(path, map_location="cpu")
        except RuntimeError as error:
            raise ModelLoadError(
                "Failed to load %s. Please ensure model is saved using torchscript, or give a model_fn." % path
            ) from error
        return model.eval()

    def input_fn(self, content: Any, content_type: Optional[str]) -> Any:
        """Decode to a tensor: of 32 bits from JSON and CSV, of its own type from npy."""
        import torch

        array = super().input_fn(content, content_type)
        return torch.FloatTensor(array) if content_type in formats.UTF8_TYPES else torch.from_numpy(array)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the model, without gradients."""
        import torch

        if hasattr(model, "eval"):
            model.eval()
        with torch.no_grad():
            return model(data)

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """Encode a tensor, or whatever else the encoders know; the answer's type is the whole Accept header."""
        import torch

        if isinstance(prediction, torch.Tensor):
            prediction = prediction.detach().cpu().numpy().tolist()
        return toolkit_formats.encode(prediction, toolkit_formats.choose(accept))
