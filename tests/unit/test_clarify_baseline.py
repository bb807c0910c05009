"""SHAP baselines, and the types of their columns."""

from __future__ import annotations

import pytest

from hostmaker.clarify.baseline import feature_types, read_baseline
from hostmaker.clarify.config import ClarifyConfig, ConfigError, FeatureType, read_config
from hostmaker.kit.json_value import Json

NUMERICAL, CATEGORICAL, TEXT = FeatureType.NUMERICAL, FeatureType.CATEGORICAL, FeatureType.TEXT


def config(text: bool = False, json: bool = False, inline: bool = True, **inference: Json) -> ClarifyConfig:
    """Give a config whose baseline is read apart from it."""
    shap: dict[str, Json] = {
        "ShapBaselineConfig": {
            "MimeType": "application/jsonlines" if json else "text/csv",
            ("ShapBaseline" if inline else "ShapBaselineUri"): "s3://b/k",
        }
    }
    if text:
        shap["TextConfig"] = {"Language": "en", "Granularity": "token"}
    return read_config({"ShapConfig": shap, "InferenceConfig": inference})


def texts(config: ClarifyConfig, text: str) -> list[list[str]]:
    """Give the texts of a baseline."""
    return [[cell.text for cell in record] for record in read_baseline(config, text)]


def test_baselines_have_one_record_or_several() -> None:
    assert texts(config(), "0,0,0,0") == [["0"] * 4]
    assert texts(config(), '4,"[MASK]"\n5,\n') == [["4", "[MASK]"], ["5", ""]]
    assert texts(config(json=True), "[0,1.50]\n\n[2,3]") == [["0", "1.50"], ["2", "3"]]
    found = texts(config(json=True, FeaturesAttribute="features"), '{"features":[0,1]}\n[2,3]')
    assert found == [["0", "1"], ["2", "3"]]


@pytest.mark.parametrize(
    ("of", "text", "message"),
    [
        (config(), "", "ShapBaseline has no record"),
        (config(inline=False), "", "ShapBaselineUri has no record"),
        (config(json=True), " \n", "has no record"),
        (config(json=True), "[]", "has no feature"),
        (config(), "1,2\n3,4\n5", "has 2 features in record 0 and 1 in record 2"),
        (config(), '"1', "ShapBaseline cannot be read as text/csv: Record 0 is not valid CSV"),
        (config(json=True), "0,0", "cannot be read as application/jsonlines: Record 0 is not valid JSON"),
        (config(json=True, FeaturesAttribute="f"), '{"g":[1]}', "Record 0 has no list at FeaturesAttribute 'f'"),
        (config(FeatureHeaders=["a"]), "1,2", "FeatureHeaders has 1 members, and .*ShapBaseline has 2 features"),
        (config(text=True, FeatureTypes=["text"]), "1,2", "FeatureTypes has 1 members"),
    ],
)
def test_baselines_that_are_none_are_refused(of: ClarifyConfig, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_baseline(of, text)


@pytest.mark.parametrize(
    ("of", "text", "expected"),
    [
        (config(), '"a",1', None),
        (config(text=True), '"<MASK>",3', (TEXT, NUMERICAL)),
        (config(text=True), '"<MASK>",3\n"<MASK>",x', (TEXT, TEXT)),
        (config(text=True), ",3", (TEXT, NUMERICAL)),
        (config(text=True, json=True), '["",3,true]', (TEXT, NUMERICAL, CATEGORICAL)),
        (config(text=True, FeatureTypes=["categorical", "text"]), "1,2", (CATEGORICAL, TEXT)),
    ],
)
def test_types_are_given_or_seen(of: ClarifyConfig, text: str, expected: tuple[FeatureType, ...] | None) -> None:
    assert feature_types(of, read_baseline(of, text)) == expected


def test_a_text_config_needs_a_text() -> None:
    of = config(text=True)
    with pytest.raises(ConfigError, match="has no column of text"):
        feature_types(of, read_baseline(of, "1,2"))
