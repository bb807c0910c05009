"""What the gateway answers in the place of the object store, in the codes of S3."""

from __future__ import annotations

from hostmaker.domain.errors import ApiError


class SlowDown(ApiError):
    """Too many requests at once."""

    code, status = "SlowDown", 503


class SlowUpload(ApiError):
    """A body of which the rest did not arrive in time."""

    code, status = "RequestTimeout", 400


class InvalidURI(ApiError):
    """A path that is no key: a key is UTF-8."""

    code, status = "InvalidURI", 400


class InvalidArgument(ApiError):
    """A header or a parameter that has no meaning."""

    code, status = "InvalidArgument", 400


class MalformedXML(ApiError):
    """A body that is not the document of its operation."""

    code, status = "MalformedXML", 400


class EntityTooLarge(ApiError):
    """A document that is larger than its operation allows."""

    code, status = "EntityTooLarge", 400


class BadDigest(ApiError):
    """A body whose hash is not the one that was signed."""

    code, status = "XAmzContentSHA256Mismatch", 400


class NotImplementedHere(ApiError):
    """What S3 can do and this server cannot; the message names it."""

    code, status = "NotImplemented", 501
