"""Requests for the object store, with keys as it keeps them."""

from __future__ import annotations

import pytest

from hostmaker.domain.errors import ApiError
from hostmaker.gateway.store_form import Form
from hostmaker.gateway.store_keys import place_of, with_stored_keys
from hostmaker.ports import RequestHead

HOST = (b"Host", b"127.0.0.1:4747")


def sent(
    target: str, *fields: tuple[bytes, bytes], method: str = "GET", host: tuple[bytes, bytes] = HOST
) -> RequestHead:
    head = RequestHead(method, target.encode(), (host, *fields))
    return with_stored_keys(head, place_of(head))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/b/a//c?tagging", "/b/a/%21/c?tagging"),
        ("/b/a%2F%2Fc", "/b/a/%21/c"),
        ("/b//a", "/b/%21/a"),
        ("/b/%2e%2e/a", "/b/..%21/a"),
        ("/b/a%5Cc/", "/b/a%EF%81%9Cc/%21"),
        ("/b?prefix=a%2F%2F&list-type=2", "/b?prefix=a%2F%21%2F&list-type=2"),
        ("/b?list-type=2&start-after=a", "/b?list-type=2&start-after=a%2F"),
        ("/b?marker=a%2F&delimiter=%2F", "/b?marker=a%2F&delimiter=%2F"),
        ("/b?marker=a%2F&delimiter=%2F&prefix=a%2F", "/b?marker=a%2F%21&delimiter=%2F&prefix=a%2F"),
        ("/b?continuation-token=~%2501b", "/b?continuation-token=%01b"),
        ("/b?uploads&key-marker=a//b", "/b?uploads&key-marker=a%2F%21%2Fb"),
    ],
)
def test_targets_that_change(target: str, expected: str) -> None:
    assert sent(target).target.decode() == expected


@pytest.mark.parametrize("target", ["/", "/b", "/b/", "/b/a%2fb+c", "/b/a?prefix=x//y", "/b?prefix=a%2f&x", "//a//b"])
def test_targets_that_do_not(target: str) -> None:
    assert sent(target).target.decode() == target


def test_a_bucket_in_the_hosts_name() -> None:
    assert sent("/a//c", host=(b"host", b"b.localhost:4747")).target == b"/a/%21/c"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"b/a//c?versionId=1", b"b/a/%21/c?versionId=1"),
        (b"/b/a%5Cc", b"b/a%EF%81%9Cc"),
        (b"b%2Fa%2F%2Fc", b"b/a/%21/c"),
        (b"/b/a%20c", b"/b/a%20c"),
    ],
)
def test_copy_sources(source: bytes, expected: bytes) -> None:
    assert dict(sent("/b/k", (b"X-Amz-Copy-Source", source), method="PUT").fields)[b"X-Amz-Copy-Source"] == expected


@pytest.mark.parametrize("target", ["/b/%FF", "/b?delimiter=a/"])
def test_targets_that_are_refused(target: str) -> None:
    with pytest.raises(ApiError):
        sent(target)


def form(name: str, key: str, filename: str = "f") -> bytes:
    return (
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{key}\r\n--x\r\nContent-Disposition: form-data; '
        f'name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--x--\r\n'
    ).encode()


@pytest.mark.parametrize(("key", "filename"), [("a/b", "x"), ("a/${filename}", "b.txt")])
def test_a_form_is_known_by_its_key_before_its_end(key: str, filename: str) -> None:
    reading = Form(RequestHead("POST", b"/b", (HOST,)))
    body = form("key", key, filename)
    needed = next(
        size for size in range(len(body)) if not reading.parts.append(body[size : size + 1]) and reading.is_known()
    )
    assert needed < body.index(b"content\r\n")


@pytest.mark.parametrize(
    "body", [form("key", "a//b"), form("key", "a/${filename}", "../b"), form("name", "a"), b"--x\r\n" * 20_000, b""]
)
def test_forms_that_are_refused(body: bytes) -> None:
    with pytest.raises(ApiError):
        Form(RequestHead("POST", b"/b", (HOST,)), [body]).is_known(is_end=True)
