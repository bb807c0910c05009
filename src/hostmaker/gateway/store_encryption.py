"""Encryption with a KMS key, which clients ask of S3 as a matter of course, and for which there is no KMS here.

SageMaker's SDK asks for `aws:kms` with each script that it uploads. Disks are this machine's own here, so the object is
stored as if that had not been asked, just as the service stores what nobody asked to be encrypted.
"""

from __future__ import annotations

from dataclasses import replace

from hostmaker.ports import RequestHead

ASKED = b"x-amz-server-side-encryption"
DROPPED = frozenset((ASKED, *(ASKED + end for end in (b"-aws-kms-key-id", b"-bucket-key-enabled", b"-context"))))


def without_kms(head: RequestHead) -> RequestHead:
    """Return the request without encryption by KMS, `head` itself where that is not asked for."""
    asked = head.header(ASKED)
    if asked is None or not asked.strip().startswith(b"aws:kms"):
        return head
    return replace(head, fields=tuple(field for field in head.fields if field[0].lower() not in DROPPED))
