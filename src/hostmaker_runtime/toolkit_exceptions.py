"""Exceptions that the scikit-learn and XGBoost containers name alike."""

from typing import Optional


class BaseToolkitError(Exception):
    """An error with a message, or with that of its cause."""

    def __init__(self, message: Optional[str] = None, caused_by: Optional[BaseException] = None) -> None:
        text = message or ("unknown error occurred" if caused_by is None else str(caused_by))
        if caused_by is not None:
            text += " (caused by %s)" % type(caused_by).__name__
        self.message = text
        self.caused_by = caused_by
        super().__init__(text)


class AlgorithmError(BaseToolkitError):
    """An error of the algorithm."""


class UserError(BaseToolkitError):
    """An error of the one who uses it."""


class PlatformError(BaseToolkitError):
    """An error of the platform."""
