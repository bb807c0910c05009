"""Reads ClarifyExplainerConfig: its defaults, and the rules between its members that the service model does not say."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hostmaker.clarify.expression import ExpressionError, compile_expression
from hostmaker.kit.json_value import Json

ROOT = "ClarifyExplainerConfig"
BASELINE = f"{ROOT}.ShapConfig.ShapBaselineConfig"
INFERENCE = f"{ROOT}.InferenceConfig"
PLACEHOLDER = "$features"
DEFAULT_PAYLOAD_MB = 6


class ConfigError(ValueError):
    """A config that cannot be; the message names the member, what was given and what is allowed."""


class MimeType(enum.Enum):
    """Types of a baseline, and of requests and answers of models that can be explained."""

    CSV = "text/csv"
    JSON_LINES = "application/jsonlines"


class Granularity(enum.Enum):
    """What one unit of text is."""

    TOKEN = "token"  # noqa: S105  # not a secret
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"


class FeatureType(enum.Enum):
    """What a feature is."""

    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class TextSettings:
    """TextConfig: the code of a language, and what one unit of text is."""

    language: str
    granularity: Granularity


@dataclass(frozen=True, slots=True)
class ClarifyConfig:
    """ClarifyExplainerConfig with its defaults. Of `baseline` and `baseline_uri`, exactly one is there.

    `enable` is as it was sent: it need not parse. The other expressions do.
    """

    baseline_type: MimeType
    baseline: str | None
    baseline_uri: str | None
    enable: str | None
    samples: int | None
    use_logit: bool
    seed: int | None
    text: TextSettings | None
    features_attribute: str | None
    content_template: str | None
    max_records: int | None
    max_payload_mb: int
    probability_index: int | None
    label_index: int | None
    probability_attribute: str | None
    label_attribute: str | None
    label_headers: tuple[str, ...] | None
    feature_headers: tuple[str, ...] | None
    feature_types: tuple[FeatureType, ...] | None

    @property
    def baseline_member(self) -> str:
        """Name the member that the baseline comes from."""
        return f"{BASELINE}.{'ShapBaseline' if self.baseline is not None else 'ShapBaselineUri'}"


def read_config(sent: Mapping[str, Json]) -> ClarifyConfig:
    """Read a ClarifyExplainerConfig structure; raises ConfigError."""
    shap = _Members(sent, ROOT).part("ShapConfig")
    baseline = shap.part("ShapBaselineConfig")
    inference = _Members(sent, ROOT).part("InferenceConfig")
    payload_mb = inference.value("MaxPayloadInMB", int)
    config = ClarifyConfig(
        baseline_type=_mime_type(baseline.value("MimeType", str)),
        baseline=baseline.value("ShapBaseline", str),
        baseline_uri=baseline.value("ShapBaselineUri", str),
        enable=_Members(sent, ROOT).value("EnableExplanations", str),
        samples=shap.value("NumberOfSamples", int),
        use_logit=shap.value("UseLogit", bool) or False,
        seed=shap.value("Seed", int),
        text=_text(shap),
        features_attribute=inference.value("FeaturesAttribute", str),
        content_template=inference.value("ContentTemplate", str),
        max_records=inference.value("MaxRecordCount", int),
        max_payload_mb=DEFAULT_PAYLOAD_MB if payload_mb is None else payload_mb,
        probability_index=inference.value("ProbabilityIndex", int),
        label_index=inference.value("LabelIndex", int),
        probability_attribute=inference.value("ProbabilityAttribute", str),
        label_attribute=inference.value("LabelAttribute", str),
        label_headers=inference.texts("LabelHeaders"),
        feature_headers=inference.texts("FeatureHeaders"),
        feature_types=_feature_types(inference),
    )
    _check_baseline(config)
    _check_template(config.content_template)
    _check_features(config)
    _check_expressions(config)
    return config


T = TypeVar("T", str, int, bool)
E = TypeVar("E", bound=enum.Enum)


class _Members:
    """The members of one structure, of the types that the service model says."""

    def __init__(self, sent: Mapping[str, Json], path: str) -> None:
        self._sent = sent
        self.path = path

    def part(self, name: str) -> _Members:
        """Give the structure within; an absent one has no members."""
        inner = self._sent.get(name)
        if inner is None:
            inner = {}
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{self.path}.{name} is not a structure.")
        return _Members(inner, f"{self.path}.{name}")

    def has(self, name: str) -> bool:
        """Tell whether a member was given."""
        return self._sent.get(name) is not None

    def value(self, name: str, cls: type[T]) -> T | None:
        """Give a member; None when it is absent."""
        value = self._sent.get(name)
        if value is None:
            return None
        if not isinstance(value, cls) or isinstance(value, bool) is not (cls is bool):
            raise ConfigError(f"{self.path}.{name} is {value!r}, and not of type {cls.__name__}.")
        if isinstance(value, str) and not _is_text(value):
            raise ConfigError(f"{self.path}.{name} has half of a surrogate pair, which is no character.")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Give a list of texts; None when it is absent."""
        values = self._sent.get(name)
        if values is None:
            return None
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise ConfigError(f"{self.path}.{name} is not a list.")
        return tuple(_Members({name: value}, self.path).value(name, str) or "" for value in values)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _one_of(choices: type[E], given: str, path: str) -> E:
    try:
        return choices(given)
    except ValueError:
        allowed = " or ".join(str(each.value) for each in choices)
        raise ConfigError(f"{path} is {given!r}; {allowed} is allowed.") from None


