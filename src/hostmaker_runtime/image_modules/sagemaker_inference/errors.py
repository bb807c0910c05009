"""Exceptions of the toolkit."""

from hostmaker_runtime.errors import BaseInferenceToolkitError, GenericInferenceToolkitError, UnsupportedFormatError

__all__ = ["BaseInferenceToolkitError", "GenericInferenceToolkitError", "UnsupportedFormatError"]
