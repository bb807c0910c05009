"""Says what a file is that was given for a .tar.gz and is none, by its first bytes."""

from __future__ import annotations

import zlib

HEAD_BYTES = 4096
BLOCK = 512  # of a tar archive: its first header
GZIP = b"\x1f\x8b"
TAR_AT, TAR = 257, b"ustar"
PACK = "Pack the files with tar -czf"
# First bytes, what has them. Sources: the formats' specifications, and file(1)'s list.
BINARIES = (
    (GZIP, "compressed with gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)
TEXTS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file that it stands for"),
    (b"<", "a page in HTML or XML, as a download that has failed leaves it"),
    (b"{", "JSON"),
)


def refusal_of(head: bytes) -> str | None:
    """Return why a file that begins with `head` (HEAD_BYTES, or all it has) is no .tar.gz; None if it may be one."""
    if head.startswith(GZIP):
        return _refusal_of_content(head)
    if not head:
        return f"the object is empty. {PACK}"
    if head[TAR_AT:].startswith(TAR):
        return "the object is a tar archive that is not compressed. Compress it with gzip"
    kind = _kind(head, (*BINARIES, *TEXTS))
    if kind is None:
        return f"the object is not a gzip file: it begins with the bytes {head[:8].hex(' ')}. {PACK}"
    return f"the object is {kind}, not a gzip file. {PACK}"


def _refusal_of_content(head: bytes) -> str | None:
    try:
        content = zlib.decompressobj(wbits=31).decompress(head, BLOCK)
    except zlib.error:
        return None  # whoever extracts it says where it is damaged
    kind = None if content[TAR_AT:].startswith(TAR) else _kind(content, BINARIES)
    return kind and f"the object is a gzip file, and its content is {kind}, not a tar archive. {PACK}"


def _kind(head: bytes, kinds: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((kind for start, kind in kinds if head.startswith(start)), None)
