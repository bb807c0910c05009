"""The XGBoost image: algorithm mode (a model alone) where SAGEMAKER_PROGRAM is not set, else script mode.

Statuses of algorithm mode are the image's: 204 for an empty body, 415 for one that cannot be parsed, 400 for one that
the model cannot be asked with, 406 for an Accept that is not known.
"""

import inspect
import json
import os
import pickle
import threading
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from hostmaker_runtime import classic, formats, journal
from hostmaker_runtime.classic import Defaults, load_script
from hostmaker_runtime.flask_answers import with_charset
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.http_server import Routes
from hostmaker_runtime.xgboost_data import decode, parse_header, read_payload, short_name
from hostmaker_runtime.xgboost_outputs import ACCEPTED, CHOICES, chosen_body, chosen_outputs, plain_body

DEFAULT_MAX_CONTENT_LENGTH = 6 * 1024 * 1024
VOTES = ("multi:softmax", "binary:hinge")
HTML = b"text/html; charset=utf-8"  # what Flask says of a text
PICKLED = "pickle"


def load(model_dir: str) -> Union[classic.Handler, "AlgorithmHandler"]:
    """Load the model, by the script where there is one; raises whatever that raises."""
    if os.environ.get("SAGEMAKER_PROGRAM"):
        return load_script(model_dir, Defaults("XGBoost", decode, _predict_fn))
    is_ensemble = os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true"
    return AlgorithmHandler(load_models(model_dir, is_ensemble))


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


class Loaded(NamedTuple):
    """One model, and whether it was a pickle."""

    booster: Any
    kind: str


class Refusal(Exception):
    """Something is answered with a status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class AlgorithmHandler:
    """Models without a script. Boosters are asked by one thread at a time."""

    def __init__(self, models: List[Loaded]) -> None:
        self._models = models
        self._turn = threading.Lock()
        self._objective, self._classes = _objective(models[0].booster)
        self._is_batch = bool(os.environ.get("SAGEMAKER_BATCH"))
        chosen = os.environ.get("SAGEMAKER_INFERENCE_OUTPUT")
        self._chosen = None if chosen is None else chosen.replace(" ", "").lower().split(",")
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.CSV)
        print("[hostmaker-runtime] objective: %s, %d model(s)" % (self._objective, len(models)), flush=True)

    def routes(self) -> Routes:
        """Give what is answered, by method and path."""
        return {(b"POST", b"/invocations"): self.invoke, (b"GET", b"/execution-parameters"): self.parameters}

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation."""
        if not request.body:
            return Answer(204)
        try:
            data = self._parsed(request)
            predictions = self._predicted(data, _content_type(request))
            accept = self._accept(request.header(b"accept"))
            return self._encoded(predictions, accept)
        except Refusal as refusal:
            ident = journal.ident_of(request.headers.get(b"x-amzn-requestid", b""))
            journal.tell_failure(ident, refusal)
            return Answer(refusal.status, str(refusal).encode("utf-8", "replace"), HTML)

    def parameters(self, request: Request) -> Answer:
        """Answer what batch transform asks."""
        megabytes = int(os.environ.get("MAX_CONTENT_LENGTH", DEFAULT_MAX_CONTENT_LENGTH)) // 1024**2
        document = {
            "MaxConcurrentTransforms": os.cpu_count(),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": megabytes,
        }
        return Answer(200, json.dumps(document).encode(), formats.JSON.encode())

    def failure(self, error: BaseException) -> Answer:
        """Give the answer for what was not foreseen."""
        return Answer(500, str(error).encode("utf-8", "replace"), HTML)

    def _parsed(self, request: Request) -> Any:
        try:
            return read_payload(request.body, _content_type(request))
        except ValueError as error:
            raise Refusal(415, str(error)) from error

    def _predicted(self, data: Any, content_type: Optional[str]) -> Any:
        try:
            with self._turn:
                if self._models[0].kind == PICKLED:
                    _check_features(self._models[0].booster, data, content_type)
                return self._asked(data)
        except Exception as error:  # whatever xgboost finds wrong with the data
            raise Refusal(400, "Unable to evaluate payload provided: %s" % error) from error

    def _asked(self, data: Any) -> Any:
        import numpy as np

        found = [_predict(model.booster, data) for model in self._models]
        if len(found) == 1:
            return found[0]
        if self._objective not in VOTES:
            return np.mean(found, axis=0)
        votes = np.array(found)
        return np.array([max(sorted(set(column)), key=list(column).count) for column in votes.T], votes.dtype)

    def _accept(self, header: str) -> str:
        accept, _ = parse_header(header)
        if accept in ("", formats.ANY):
            return self._default_accept
        if accept.lower() not in ACCEPTED:
            raise Refusal(
                406, "Accept type %s is not supported. Please use supported accept types: %s." % (accept, ACCEPTED)
            )
        return accept.lower()

    def _encoded(self, predictions: Any, accept: str) -> Answer:
        content_type = with_charset(accept).encode()
        if self._chosen is None:
            return Answer(200, plain_body(predictions.tolist(), accept, self._is_batch), content_type)
        wrong = [key for key in self._chosen if key not in CHOICES.get(self._objective, ())]
        if wrong:
            print("[hostmaker-runtime] %s: not of objective %s" % (", ".join(wrong), self._objective), flush=True)
        outputs = chosen_outputs(predictions, self._chosen, self._objective, self._classes)
        return Answer(200, chosen_body(outputs, self._chosen, accept, self._is_batch), content_type)


