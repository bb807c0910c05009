"""Errors that are the caller's: the API's code and status, and a message that says what was asked, is, and is allowed.

They are raised where the rule is and turned into bytes only by `hostmaker.wire`.
"""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """An answer other than success. `members` are further members of the modelled error shape."""

    code = "InternalFailure"
    status = 500

    def __init__(self, message: str, members: Mapping[str, str | int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.members = dict(members or {})


class ValidationException(ApiError):
    """A management request that breaks a rule (code of the SageMaker control plane; not modelled there)."""

    code, status = "ValidationException", 400


class ValidationError(ApiError):
    """An invocation, or a Query-protocol request, that breaks a rule."""

    code, status = "ValidationError", 400


class UnknownOperationException(ApiError):
    """An operation that is not served here; the message names it."""

    code, status = "UnknownOperationException", 400


class SerializationException(ApiError):
    """A body that is not of the protocol's form, or a member of the wrong type."""

    code, status = "SerializationException", 400


class ResourceNotFoundException(ApiError):
    """A log group or stream that does not exist."""

    code, status = "ResourceNotFoundException", 400


class ResourceLimitExceeded(ApiError):
    """A quota."""

    code, status = "ResourceLimitExceeded", 400


class ModelError(ApiError):
    """The model's process answered anything but 2xx, or not at all."""

    code, status = "ModelError", 424


class ThrottlingException(ApiError):
    """Too many requests that take long wait already; clients try again by themselves."""

    code, status = "ThrottlingException", 400


class ServiceUnavailable(ApiError):
    """The endpoint cannot serve at the moment."""

    code, status = "ServiceUnavailable", 503


class RequestTimeoutException(ApiError):
    """A request that did not arrive in time; clients try again."""

    code, status = "RequestTimeoutException", 408


class InternalFailure(ApiError):
    """Ours."""

    code, status = "InternalFailure", 500


class AuthError(ApiError):
    """A request whose signature does not hold: `code` is one of AWS's (InvalidSignatureException ...)."""

    status = 403

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
