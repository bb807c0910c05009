"""Reads a SHAP baseline, and says what its columns are."""

from __future__ import annotations

from hostmaker.clarify.config import INFERENCE, ClarifyConfig, ConfigError, FeatureType, MimeType
from hostmaker.clarify.expression import compile_expression
from hostmaker.clarify.records import Kind, Record, RecordError, read_csv, read_json_lines


def read_baseline(config: ClarifyConfig, text: str) -> tuple[Record, ...]:
    """Read the records of a baseline; raises ConfigError.

    Records of JSON Lines are as those of requests are, or bare lists of features.
    """
    member = config.baseline_member
    try:
        records = _records(config, text)
    except RecordError as error:
        raise ConfigError(f"{member} cannot be read as {config.baseline_type.value}: {error}") from error
    if not records:
        raise ConfigError(f"{member} has no record; it needs at least one.")
    width = len(records[0])
    for number, record in enumerate(records):
        if len(record) != width:
            raise ConfigError(
                f"{member} has {width} features in record 0 and {len(record)} in record {number}; "
                "all records must have as many."
            )
    if not width:
        raise ConfigError(f"{member} has no feature in its records; at least one is needed.")
    _check_width(config, width)
    return tuple(records)


def feature_types(config: ClarifyConfig, baseline: tuple[Record, ...]) -> tuple[FeatureType, ...] | None:
    """Say what each feature is: as given, else as the baseline looks; None without TextConfig. Raises ConfigError.

    A column of numbers is numerical; one with a value of JSON that is neither a number nor a text is categorical.
    """
    if config.text is None:
        return None
    if config.feature_types is not None:
        return config.feature_types
    types = tuple(_inferred({cell.kind for cell in column}) for column in zip(*baseline, strict=True))
    if FeatureType.TEXT not in types:
        raise ConfigError(
            f"{config.baseline_member} has no column of text, and ShapConfig.TextConfig needs one: give a placeholder "
            f'for text there, as in "[MASK]", or set {INFERENCE}.FeatureTypes, or leave TextConfig out.'
        )
    return types


def _records(config: ClarifyConfig, text: str) -> list[Record]:
    match config.baseline_type:
        case MimeType.CSV:
            return read_csv(text)
        case MimeType.JSON_LINES:
            attribute = config.features_attribute
            return read_json_lines(text, compile_expression(attribute) if attribute is not None else None, bare=True)


def _check_width(config: ClarifyConfig, width: int) -> None:
    for name, given in (("FeatureHeaders", config.feature_headers), ("FeatureTypes", config.feature_types)):
        if given is not None and len(given) != width:
            raise ConfigError(
                f"{INFERENCE}.{name} has {len(given)} members, and {config.baseline_member} has {width} features; "
                "there must be one for each feature."
            )


def _inferred(kinds: set[Kind]) -> FeatureType:
    if kinds == {Kind.NUMBER}:
        return FeatureType.NUMERICAL
    return FeatureType.CATEGORICAL if Kind.OTHER in kinds else FeatureType.TEXT
