"""Scripts of the inference toolkit: which functions are called with what, and what becomes of their answers."""

from __future__ import annotations

import json
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hostmaker_runtime.errors import BaseInferenceToolkitError
from hostmaker_runtime.handlers.python import Plain
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.script import UserError
from hostmaker_runtime.toolkit import Context, Framework, Handler


def script(**functions: Any) -> ModuleType:
    module = ModuleType("inference")
    module.__dict__.update(functions)
    return module


def handler(framework: Framework | None = None, **functions: Any) -> Handler:
    found = Handler("/model", script(**functions), framework or Framework())
    found.load_model()
    return found


def asked(of: Handler, body: bytes, content_type: str | None = None, accept: str | None = None) -> Answer:
    request = Request()
    request.body = body
    for name, value in ((b"content-type", content_type), (b"accept", accept), (b"x-mine", "yes")):
        if value is not None:
            request.headers[name] = value.encode()
    try:
        return of.invoke(request)
    except Exception as error:
        return of.failure(error)


ONE = {"model_fn": lambda d: d, "predict_fn": lambda data, model: data}


def test_the_order_of_loading() -> None:
    calls: list[tuple[Any, ...]] = []
    handler(
        pre_model_fn=lambda d: calls.append(("pre", d)),
        model_fn=lambda d: calls.append(("model", d)) or "it",  # type: ignore[func-returns-value]
        model_warmup_fn=lambda d, model: calls.append(("warm", d, model)),
    )
    assert calls == [("pre", "/model"), ("model", "/model"), ("warm", "/model", "it")]


def test_the_body_is_text_for_json_and_csv_only() -> None:
    seen: list[tuple[Any, Any]] = []
    echo = handler(
        **ONE, input_fn=lambda body, kind: seen.append((body, kind)), output_fn=lambda prediction, accept: "x"
    )
    for kind in ("application/json", "text/csv", "text/csv; charset=utf-8", "application/x-npy", None):
        assert asked(echo, b"1", kind).status == 200
    assert seen == [
        ("1", "application/json"),
        ("1", "text/csv"),
        (b"1", "text/csv; charset=utf-8"),
        (b"1", "application/x-npy"),
        (b"1", None),
    ]


def test_a_context_for_whoever_takes_one_more() -> None:
    def output_fn(prediction: Any, accept: str, context: Context) -> str:
        context.set_response_status(201)
        context.set_response_content_type(0, "text/x-mine")
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "c=1")
        context.set_response_header(0, "X-Other", "not passed on")
        return f"{context.get_request_header(0, 'x-mine')} {context.system_properties['model_dir']}"

    answer = asked(handler(**ONE, output_fn=output_fn), b"[1]", "application/json")
    assert (answer.status, answer.body, answer.content_type) == (201, b"yes /model", b"text/x-mine")
    assert answer.headers == b"X-Amzn-SageMaker-Custom-Attributes: c=1\r\n"
    taken = handler(model_fn=lambda d, context: context.system_properties["model_dir"], predict_fn=lambda x, m: m)
    assert asked(taken, b"[1]", "application/json").body == b'"/model"'


def test_too_many_arguments_are_told() -> None:
    answer = asked(handler(**{**ONE, "predict_fn": lambda a, b, c, d: a}), b"[1]", "application/json")
    assert answer.status == 500
    assert b"takes 4 arguments but 2 were given" in bytes(answer.body)  # type: ignore[arg-type]


def test_transform_fn_stands_alone() -> None:
    whole = handler(model_fn=lambda d: "m", transform_fn=lambda model, body, kind, accept: (f"{model}{body}", "text/a"))
    answer = asked(whole, b"x", "text/csv")
    assert (answer.body, answer.content_type) == (b"mx", b"text/a")
    with pytest.raises(ValueError, match="in conjunction with"):
        handler(model_fn=lambda d: "m", transform_fn=lambda *a: "", predict_fn=lambda *a: "")