def _content_type(request: Request) -> Optional[str]:
    return request.header(b"content-type") or None


def load_models(model_dir: str, is_ensemble: bool) -> List[Loaded]:
    """Load the files of the model directory: all of them, or the first; raises RuntimeError."""
    names = [name for name in sorted(os.listdir(model_dir)) if os.path.isfile(os.path.join(model_dir, name))]
    hidden = [name for name in names if name.startswith(".")]
    if hidden:
        print("[hostmaker-runtime] ignored in the model data: %s" % ", ".join(hidden), flush=True)
    shown = [name for name in names if not name.startswith(".")]
    if not shown:
        raise RuntimeError("There is no model in the model data; there is: %s." % (", ".join(names) or "nothing"))
    return [_load_model(os.path.join(model_dir, name)) for name in (shown if is_ensemble else shown[:1])]


def _load_model(path: str) -> Loaded:
    import xgboost

    try:
        with open(path, "rb") as file:
            booster, kind = pickle.load(file), PICKLED  # noqa: S301 - the user's own model, in its own process
    except Exception as pickle_error:  # it is no pickle, or one of something that is not here
        try:
            booster, kind = xgboost.Booster(), "xgboost"
            booster.load_model(path)
        except Exception as error:
            raise RuntimeError(
                "Model %s cannot be loaded:\nPickle load error=%s\nXGB load model error=%s"
                % (path, pickle_error, error)
            ) from error
    booster = booster.get_booster() if hasattr(booster, "get_booster") else booster
    booster.set_param({"nthread": 1})
    return Loaded(booster, kind)


def _objective(booster: Any) -> Tuple[str, int]:
    """Give a model's objective, and its number of classes (0 when it has none)."""
    learner = json.loads(booster.save_config())["learner"]
    return learner["objective"]["name"], int(learner["learner_model_param"].get("num_class") or 0)


def _check_features(booster: Any, data: Any, content_type: Optional[str]) -> None:
    """Compare the numbers of features as the image does for pickles; raises ValueError."""
    has, comes = booster.num_features(), data.num_col()
    name = short_name(content_type)
    if name == "libsvm":
        if comes > has + 1:
            raise ValueError(
                "Feature size of libsvm inference data %d is larger than feature size of trained model %d."
                % (comes, has)
            )
    elif comes not in (has, has - 1):
        raise ValueError(
            "Feature size of %s inference data %d is not consistent with feature size of trained model %d."
            % (name, comes, has)
        )


def _predict(booster: Any, data: Any) -> Any:
    """Ask with as many trees as early stopping has found best, where the release of xgboost knows such a number."""
    options: Dict[str, Any] = {"validate_features": False}
    best = getattr(booster, "best_ntree_limit", None)
    if best:
        has_limit = "ntree_limit" in inspect.signature(booster.predict).parameters
        options.update({"ntree_limit": int(best)} if has_limit else {"iteration_range": (0, int(best))})
    return booster.predict(data, **options)
