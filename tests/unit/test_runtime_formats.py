"""The default formats of both families of images; what is expected, the original packages gave."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker_runtime import classic_formats, formats, toolkit_formats
from hostmaker_runtime.errors import ClientError, UnsupportedFormatError

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)


def shown(array: Any) -> Any:
    """Return an array's values with None for NaN, beside its shape and type."""
    values = [None if value != value else value for value in array.ravel().tolist()]
    return values, array.shape, array.dtype.kind


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,2\n3,4\n", ([1.0, 2.0, 3.0, 4.0], (2, 2), "f")),
        ('"1","2"\r\n"3","4"', ([1.0, 2.0, 3.0, 4.0], (2, 2), "f")),
        ("1,2,3\n", ([1.0, 2.0, 3.0], (3,), "f")),
        ("1\n2\n", ([1.0, 2.0], (2,), "f")),
        ("5", ([5.0], (), "f")),
        ("", ([], (0,), "f")),
        (" 1,nan\n-inf,1e3", ([1.0, None, -np.inf, 1000.0], (2, 2), "f")),
        ("1,female\n2,male", (["1", "female", "2", "male"], (2, 2), "U")),
        ("1,,3\n4,5,6", (["1", "", "3", "4", "5", "6"], (2, 3), "U")),
        ("1,2\n#3,4", (["1", "2", "#3", "4"], (2, 2), "U")),
        ('"a,b",c', (["a,b", "c"], (2,), "U")),
    ],
)
def test_csv_of_the_classic_images(body: str, expected: Any) -> None:
    assert shown(classic_formats.decode(body, "text/csv")) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,2\n3,4\n", ([1, 2, 3, 4], (2, 2), "i")),
        ("1.0,2.5", ([1.0, 2.5], (2,), "f")),
        ("1,2.5\n", ([(1, 2.5)], (), "V")),
        ("5", ([5], (), "i")),
        ("1,2\n#3,4", ([1, 2], (2,), "i")),
        ("True,False", ([True, False], (2,), "b")),
    ],
)
def test_csv_of_the_toolkit(body: str, expected: Any) -> None:
    assert shown(toolkit_formats.decode(body, "text/csv")) == expected


def test_words_stay_words_in_the_toolkit() -> None:
    assert toolkit_formats.decode("a,b\nc,d", "text/csv").astype(str).tolist() == [["a", "b"], ["c", "d"]]
    mixed = toolkit_formats.decode("1,a\n2,b", "text/csv")
    assert (mixed.shape, mixed.dtype[0].kind) == ((2,), "i")


def test_csv_that_the_classic_images_do_not_read() -> None:
    for ragged in ("1,2\n3", "1,2\n\n3,4", "1\n\n"):
        with pytest.raises(ValueError, match="different numbers of fields"):
            classic_formats.decode(ragged, "text/csv")
    with pytest.raises(ClientError, match="Error while decoding csv"):
        classic_formats.decode('"1"2', "text/csv")
    with pytest.raises(ClientError, match="Error while decoding csv"):
        classic_formats.csv_to_numpy(b"1,2")  # type: ignore[arg-type]
    for body in ("a", "1,2\n3"):
        with pytest.raises(ClientError, match="Error while writing numpy array.*dtype is"):
            classic_formats.csv_to_numpy(body, dtype=float)
    with pytest.raises(ValueError, match="columns"):
        toolkit_formats.decode("1,2\n3", "text/csv")


@pytest.mark.parametrize(
    ("value", "classic", "toolkit"),
    [
        ([[1, 2], [3, 4]], "1,2\n3,4\n", "1,2\n3,4\n"),
        ([1.5, 2], "1.5\n2.0\n", "1.5\n2.0\n"),
        (["a,b", 'c"d', ""], '"a,b"\n"c""d"\n""\n', 'a,b\nc"d\n\n'),
        ([["a,b", "c"]], '"a,b",c\n', "a,b,c\n"),
        ([True, False], "True\nFalse\n", "True\nFalse\n"),
        ([1, "a"], "1\na\n", "1\na\n"),
        ([None, 1], '""\n1\n', "None\n1\n"),
        (np.array([[0.1, 2]], dtype="float32"), "0.1,2.0\n", "0.1,2.0\n"),
        ([], "", ""),
    ],
)
def test_answers_in_csv(value: Any, classic: str, toolkit: str) -> None:
    assert classic_formats.encode(value, "text/csv") == classic
    assert toolkit_formats.encode(value, "text/csv") == toolkit


def test_a_single_number_is_no_csv() -> None:
    with pytest.raises(TypeError):
        classic_formats.encode(5, "text/csv")
    with pytest.raises(ValueError, match="0D"):
        toolkit_formats.encode(5, "text/csv")


@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_texts_go_round_in_the_classic_csv(texts: list[str]) -> None:
    found = classic_formats.csv_to_numpy(classic_formats.array_to_csv([texts]), dtype=str)
    assert found.tolist() == texts


@given(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=2, max_size=4))
def test_numbers_go_round_in_every_type(rows: list[list[float]]) -> None:
    for family in (classic_formats, toolkit_formats):
        for kind in ("text/csv", "application/json", "application/x-npy"):
            assert family.decode(family.encode(np.array(rows), kind), kind).tolist() == rows


@pytest.mark.parametrize("kind", ["text/csv; charset=utf-8", "TEXT/CSV", "text/plain", "", "text/csv,application/json"])
def test_types_are_compared_as_they_are(kind: str) -> None:
    for family in (classic_formats, toolkit_formats):
        for function in (family.decode, family.encode):
            with pytest.raises(UnsupportedFormatError, match=f"Content type {kind} is not supported"):
                function("1", kind)


def test_npz_is_for_the_toolkit_to_read() -> None:
    from scipy import sparse  # type: ignore[import-untyped]

    buffer = BytesIO()
    sparse.save_npz(buffer, sparse.csr_matrix(np.eye(3)))
    read = toolkit_formats.decode(buffer.getvalue(), "application/x-npz")
    assert read.toarray().tolist() == np.eye(3).tolist()
    with pytest.raises(UnsupportedFormatError):
        classic_formats.decode(buffer.getvalue(), "application/x-npz")
    with pytest.raises(UnsupportedFormatError):
        toolkit_formats.encode(np.eye(3), "application/x-npz")


def test_numpy_inside_of_json() -> None:
    assert json.loads(formats.array_to_json({"a": np.array([1.5]), "b": [np.int64(3)]})) == {"a": [1.5], "b": [3]}
    with pytest.raises(TypeError):
        formats.array_to_json({1, 2})


def test_pickles_are_read_only_when_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = formats.array_to_npy(np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.npy_to_numpy(pickled)
    monkeypatch.setenv("HOSTMAKER_ALLOW_PICKLE", "1")
    assert formats.npy_to_numpy(pickled).tolist() == [{"a": 1}]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("image/png,application/json", "application/json"),
        ("image/png , application/x-npy", "application/x-npy"),
    ],
)
def test_the_toolkit_takes_the_first_supported_type(accept: str, chosen: str) -> None:
    assert toolkit_formats.choose(accept) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0.5", "", "application/x-npz"])
def test_no_supported_type(accept: str) -> None:
    with pytest.raises(UnsupportedFormatError):
        toolkit_formats.choose(accept)
