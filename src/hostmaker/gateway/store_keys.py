"""Keys in requests for the object store: as clients name them, and as the store keeps them (`domain.object_key`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, unquote_plus, unquote_to_bytes

from hostmaker.domain.object_key import MARK, stored_key, stored_prefix
from hostmaker.gateway.store_errors import InvalidArgument, InvalidURI, NotImplementedHere
from hostmaker.ports import RequestHead

SOURCES = frozenset((b"x-amz-copy-source", b"x-amz-rename-source"))
OWN_SIGN = "~"  # begins a continuation token that is percent-encoded once more
UPLOADS = frozenset(("uploads", "uploadId"))
MARKERS = frozenset(("marker", "start-after"))


@dataclass(frozen=True, slots=True)
class Place:
    """What a request is about: the path up to the key, the key (empty: a bucket, or all buckets), the query."""

    before: str
    key: str
    query: str


def place_of(head: RequestHead) -> Place:
    """Return what a request is about; raises InvalidURI."""
    path, _, query = head.target.decode("latin-1").partition("?")
    if head.host_bucket:
        return Place("/", _text(path[1:]), query)
    bucket, slash, key = path[1:].partition("/")
    return Place(f"/{bucket}{slash}", _text(key) if bucket else "", query)


def with_stored_keys(head: RequestHead, place: Place) -> RequestHead:
    """Return the request as the store is to get it, `head` itself where nothing differs; raises ApiError."""
    kept, query = stored_key(place.key), place.query
    if not place.key and query:
        query = _stored_query(query)
    target = head.target
    if kept != place.key or query != place.query:
        path = place.before + quote(kept, safe="/-_.~") if kept != place.key else target.decode("latin-1").split("?")[0]
        target = (f"{path}?{query}" if query else path).encode("latin-1")
    fields = tuple((name, _stored_source(value) if name.lower() in SOURCES else value) for name, value in head.fields)
    return head if target == head.target and fields == head.fields else replace(head, target=target, fields=fields)


def is_deletion(head: RequestHead, place: Place) -> bool:
    """Whether the body names objects to delete."""
    return head.method == "POST" and not place.key and "delete" in _names(place.query)


def is_marker_deletion(head: RequestHead, place: Place) -> bool:
    """Whether an object is deleted that the store may have kept as a directory: `x/`, made by an earlier version."""
    has_body = (head.header(b"content-length") or b"0") != b"0" or head.header(b"transfer-encoding") is not None
    return head.method == "DELETE" and not place.query and not has_body and is_marker(place.key)


def is_marker(key: str) -> bool:
    """Whether a key ends in a slash and is kept as it is but for that."""
    return key.endswith("/") and stored_key(key) == key + MARK


def names_keys(head: RequestHead, place: Place) -> bool:
    """Whether the answer is a document that names keys: a list, or what has become of uploads and deletions."""
    if not place.key:
        has_bucket = bool(head.host_bucket) or place.before != "/"
        return has_bucket and head.method in ("GET", "POST")
    names = _names(place.query)
    return "uploadId" in names if head.method == "GET" else head.method == "POST" and not names.isdisjoint(UPLOADS)


def parameters(query: str) -> dict[str, str]:
    """Return the parameters of a query."""
    return {name: unquote_plus(value) for name, _, value in (part.partition("=") for part in query.split("&"))}


def _names(query: str) -> set[str]:
    return {part.partition("=")[0] for part in query.split("&")}


def _text(quoted: str) -> str:
    try:
        return unquote_to_bytes(quoted.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidURI("Couldn't parse the specified URI: a key is UTF-8, percent-encoded.") from None


def _stored_query(query: str) -> str:
    parts = query.split("&")
    told = parameters(query)
    delimiter = told.get("delimiter", "")
    if "/" in delimiter and delimiter != "/":
        raise NotImplementedHere(f'The delimiter "{delimiter}" is not supported: with a slash it can be "/" alone.')
    prefix = told.get("prefix", "")
    return "&".join([_stored_part(part, prefix, delimiter) for part in parts])


def _stored_part(part: str, prefix: str, delimiter: str) -> str:
    name, _, value = part.partition("=")
    text = unquote_plus(value)
    if name == "prefix" or (name == "delimiter" and text != "/"):
        kept = stored_prefix(text)
    elif name == "key-marker":
        kept = stored_key(text)
    elif name == "continuation-token":
        kept = unquote(text.removeprefix(OWN_SIGN)) if text.startswith(OWN_SIGN) else text
    elif name in MARKERS and text:
        kept = _stored_marker(text, prefix, delimiter)
    else:
        return part
    return part if kept == text else f"{name}={quote(kept, safe='-_.~')}"


def _stored_marker(marker: str, prefix: str, delimiter: str) -> str:
    """Return what a list goes on behind: a group of keys as a whole, or a key.

    Behind `a` come keys that begin with `a/`: the store takes them to be behind `a/`, and `a` to be their end.
    """
    if delimiter and marker.endswith(delimiter) and marker != prefix:
        return stored_prefix(marker)
    return stored_key(marker) + ("" if delimiter == "/" else "/")


def _stored_source(value: bytes) -> bytes:
    """Return the header that names what to copy: [/]BUCKET/KEY[?versionId=ID], percent-encoded, slashes or not."""
    source, mark, version = value.decode("latin-1").partition("?")
    bucket, slash, key = _text(source).removeprefix("/").partition("/")
    if not key:  # the store would copy a directory, as an empty object
        raise InvalidArgument("Invalid copy source object key: it is BUCKET/KEY, percent-encoded.")
    kept = stored_key(key)
    if kept == key:
        return value
    return f"{quote(bucket)}{slash}{quote(kept, safe='/-_.~')}{mark}{version}".encode("latin-1")
