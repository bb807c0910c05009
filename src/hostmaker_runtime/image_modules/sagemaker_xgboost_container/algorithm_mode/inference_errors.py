"""Errors with a status."""

from sagemaker_inference.errors import BaseInferenceToolkitError


class NoContentInferenceError(BaseInferenceToolkitError):
    """An empty body."""

    def __init__(self) -> None:
        super().__init__(204, "", "")


class UnsupportedMediaTypeInferenceError(BaseInferenceToolkitError):
    """A body that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(415, message, message)


class ModelLoadInferenceError(BaseInferenceToolkitError):
    """A model that cannot be loaded."""

    def __init__(self, message: str) -> None:
        text = "Unable to load model: %s" % message
        super().__init__(500, text, text)


class BadRequestInferenceError(BaseInferenceToolkitError):
    """A body that the model cannot be asked with."""

    def __init__(self, message: str) -> None:
        text = "Unable to evaluate payload provided: %s" % message
        super().__init__(400, text, text)
