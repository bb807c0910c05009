"""Encryption with a KMS key, which clients ask of S3 as a matter of course, and for which there is no KMS here.

SageMaker's SDK asks for `aws:kms` with each script that it uploads. Disks are this machine's own here, so the object is
stored as if that had not been asked, just as the service stores what nobody asked to be encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostmaker.gateway.request import Request

ASKED = b"x-amz-server-side-encryption"
DROPPED = frozenset((ASKED, *(ASKED + end for end in (b"-aws-kms-key-id", b"-bucket-key-enabled", b"-context"))))

Fields = Sequence[tuple[bytes, bytes]]
Resign = Callable[[str, bytes, Fields, frozenset[bytes], float], Fields | None]


def without_kms(request: Request, fields: Fields, resign: Resign | None, now: float) -> Fields:
    """Give the fields to send on; those that came, where nothing is asked, or where they cannot be signed anew."""
    asked = request.header(ASKED)
    if resign is None or asked is None or not asked.strip().startswith(b"aws:kms"):
        return fields
    return resign(request.route.method, request.target, fields, DROPPED, now) or fields
