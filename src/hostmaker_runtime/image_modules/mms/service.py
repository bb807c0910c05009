"""The exception by which a handler chooses a status."""

from hostmaker_runtime.errors import PredictionException

__all__ = ["PredictionException"]
