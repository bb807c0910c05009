"""Why a signature is refused, in the codes and sentences that AWS answers with.

S3, and services that speak the Query protocol, have codes of their own for the same refusals.
"""

from __future__ import annotations

from hostmaker.domain.errors import AuthError

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
QUERY_SERVICES = frozenset(("sts", "iam", "sns", "monitoring"))
S3 = "s3"


def missing() -> AuthError:
    """No signature at all."""
    return AuthError("MissingAuthenticationTokenException", "Missing Authentication Token")


def incomplete(service: str, message: str) -> AuthError:
    """A signature that lacks a part, or has one of another form."""
    code = _code(service, "IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed")
    return AuthError(code, message, 400)


def invalid(service: str, message: str = MISMATCH) -> AuthError:
    """A signature that does not hold."""
    if service == S3 and message == MISMATCH:
        message = S3_MISMATCH
    return AuthError(_code(service, "InvalidSignatureException", "SignatureDoesNotMatch"), message)


def other_body(service: str) -> AuthError:
    """A body that is not the one whose hash was stated and signed."""
    if service == S3:
        told = "The provided 'x-amz-content-sha256' header does not match what was computed."
        return AuthError("XAmzContentSHA256Mismatch", told, 400)
    return invalid(service)


def unknown_key(service: str) -> AuthError:
    """A signature by a key that is none of ours."""
    if service == S3:
        return AuthError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    return _invalid_token(service)


def unknown_token(service: str) -> AuthError:
    """A session token that is not of this server or of this key, or whose instance has ended."""
    if service == S3:
        return AuthError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    return _invalid_token(service)


def expired_token(service: str) -> AuthError:
    """Temporary credentials whose time is over."""
    if service == S3:
        return AuthError("ExpiredToken", "The provided token has expired.", 400)
    code = _code(service, "ExpiredTokenException", "ExpiredToken")
    return AuthError(code, "The security token included in the request is expired")


def skewed(service: str, message: str) -> AuthError:
    """A request signed too long ago, or in the future; `message` is what services other than S3 say."""
    if service == S3:
        return AuthError(
            "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
        )
    return invalid(service, message)


def _invalid_token(service: str) -> AuthError:
    code = _code(service, "UnrecognizedClientException", "InvalidClientTokenId")
    return AuthError(code, "The security token included in the request is invalid.")


def _code(service: str, usual: str, of_query: str, of_s3: str = "") -> str:
    if service == S3:
        return of_s3 or of_query
    return of_query if service in QUERY_SERVICES else usual
