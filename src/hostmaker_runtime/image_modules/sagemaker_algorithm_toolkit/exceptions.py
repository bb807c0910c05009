"""Exceptions of the container."""

from hostmaker_runtime.toolkit_exceptions import AlgorithmError, BaseToolkitError, PlatformError, UserError

__all__ = ["AlgorithmError", "BaseToolkitError", "PlatformError", "UserError"]
