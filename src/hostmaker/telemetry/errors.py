"""Errors of CloudWatch's callers, by their Query codes (which differ from the names of the model's shapes)."""

from __future__ import annotations

from hostmaker.domain.errors import ApiError


class InvalidParameterValue(ApiError):
    """A member whose value breaks a rule."""

    code, status = "InvalidParameterValue", 400


class InvalidParameterCombination(ApiError):
    """Members that do not go together."""

    code, status = "InvalidParameterCombination", 400


class MissingParameter(ApiError):
    """A member that is needed here and absent (code of the model: MissingParameter)."""

    code, status = "MissingParameter", 400


class ResourceNotFound(ApiError):
    """An alarm that does not exist."""

    code, status = "ResourceNotFound", 404


class LimitExceeded(ApiError):
    """A quota."""

    code, status = "LimitExceeded", 400


class InvalidFormat(ApiError):
    """Data that is not of the form it must have (StateReasonData that is not JSON)."""

    code, status = "InvalidFormat", 400


class InvalidNextToken(ApiError):
    """A token that no page has given."""

    code, status = "InvalidNextToken", 400
