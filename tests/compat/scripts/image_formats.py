"""The default decoders and encoders of both families of images: sagemaker-containers, sagemaker-inference and we agree.

Bodies and results are drawn from what clients send and models give, with a seed; what an original raises, ours raises
too, if not with the same words.
"""

import contextlib
import importlib.machinery
import io
import json
import os
import random
import sys
import types
import warnings

import numpy as np
from sagemaker_containers import _encoders as classic
from sagemaker_containers import _errors
from sagemaker_inference import decoder, encoder, errors, utils
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer
from werkzeug.utils import get_content_type

from hostmaker_runtime import classic_formats, flask_answers, toolkit_formats
from hostmaker_runtime.errors import ClientError, UnsupportedFormatError
from hostmaker_runtime.http_messages import Request
from hostmaker_runtime.toolkit import Context, Framework, Handler

warnings.filterwarnings("ignore")
CASES = 4000
FIELDS = (
    "0", "1", "2", "-3", "+4", "1.5", "-0.0", "1e3", ".5", "5.", " 6", "7 ", "nan", "NaN", "inf", "-inf", "", " ",
    "male", "a b", '"8"', '"9,10"', '"a""b"', '"', 'x"y', "#", "# 11", "1#2", "True", "None", "0x10", "1_000", "é", "٣",
    "12345678901234567890", "'1'", "\t1",
)  # fmt: skip
PLAIN = ("0", "1", "-2", "3.5", "4e2", "nan", '"5"')
ENDS = ("", "\n", "\r\n", "\n\n", " ")
SEPARATORS = ("\n", "\n", "\n", "\r\n", "\r", "\n\n")
JSON_BODIES = (
    "[1, 2]", "[[1, 2], [3, 4]]", "[[1, 2.5]]", "5", "null", '"a"', "[]", "[[]]", "[true, false]", '[[1, "a"]]', "{}",
    '{"a": [1]}', "[[1], [2, 3]]", "[NaN, Infinity]", "nonsense", "", "[1, null]", "[1e400]", "[12345678901234567890]",
)  # fmt: skip
RESULTS = (
    [1, 2], [1.5, 2.0], [[1, 2], [3, 4]], [["a,b", 'c"d'], ["e", "f\ng"]], ["a", "b,c", 'd"e', ""], [True, False],
    [None, 1], None, 5, 5.5, "text", "", {"a": 1}, {"a": np.array([1.5])}, [{"a": 1}], (1, 2), [], [[]], [[1], [2, 3]],
    [[[1, 2]]], np.float32(1.5), np.int64(3), np.array(2.5), np.array([1.5, 2.5]), np.array([[1, 2], [3, 4]]),
    np.array([[0.1, 0.2]], dtype="float32"), np.array(["x,y", "z"]), np.array(["a", None], dtype=object),
    np.array([True, False]), np.array([np.nan, np.inf]), np.zeros((0,)), np.zeros((0, 3)), np.zeros((1, 2, 2)),
    np.array([1 + 2j]), b"bytes", {1, 2}, [np.float64(1.5), 2], range(3), ["é", "ü,"],
)  # fmt: skip
ALIKE = {
    _errors.ClientError: ClientError,
    _errors.UnsupportedFormatError: UnsupportedFormatError,
    errors.UnsupportedFormatError: UnsupportedFormatError,
    UnboundLocalError: ValueError,  # what comes of a ValueError in the original's `csv_to_numpy`
}


def drawn_csv(chance):
    """Draw a body: mostly rows of one length, some ragged, of plain numbers or of anything."""
    fields = PLAIN if chance.random() < 0.4 else FIELDS
    width, height = chance.randint(1, 4), chance.randint(0, 4)
    separator = chance.choice(SEPARATORS)
    rows = [
        ",".join(chance.choice(fields) for _ in range(width if chance.random() < 0.9 else chance.randint(1, 4)))
        for _ in range(height)
    ]
    return separator.join(rows) + chance.choice(ENDS)


def outcome(function, *arguments):
    """Return what a function gives, in a form that can be compared, or the class of what it raises."""
    try:
        found = function(*arguments)
    except Exception as error:
        return ALIKE.get(type(error), type(error))
    if isinstance(found, np.ndarray):
        return found.dtype, found.shape, repr(found.tolist())
    return type(found), repr(found)


def as_float32(decode):
    """Return the default input_fn of the scikit-learn image on a decoder."""
    return lambda body, kind: decode(body, kind).astype("float32")


SCRIPTS = {
    "no function": {},
    "a pair": {"output_fn": lambda prediction, accept: (str(prediction), "x/y")},
    "an object": {"output_fn": lambda prediction, accept: {"a": [1, None]}},
    "nothing": {"output_fn": lambda prediction, accept: None},
    "what it is given": {
        "input_fn": lambda body, kind: (type(body), kind),
        "output_fn": lambda seen, accept: str(seen),
    },
    "an error": {"predict_fn": lambda data, model: 1 / 0},
    "too many arguments": {"predict_fn": lambda a, b, c, d: a},
    "a transform_fn": {"transform_fn": lambda model, body, kind, accept: ("whole", "x/y")},
    "half a pair": {"output_fn": lambda prediction, accept: ("half",)},
    "no JSON": {"output_fn": lambda prediction, accept: np.array([1.5])},
}


