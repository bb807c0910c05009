"""Why a signature is refused, in the codes and sentences that AWS answers with.

Services that speak the Query protocol have codes of their own for the same four refusals.
"""

from __future__ import annotations

from hostmaker.domain.errors import AuthError

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
QUERY_SERVICES = frozenset(("sts", "iam", "sns", "monitoring"))


def missing() -> AuthError:
    """No signature at all."""
    return AuthError("MissingAuthenticationTokenException", "Missing Authentication Token")


def incomplete(service: str, message: str) -> AuthError:
    """A signature that lacks a part, or has one of another form."""
    return AuthError(_code(service, "IncompleteSignatureException", "IncompleteSignature"), message, 400)


def invalid(service: str, message: str = MISMATCH) -> AuthError:
    """A signature that does not hold."""
    return AuthError(_code(service, "InvalidSignatureException", "SignatureDoesNotMatch"), message)


def unknown_key(service: str) -> AuthError:
    """A signature by a key that is none of ours."""
    code = _code(service, "UnrecognizedClientException", "InvalidClientTokenId")
    return AuthError(code, "The security token included in the request is invalid.")


def _code(service: str, usual: str, of_query: str) -> str:
    return of_query if service in QUERY_SERVICES else usual