def _mime_type(given: str | None) -> MimeType:
    return MimeType.CSV if given is None else _one_of(MimeType, given.lower(), f"{BASELINE}.MimeType")


def _text(shap: _Members) -> TextSettings | None:
    if not shap.has("TextConfig"):
        return None
    text = shap.part("TextConfig")
    language, granularity = text.value("Language", str), text.value("Granularity", str)
    if language is None or granularity is None:
        raise ConfigError(f"{text.path} needs both Language and Granularity.")
    return TextSettings(language, _one_of(Granularity, granularity, f"{text.path}.Granularity"))


def _feature_types(inference: _Members) -> tuple[FeatureType, ...] | None:
    given = inference.texts("FeatureTypes")
    if given is None:
        return None
    return tuple(_one_of(FeatureType, each, f"{INFERENCE}.FeatureTypes") for each in given)


def _check_baseline(config: ClarifyConfig) -> None:
    if (config.baseline is None) == (config.baseline_uri is None):
        given = "neither" if config.baseline is None else "both"
        raise ConfigError(f"{BASELINE} needs exactly one of ShapBaseline and ShapBaselineUri; {given} was given.")


def _check_template(template: str | None) -> None:
    if template is not None and (count := template.count(PLACEHOLDER)) != 1:
        raise ConfigError(
            f"{INFERENCE}.ContentTemplate is {template!r}, which has {PLACEHOLDER} {count} times; it must have it once."
        )


def _check_features(config: ClarifyConfig) -> None:
    types, headers = config.feature_types, config.feature_headers
    if types is not None and FeatureType.TEXT not in types:
        raise ConfigError(
            f"{INFERENCE}.FeatureTypes has no feature of type text; it is given for models of text only: leave it out."
        )
    if types is not None and config.text is None:
        raise ConfigError(
            f"{INFERENCE}.FeatureTypes has a feature of type text, which needs {ROOT}.ShapConfig.TextConfig."
        )
    if types is not None and headers is not None and len(types) != len(headers):
        raise ConfigError(
            f"{INFERENCE}.FeatureHeaders has {len(headers)} members and {INFERENCE}.FeatureTypes has {len(types)}; "
            "both must have one for each feature."
        )


def _check_expressions(config: ClarifyConfig) -> None:
    members = {
        "FeaturesAttribute": config.features_attribute,
        "ProbabilityAttribute": config.probability_attribute,
        "LabelAttribute": config.label_attribute,
    }
    for name, text in members.items():
        try:
            if text is not None:
                compile_expression(text)
        except ExpressionError as error:
            raise ConfigError(f"{INFERENCE}.{name} is {text!r}, which is no JMESPath expression: {error}.") from error
