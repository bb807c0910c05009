"""The one text of a request that both sides sign: its method, path, query, headers and body in AWS's canonical form.

Source: AWS General Reference, "Create a canonical request".
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

UNRESERVED_PATH = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch
BLANKS = re.compile(rb"[ \t]{2,}|\t").search


def canonical_path(path: str, service: str) -> str:
    """Give the path as it is signed: S3 signs it as it is sent, every other service its percent-encoding once more."""
    if service == "s3":
        return path or "/"
    if "//" in path or "/." in path:
        path = _without_dots(path)
    if UNRESERVED_PATH(path):
        return path or "/"
    return quote_from_bytes(path.encode("latin-1"), safe="/-_.~")


def canonical_query(query: str, without: str | None) -> str:
    """Give the parameters sorted and strictly percent-encoded, all but the one named `without`."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != without:
            pairs.append((_encoded(name), _encoded(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def folded(value: bytes) -> bytes:
    """Give a header's value without blanks around it, and one for several within."""
    return b" ".join(value.split()) if BLANKS(value) else value.strip()


def _encoded(text: str) -> str:
    """Give the strict percent-encoding of what is, more or less strictly, percent-encoded already."""
    if text.isalnum() and text.isascii():
        return text
    return quote_from_bytes(unquote_to_bytes(text.replace("+", "%20").encode("latin-1")), safe="-_.~")


def _without_dots(path: str) -> str:
    """Resolve `.` and `..`, and make one of several slashes (RFC 3986, 5.2.4, as AWS clients do it)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    tail = "/" if path.endswith("/") and kept else ""
    return "/" + "/".join(kept) + tail
