"""What may arrive of a message besides its body: chunk sizes, extensions, trailers, empty lines, interim answers.

llhttp takes them without end, and httptools joins the pieces of a trailer anew with each read. So they are counted as
they arrive, and each byte of the body pays for some of them.
"""

from __future__ import annotations

MAX_FRAMING = 64 * 1024  # bytes without a byte of the body
PER_BODY_BYTE = 16  # a chunk of one byte takes five more; the rest is for extensions


def framing_after(framing: int, arrived: int, body: int) -> int:
    """Return the bytes of framing not paid for yet when `arrived` more bytes have come, `body` of them of the body.

    Above MAX_FRAMING, a message has more than any reader should take.
    """
    return max(0, framing + arrived - body - PER_BODY_BYTE * body)
