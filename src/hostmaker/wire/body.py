"""Request bodies as they come: compressed ones unpacked, within a bound."""

from __future__ import annotations

import zlib

from hostmaker.domain.errors import SerializationException, ValidationException

MAX_UNPACKED_BYTES = 5 * 1024 * 1024  # as many as a body that comes unpacked may have
MAX_ITEMS = 500_000  # values in a document: 1,000 data of 150 values and counts each, and their dimensions


def unpack(body: bytes, encoding: str) -> bytes:
    """Give the body without its `Content-Encoding`; raises SerializationException for one that cannot be read."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip":
            return _gunzip(body)
    raise SerializationException(f"Content-Encoding {encoding!r} is not supported. Allowed: gzip, identity.")


def _gunzip(body: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = stream.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise SerializationException(f"The body is not gzip: {error}.") from error
    if stream.unconsumed_tail:
        raise ValidationException(f"The body is larger than {MAX_UNPACKED_BYTES} bytes when unpacked.")
    if not stream.eof or stream.unused_data:
        raise SerializationException("The body is not one whole gzip stream.")
    return unpacked
