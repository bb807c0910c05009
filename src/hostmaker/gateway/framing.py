"""What may arrive of a message besides its body: chunk sizes, extensions, trailers, empty lines, interim answers.

llhttp takes them without end, and httptools joins the pieces of a trailer anew with each read. So they are counted as
they arrive, against a credit that each byte of the body fills up a little.
"""

from __future__ import annotations

MAX_FRAMING = 64 * 1024  # bytes without a byte of the body
PER_BODY_BYTE = 16  # a chunk of one byte takes five more; the rest is for extensions


def credit_left(credit: int, arrived: int, body: int) -> int:
    """Return what is left of a credit when `arrived` bytes have come, `body` of them of the body.

    A message begins with MAX_FRAMING. Below zero: it has more framing than any reader should take.
    """
    return min(MAX_FRAMING, credit + PER_BODY_BYTE * body - (arrived - body))
