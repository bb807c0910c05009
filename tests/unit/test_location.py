"""Where model data lies, in each form that S3 has."""

from __future__ import annotations

import pytest

from hostmaker.domain.errors import ValidationException
from hostmaker.domain.location import S3Location, parse_location


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/a/b.tar.gz",
        "https://bucket.s3.us-east-1.amazonaws.com/a/b.tar.gz",
        "https://bucket.s3.amazonaws.com/a/b.tar.gz",
        "https://bucket.s3-us-west-2.amazonaws.com/a/b.tar.gz",
        "https://s3.us-east-1.amazonaws.com/bucket/a/b.tar.gz",
        "https://s3-us-west-2.amazonaws.com/bucket/a/b.tar.gz",
        "https://s3.amazonaws.com/bucket/a/b.tar.gz",
    ],
)
def test_every_form_names_the_same_object(uri: str) -> None:
    assert parse_location(uri) == S3Location("bucket", "a/b.tar.gz")


@pytest.mark.parametrize(
    "uri", ["https://[x", "https://example.com/a", "ftp://bucket/a", "s3://", "a/b", "https://s3.amazonaws.com/"]
)
def test_what_is_none_is_refused_with_the_forms_that_are(uri: str) -> None:
    with pytest.raises(ValidationException, match="Give s3://BUCKET/KEY"):
        parse_location(uri)


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("s3://bucket//a//b/", "/a//b/"),
        ("s3://bucket/a/../b?c#d%20e+f\\g", "a/../b?c#d%20e+f\\g"),
        ("https://bucket.s3.amazonaws.com//a//b%2F%3Fc", "/a//b/?c"),
        ("https://s3.amazonaws.com/bucket//a", "/a"),
    ],
)
def test_a_key_is_everything_after_the_bucket(uri: str, key: str) -> None:
    assert parse_location(uri) == S3Location("bucket", key)
