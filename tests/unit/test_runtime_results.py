"""Answers made of what scripts return, and the default formats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from hostmaker_runtime import formats, journal
from hostmaker_runtime.http_messages import Answer, header_lines
from hostmaker_runtime.results import answer_of
from hostmaker_runtime.shims import Response


def whole(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


@pytest.mark.parametrize(
    ("result", "body", "content_type"),
    [
        ((b"ab", "text/csv"), b"ab", b"text/csv"),
        (("é", "text/plain"), "é".encode(), b"text/plain"),
        ((None, "text/csv"), b"", b"text/csv"),
        ((bytearray(b"ab"), "a/b"), b"ab", b"a/b"),
        ((["a", b"b"], "a/b"), b"ab", b"a/b"),
        (iter(["a", b"b"]), b"ab", b"x/accepted"),
        ((part for part in ("a", "", b"b")), b"ab", b"x/accepted"),
        ("ab", b"ab", b"x/accepted"),
        ({"a": 1}, b'{"a": 1}', b"application/json"),
        (Response("ab", "ignored", mimetype="text/csv"), b"ab", b"text/csv"),
        (Response("ab"), b"ab", b"application/json"),
        (Response("ab", headers={"Content-Type": "a/b"}), b"ab", b"a/b"),
    ],
)
def test_what_a_script_may_return(result: Any, body: bytes, content_type: bytes) -> None:
    answer = answer_of(result, "x/accepted")
    assert (answer.status, answer.content_type, whole(answer)) == (200, content_type, body)


def test_a_response_chooses_status_and_headers_that_the_platform_passes_on() -> None:
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "a=b", "Server": "mine"}
    answer = answer_of(Response(b"", status="404 NOT FOUND", headers=headers), "x/accepted")
    assert answer.status == 404
    assert answer.headers == b"X-Amzn-SageMaker-Custom-Attributes: a=b\r\n"


@pytest.mark.parametrize("result", [None, 5, (b"alone",), (5, "a/b"), ([5], "a/b"), ({}, "a/b"), object()])
def test_what_a_script_may_not_return(result: Any) -> None:
    with pytest.raises(TypeError):
        answer_of(result, "x/accepted")


def test_parts_must_be_text_or_bytes() -> None:
    with pytest.raises(TypeError, match="not int"):
        whole(answer_of((iter([5]), "a/b"), "x/accepted"))
    with pytest.raises(TypeError, match="not float64"):
        whole(answer_of((np.array([1.0]), "a/b"), "x/accepted"))


@pytest.mark.parametrize("status", [0, 101, 99, 600])
def test_a_status_that_is_none(status: int) -> None:
    with pytest.raises(ValueError, match="from 200 to 599"):
        answer_of(Response(b"", status=status), "x/accepted")


def test_nothing_breaks_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        answer_of((b"", "a/b\r\nX-Evil: 1"), "x/accepted")
    with pytest.raises(ValueError, match="one line"):
        header_lines({"X-A": "b\nX-Evil: 1"})


def test_a_closed_answer_closes_its_generator() -> None:
    closed = []

    def parts() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    body: Any = answer_of((parts(), "a/b"), "x/accepted").body
    assert next(body) == b"a"
    body.close()
    assert closed == [True]


def test_async_generators_run_on_a_loop_of_their_own() -> None:
    ended = []

    async def parts() -> AsyncIterator[str]:
        try:
            for part in "abc":
                await asyncio.sleep(0)
                yield part
        finally:
            ended.append(True)

    assert whole(answer_of((parts(), "a/b"), "x/accepted")) == b"abc"
    body: Any = answer_of((parts(), "a/b"), "x/accepted").body
    assert next(body) == b"a"
    body.close()
    assert ended == [True, True]


def test_default_decoders() -> None:
    assert formats.decode("[[1, 2.5]]", "application/json").tolist() == [[1.0, 2.5]]
    assert formats.decode("1,2\n3,4", "text/csv").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert formats.decode("1,2", "text/csv").shape == (2,)
    assert formats.decode("1", "text/csv").shape == ()
    assert np.isnan(formats.decode("1,,3", "text/csv")[1])
    for content_type in ("text/csv; charset=utf-8", "text/plain", "", "TEXT/CSV"):
        with pytest.raises(formats.UnsupportedFormatError, match=f"Content type {content_type} is not supported"):
            formats.decode("1", content_type)


def test_arrays_go_round() -> None:
    rows = np.array([[1.5, 2.0], [3.0, 4.0]], dtype=np.float32)
    assert formats.npy_to_numpy(formats.array_to_npy(rows)).tolist() == rows.tolist()
    assert json.loads(formats.array_to_json(rows)) == rows.tolist()
    assert json.loads(formats.array_to_json({"a": rows[0], "b": [np.int64(3)]})) == {"a": [1.5, 2.0], "b": [3]}
    assert formats.array_to_csv(rows) == "1.5,2.0\n3.0,4.0\n"
    assert formats.array_to_csv(rows[0]) == "1.5\n2.0\n"


def test_sparse_matrices_are_read() -> None:
    from io import BytesIO

    from scipy import sparse  # type: ignore[import-untyped]

    buffer = BytesIO()
    sparse.save_npz(buffer, sparse.csr_matrix(np.eye(3)))
    assert formats.decode(buffer.getvalue(), "application/x-npz").toarray().tolist() == np.eye(3).tolist()


def test_pickles_are_read_only_when_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.array_to_npy(objects)
    monkeypatch.setenv("HOSTMAKER_ALLOW_PICKLE", "1")
    pickled = formats.array_to_npy(objects)
    assert formats.npy_to_numpy(pickled).tolist() == [{"a": 1}]
    monkeypatch.delenv("HOSTMAKER_ALLOW_PICKLE")
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.npy_to_numpy(pickled)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("image/png,application/json", "application/json"),
        ("image/png , application/x-npy", "application/x-npy"),
    ],
)
def test_the_first_supported_type_is_chosen(accept: str, chosen: str) -> None:
    assert formats.choose(accept) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0.5", "", "application/x-npz"])
def test_no_supported_type(accept: str) -> None:
    with pytest.raises(formats.UnsupportedFormatError):
        formats.choose(accept)


def test_an_error_that_cannot_be_printed() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Unprintable" in journal.traceback_of(Unprintable())
