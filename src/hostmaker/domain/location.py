"""Reads where model data lies from its URI, in each of the forms that S3 has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hostmaker.domain.errors import ValidationException

PATH_STYLE = re.compile(r"s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?|s3\.amazonaws\.com")
VIRTUAL_STYLE = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a key; the key may be empty (the whole bucket) or end in `/` (a prefix)."""

    bucket: str
    key: str


def parse_location(uri: str) -> S3Location:
    """Give bucket and key of an `s3://` URI or an `https://` URL of S3; raises ValidationException."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:  # such as brackets around what is no IPv6 address
        raise _unreadable(uri) from None
    path = unquote(parts.path.removeprefix("/"))
    if parts.scheme == "s3" and parts.netloc:
        # The key is everything after the bucket, `?` and `#` included.
        bucket, _, key = uri[len("s3://") :].partition("/")
        return S3Location(bucket, key)
    if parts.scheme == "https" and PATH_STYLE.fullmatch(host):
        bucket, _, key = path.partition("/")
        if bucket:
            return S3Location(bucket, key)
    if parts.scheme == "https" and (match := VIRTUAL_STYLE.fullmatch(host)):
        return S3Location(match["bucket"], path)
    raise _unreadable(uri)


def _unreadable(uri: str) -> ValidationException:
    return ValidationException(
        f'Could not read "{uri}" as a location in S3. Give s3://BUCKET/KEY, https://BUCKET.s3.REGION.amazonaws.com/KEY '
        "or https://s3.REGION.amazonaws.com/BUCKET/KEY."
    )
