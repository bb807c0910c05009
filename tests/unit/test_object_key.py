"""Keys of S3 under the names that a store of paths can keep."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hostmaker.domain.object_key import plain_key, stored_key, stored_prefix

# What paths take for something else, what the encoding itself uses, and a little of everything else.
PIECES = ["", ".", "..", "!", "\\", "\0", "\uf000", "\uf05c", "\uf01b", ".uploads", "x.versions", "a", "%2F", " ", "ü"]
segments = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
keys = st.one_of(st.lists(segments, min_size=1, max_size=5).map("/".join), st.text(max_size=12)).filter(bool)


@given(keys)
def test_a_key_comes_back(key: str) -> None:
    assert plain_key(stored_key(key)) == key


@given(keys, keys)
def test_no_two_keys_share_a_name(one: str, other: str) -> None:
    assume(one != other)
    assert stored_key(one) != stored_key(other)


@given(keys)
def test_a_name_is_a_path_of_plain_segments(key: str) -> None:
    stored = stored_key(key)
    assert "\\" not in stored
    assert "\0" not in stored
    *directories, name = stored.split("/")
    assert not {"", ".", ".."} & {*directories, name}
    assert not [each for each in directories if each == ".uploads" or each.endswith(".versions")]


@given(keys, keys, st.integers(0, 12))
def test_prefixes_stay_prefixes(key: str, other: str, length: int) -> None:
    prefix = key[:length]
    kept = stored_prefix(prefix)
    assert stored_key(key).startswith(kept)
    if other.startswith(prefix) or not prefix.endswith("!"):
        assert stored_key(other).startswith(kept) == other.startswith(prefix)


@given(keys)
def test_common_prefixes_come_back(key: str) -> None:
    """What a list groups by: a kept name up to one of its slashes."""
    stored = stored_key(key)
    for at, (kept, plain) in enumerate(zip(stored.split("/"), key.split("/"), strict=True)):
        assert kept.count("/") == plain.count("/")
        assert plain_key("/".join([*stored.split("/")[:at], ""])) == "/".join([*key.split("/")[:at], ""])


@pytest.mark.parametrize("key", ["a/b.tar.gz", "a b/+%&?#", ".a/..b/...", "x.versions", ".uploads", "a!b/\u00fc!/c"])
def test_most_keys_are_kept_as_they_are(key: str) -> None:
    assert stored_key(key) == stored_prefix(key) == plain_key(key) == key


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("a//b", "a/!/b"),
        ("/a", "!/a"),
        ("a/", "a/!"),
        ("a/./../b", "a/.!/..!/b"),
        ("a\\b", "a\uf05cb"),
        (".uploads/x", ".uploads!/x"),
        ("a/!/b", "a/!!/b"),
    ],
)
def test_how_others_are_kept(key: str, stored: str) -> None:
    assert stored_key(key) == stored
