"""Answers made of what scripts return, as each family of images makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from hostmaker_runtime import flask_answers, journal, toolkit_answers
from hostmaker_runtime.flask_answers import Response, with_charset
from hostmaker_runtime.http_messages import Answer, header_lines

answer_of = flask_answers.answer_of


def whole(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


# What Flask 1.1.1 with werkzeug 2.0.3 has answered in sagemaker-containers 2.8.6
@pytest.mark.parametrize(
    ("result", "body", "content_type"),
    [
        (("x", "text/csv"), b"x", b"text/csv; charset=utf-8"),
        (("x", "text/csv; charset=utf-8"), b"x", b"text/csv; charset=utf-8; charset=utf-8"),
        (("x", "TEXT/CSV"), b"x", b"TEXT/CSV"),
        (("x", "application/xml"), b"x", b"application/xml; charset=utf-8"),
        (("x", "image/svg+xml"), b"x", b"image/svg+xml; charset=utf-8"),
        (("x", "application/json"), b"x", b"application/json"),
        (("x", None), b"x", b"application/json"),
        (("x", "a/b", "more"), b"x", b"a/b"),
        ((None, "a/b"), b"", b"a/b"),
        (("é", "text/plain"), "é".encode(), b"text/plain; charset=utf-8"),
        ((bytearray(b"ab"), "a/b"), b"ab", b"a/b"),
        ((["a", b"b"], "a/b"), b"ab", b"a/b"),
        (((part for part in ("a", "", b"b")), "text/csv"), b"ab", b"text/csv; charset=utf-8"),
        ("x", b"x", b"text/html; charset=utf-8"),
        (b"x", b"x", b"text/html; charset=utf-8"),
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}\n', b"application/json"),
        (Response("x"), b"x", b"application/json"),
        (Response("x", "text/csv"), b"x", b"application/json"),
        (Response("x", mimetype="text/csv"), b"x", b"text/csv; charset=utf-8"),
        (Response("x", headers={"Content-Type": "text/csv"}), b"x", b"text/csv"),
        (Response("x", headers={"Content-Type": "a/b"}, mimetype="text/csv"), b"x", b"text/csv; charset=utf-8"),
        (Response(["a", "b"], mimetype="text/plain"), b"ab", b"text/plain; charset=utf-8"),
        (Response(), b"", b"application/json"),
    ],
)
def test_what_flask_makes_of_a_result(result: Any, body: bytes, content_type: bytes) -> None:
    answer = flask_answers.answer_of(result, "x/accepted")
    assert (answer.status, answer.content_type, whole(answer)) == (200, content_type, body)


# What multi-model-server makes of it
@pytest.mark.parametrize(
    ("result", "body", "content_type"),
    [
        (("x", "text/csv"), b"x", b"text/csv"),
        ("x", b"x", b"x/accepted"),
        (b"x", b"x", b"x/accepted"),
        (bytearray(b"x"), b"x", b"x/accepted"),
        ([1, {"a": None}], b'[\n  1,\n  {\n    "a": null\n  }\n]', b"x/accepted"),
        ({"a": 1}, b'{\n  "a": 1\n}', b"x/accepted"),
        (({"a": 1}, "a/b", "more"), b'{\n  "a": 1\n}', b"a/b"),
        (5, b"5", b"x/accepted"),
        (None, b"null", b"x/accepted"),
        (iter(["a", b"b"]), b"ab", b"x/accepted"),
    ],
)
def test_what_the_toolkit_makes_of_a_result(result: Any, body: bytes, content_type: bytes) -> None:
    answer = toolkit_answers.answer_of(result, "x/accepted")
    assert (answer.status, answer.content_type, whole(answer)) == (200, content_type, body)


@pytest.mark.parametrize("result", [np.array([1.5]), np.float32(1), [b"x"], object(), {1, 2}])
def test_what_the_toolkit_cannot_write(result: Any) -> None:
    with pytest.raises(toolkit_answers.UnsupportedOutputError, match="Unsupported model output data type"):
        toolkit_answers.answer_of(result, "x/accepted")


def test_a_response_chooses_status_and_headers_that_the_platform_passes_on() -> None:
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "a=b", "Server": "mine"}
    response = Response(b"", status="404 NOT FOUND", headers=headers, mimetype="text/plain")
    answer = answer_of(response, "x/accepted")
    assert answer.status == 404
    assert answer.headers == b"X-Amzn-SageMaker-Custom-Attributes: a=b\r\n"
    assert (response.mimetype, response.content_type) == ("text/plain", "text/plain; charset=utf-8")


@pytest.mark.parametrize("result", [None, 5, [1], (5, "a/b"), ([5], "a/b"), ({}, "a/b"), object()])
def test_what_flask_does_not_take(result: Any) -> None:
    with pytest.raises(TypeError):
        answer_of(result, "x/accepted")


def test_a_tuple_of_one_has_no_type() -> None:
    for family in (flask_answers, toolkit_answers):
        with pytest.raises(IndexError):
            family.answer_of((b"alone",), "x/accepted")


@pytest.mark.parametrize("kind", ["application/javascript", "application/sql", "application/xml-dtd", "text/x-own"])
def test_texts_have_a_charset(kind: str) -> None:
    assert with_charset(kind) == f"{kind}; charset=utf-8"


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


def test_an_error_that_cannot_be_printed() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Unprintable" in journal.traceback_of(Unprintable())