def test_errors_are_500_or_what_they_choose() -> None:
    def failing(error: Exception) -> Handler:
        def predict_fn(data: Any, model: Any) -> Any:
            raise error

        return handler(**{**ONE, "predict_fn": predict_fn})

    plain = asked(failing(KeyError("missing")), b"[1]", "application/json")
    assert plain.status == 500
    assert bytes(plain.body).startswith(b"'missing'\nTraceback")  # type: ignore[arg-type]
    chosen = asked(failing(BaseInferenceToolkitError(422, "two please", "x")), b"[1]", "application/json")
    assert (chosen.status, bytes(chosen.body).split(b"\n")[0]) == (422, b"two please")  # type: ignore[arg-type]
    unsaid = asked(failing(ValueError()), b"[1]", "application/json")
    assert bytes(unsaid.body).startswith(b"Invalid Request\nTraceback")  # type: ignore[arg-type]
    odd = Exception("odd")
    odd.status_code, odd.phrase = 99, ""  # type: ignore[attr-defined]
    assert asked(failing(odd), b"[1]", "application/json").status == 500


@pytest.mark.parametrize(
    ("body", "kind", "accept", "status", "answered"),
    [
        (b"[1, 2]", "application/json", None, 200, b"[1, 2]"),
        (b"1,2", "text/csv", "text/csv", 200, b"1\n2\n"),
        (b"1.5,2.5", "text/csv", "image/png, application/json", 200, b"[1.5, 2.5]"),
        (b"a,b", "text/csv", "text/csv", 200, b"a\nb\n"),
        (b"1", "text/plain", None, 500, None),
        (b"1", None, None, 500, None),
        (b"[1]", "application/json", "image/png", 500, None),
    ],
)
def test_the_default_formats(
    body: bytes, kind: str | None, accept: str | None, status: int, answered: bytes | None
) -> None:
    answer = asked(handler(**ONE), body, kind, accept)
    assert answer.status == status
    assert answered is None or answer.body == answered


def test_what_cannot_be_written_is_503() -> None:
    answer = asked(handler(**ONE, output_fn=lambda prediction, accept: prediction), b"[1]", "application/json")
    assert answer.status == 503
    assert json.loads(bytes(answer.body))["message"] == "Unsupported model output data type."  # type: ignore[arg-type]


def test_without_a_model_fn_the_framework_says_what_is_missing() -> None:
    with pytest.raises(UserError, match="Please provide a model_fn"):
        Handler("/model", None, Framework()).load_model()


@pytest.mark.parametrize(
    ("body", "kind", "answered", "answered_kind"),
    [
        (b'{"a": [1]}', "application/json", b'{"got": {"a": [1]}}', b"application/json"),
        (b'{"a": 1}', "application/json; charset=utf-8", b'{"got": {"a": 1}}', b"application/json"),
        ("ä".encode("latin-1"), "text/plain; charset=latin-1", b'{"got": "\\u00e4"}', b"application/json"),
    ],
)
def test_plain_python(body: bytes, kind: str, answered: bytes, answered_kind: bytes) -> None:
    answer = asked(handler(Plain(), model_fn=lambda d: lambda x: {"got": x}), body, kind)
    assert (answer.body, answer.content_type) == (answered, answered_kind)


def test_plain_python_passes_text_and_bytes_on() -> None:
    model = SimpleNamespace(predict=lambda x: x[::-1])
    of = handler(Plain(), model_fn=lambda d: model)
    assert (asked(of, b"abc", "text/plain").body, asked(of, b"abc", "text/plain").content_type) == (
        b"cba",
        b"text/plain",
    )
    assert asked(of, b"\x00\x01", "application/octet-stream").body == b"\x01\x00"
    assert json.loads(bytes(asked(of, b"[1, 2]", "application/json").body)) == [2, 1]  # type: ignore[arg-type]
