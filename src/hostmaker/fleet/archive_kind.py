"""Says what a file is that was given for a .tar.gz and is none, by its first bytes."""

from __future__ import annotations

HEAD_BYTES = 512
GZIP = b"\x1f\x8b"
TAR_AT, TAR = 257, b"ustar"
PACK = "Pack the files with tar -czf"
# First bytes, what has them. Sources: the formats' specifications, and file(1)'s list.
KINDS = (
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
    (b"version https://git-lfs", "a pointer of Git LFS, not the file that it stands for"),
    (b"<", "a page in HTML or XML, as a download that has failed leaves it"),
    (b"{", "JSON"),
)


def refusal_of(head: bytes) -> str | None:
    """Return why a file that begins with `head` (HEAD_BYTES, or all it has) is no .tar.gz; None for a gzip file."""
    if head.startswith(GZIP):
        return None
    if not head:
        return f"the object is empty. {PACK}"
    if head[TAR_AT:].startswith(TAR):
        return "the object is a tar archive that is not compressed. Compress it with gzip"
    kind = next((kind for start, kind in KINDS if head.startswith(start)), None)
    if kind is None:
        return f"the object is not a gzip file: it begins with the bytes {head[:8].hex(' ')}. {PACK}"
    return f"the object is {kind}, not a gzip file. {PACK}"