class Defaults(DefaultInferenceHandler):
    """A model that gives back what it gets."""

    def default_model_fn(self, model_dir):
        return model_dir

    def default_predict_fn(self, data, model):
        return data


class OurDefaults(Framework):
    """The same."""

    def model_fn(self, model_dir):
        return model_dir

    def predict_fn(self, data, model):
        return data


def script_of(functions):
    """Make a module of functions, which both find by its name."""
    module = types.ModuleType("drawn_script")
    module.__spec__ = importlib.machinery.ModuleSpec("drawn_script", None)
    module.__dict__.update(functions)
    sys.modules["drawn_script"] = module
    os.environ["SAGEMAKER_PROGRAM"] = "drawn_script.py"
    return module


def by_transformer(functions, body, headers):
    """Return status, type and body as sagemaker-inference and multi-model-server make them; an error by its message."""
    script_of(functions)
    context = Context("/model", request_of(body, headers))
    (answer,) = Transformer(Defaults()).transform([{"body": body}], context)
    if context.status:
        return repr((context.status, answer.split("\n")[0]))
    try:
        whole = answer if isinstance(answer, (str, bytes)) else json.dumps(answer, indent=2)
    except TypeError:
        return repr(503)
    return repr((200, context.content_type, whole.encode() if isinstance(whole, str) else whole))


def by_handler(functions, body, headers):
    """Return the same, as our handler makes it."""
    handler = Handler("/model", script_of(functions), OurDefaults())
    with contextlib.redirect_stdout(io.StringIO()):
        handler.load_model()
    try:
        answer = handler.invoke(request_of(body, headers))
    except Exception as error:
        answer = handler.failure(error)
    if answer.status == 503:
        return repr(503)
    if answer.status != 200:
        return repr((answer.status, answer.body.decode().split("\n")[0]))
    return repr((200, answer.content_type.decode(), answer.body))


def request_of(body, headers):
    """Make a request."""
    request = Request()
    request.body = body
    request.headers = {name.lower().encode(): value.encode() for name, value in headers.items()}
    return request


def main():
    chance = random.Random(20)
    wrong, seen = [], {}

    def compare(what, theirs, ours, *arguments):
        expected, got = outcome(theirs, *arguments), outcome(ours, *arguments)
        seen[what] = seen.get(what, 0) + 1
        if expected != got:
            wrong.append(f"{what} {arguments!r}: {expected} there, {got} here")

    bodies = [(body, "application/json") for body in JSON_BODIES]
    bodies += [(drawn_csv(chance), "text/csv") for _ in range(CASES)]
    bodies += [("1,2", kind) for kind in ("text/csv; charset=utf-8", "TEXT/CSV", "text/plain", "", None)]
    bodies += [(b"1,2", "text/csv"), (b"[1, 2]", "application/json"), (b"nonsense", "application/x-npz")]
    for body, kind in bodies:
        compare("classic decode", classic.decode, classic_formats.decode, body, kind)
        compare("scikit-learn input", as_float32(classic.decode), as_float32(classic_formats.decode), body, kind)
        compare("toolkit decode", decoder.decode, toolkit_formats.decode, body, kind)
        if kind == "text/csv":
            for dtype in (float, "float32", str):
                compare("classic CSV", classic.csv_to_numpy, classic_formats.csv_to_numpy, body, dtype)
    for kind in ("application/json", "text/csv", "application/x-npy", "image/png", "text/csv, application/json", "*/*"):
        for result in RESULTS:
            compare("classic encode", classic.encode, classic_formats.encode, result, kind)
            compare("toolkit encode", encoder.encode, toolkit_formats.encode, result, kind)
    for accept in ("text/csv", "a/b , c/d;q=0.5", ""):
        compare("accept", utils.parse_accept, toolkit_formats.parse_accept, accept)
    kinds = ("text/csv", "text/csv; charset=x", "TEXT/CSV", "a/b", "a/b+xml", "", *flask_answers.TEXT_TYPES)
    for kind in kinds:
        compare("charset", lambda kind: get_content_type(kind, "utf-8"), flask_answers.with_charset, kind)
    for name, functions in SCRIPTS.items():
        for body in (b"1,2\n3,4", b"[1, 2]", b"", b"a,b", b"\xff"):
            for kind in ("text/csv", "application/json", "text/plain", "text/csv; charset=utf-8", None):
                for accept in ("", "*/*", "text/csv", "text/csv, application/json", "a/b", "application/x-npy"):
                    headers = {"Content-Type": kind, "Accept": accept}
                    sent = {header: value for header, value in headers.items() if value}
                    compare(f"toolkit with {name}", by_transformer, by_handler, functions, body, sent)
    print(", ".join(f"{count} of {what}" for what, count in seen.items()))
    if wrong:
        sys.exit(f"{len(wrong)} differ:\n" + "\n".join(wrong[:30]))


main()
