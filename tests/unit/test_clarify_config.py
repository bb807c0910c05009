"""What an ExplainerConfig must be, and what its absent members mean."""

from __future__ import annotations

import pytest

from hostmaker.clarify.config import ConfigError, FeatureType, Granularity, MimeType, TextSettings, read_config
from hostmaker.kit.json_value import Json

TEXT: dict[str, Json] = {"Language": "en", "Granularity": "sentence"}


def sent(baseline: Json = None, inference: Json = None, **shap: Json) -> dict[str, Json]:
    """Give a structure as it is sent."""
    config: dict[str, Json] = {"ShapConfig": {"ShapBaselineConfig": baseline or {"ShapBaseline": "0,0"}, **shap}}
    return config if inference is None else {**config, "InferenceConfig": inference}


def test_absent_members_have_their_defaults() -> None:
    config = read_config(sent())
    assert (config.baseline_type, config.baseline, config.baseline_uri) == (MimeType.CSV, "0,0", None)
    assert (config.enable, config.samples, config.use_logit, config.seed, config.text) == (
        None,
        None,
        False,
        None,
        None,
    )
    assert (config.max_records, config.max_payload_mb, config.content_template) == (None, 6, None)
    assert (config.label_headers, config.feature_headers, config.feature_types) == (None, None, None)
    # The SageMaker SDK sends these defaults, boto3's users do not.
    assert (
        read_config(sent({"ShapBaseline": "0,0", "MimeType": "text/csv"}, {"MaxPayloadInMB": 6}, UseLogit=False))
        == config
    )


def test_every_member_is_read() -> None:
    config = read_config(
        {
            "EnableExplanations": "not [valid",  # makes the endpoint fail, not its config
            **sent(
                {"ShapBaselineUri": "s3://bucket/key", "MimeType": "application/jsonlines"},
                {
                    "FeaturesAttribute": "data.features",
                    "ContentTemplate": '{"data":{"features":$features}}',
                    "MaxRecordCount": 7,
                    "MaxPayloadInMB": 25,
                    "ProbabilityIndex": 1,
                    "LabelIndex": 0,
                    "ProbabilityAttribute": "probabilities",
                    "LabelAttribute": "labels",
                    "LabelHeaders": ["cat", "dog"],
                    "FeatureHeaders": ["review", "age"],
                    "FeatureTypes": ["text", "numerical"],
                },
                NumberOfSamples=100,
                UseLogit=True,
                Seed=-3,
                TextConfig=TEXT,
            ),
        }
    )
    assert (config.baseline_type, config.baseline_uri) == (MimeType.JSON_LINES, "s3://bucket/key")
    assert (config.enable, config.samples, config.use_logit, config.seed) == ("not [valid", 100, True, -3)
    assert config.text == TextSettings("en", Granularity.SENTENCE)
    assert (config.features_attribute, config.content_template) == ("data.features", '{"data":{"features":$features}}')
    assert (config.max_records, config.max_payload_mb) == (7, 25)
    assert (config.probability_index, config.label_index) == (1, 0)
    assert (config.probability_attribute, config.label_attribute) == ("probabilities", "labels")
    assert (config.label_headers, config.feature_headers) == (("cat", "dog"), ("review", "age"))
    assert config.feature_types == (FeatureType.TEXT, FeatureType.NUMERICAL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (sent({"MimeType": "text/csv"}), "exactly one of ShapBaseline and ShapBaselineUri; neither"),
        (sent({"ShapBaseline": "0", "ShapBaselineUri": "s3://b/k"}), "exactly one .*; both"),
        ({"ShapConfig": {}}, "ShapConfig.ShapBaselineConfig needs exactly one"),
        (
            sent({"ShapBaseline": "0", "MimeType": "text/html"}),
            "MimeType is 'text/html'; text/csv or application/jsonl",
        ),
        (sent(inference={"ContentTemplate": "{}"}), r"ContentTemplate is '{}', which has \$features 0 times"),
        (sent(inference={"ContentTemplate": "$features$features"}), "2 times; it must have it once"),
        (sent(inference={"FeatureTypes": ["numerical"]}, TextConfig=TEXT), "FeatureTypes has no feature of type text"),
        (
            sent(inference={"FeatureTypes": ["text"]}),
            "FeatureTypes .* needs ClarifyExplainerConfig.ShapConfig.TextConfig",
        ),
        (sent(inference={"FeatureTypes": ["words"]}), "FeatureTypes is 'words'; numerical or categorical or text"),
        (
            sent(inference={"FeatureTypes": ["text"], "FeatureHeaders": ["a", "b"]}, TextConfig=TEXT),
            "FeatureHeaders has 2 members and .*FeatureTypes has 1",
        ),
        (sent(inference={"FeaturesAttribute": "a.["}), "FeaturesAttribute is 'a.\\[', which is no JMESPath"),
        (sent(inference={"ProbabilityAttribute": "a b"}), "ProbabilityAttribute is 'a b'"),
        (sent(inference={"LabelAttribute": "f(@)"}), r"LabelAttribute .*Unknown function: f\(\)"),
        (sent(TextConfig={"Language": "en"}), "TextConfig needs both Language and Granularity"),
        (sent(NumberOfSamples="many"), "NumberOfSamples is 'many', and not of type int"),
    ],
)
def test_what_cannot_be_is_refused_by_member(given: dict[str, Json], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_config(given)
    assert "ClarifyExplainerConfig." in str(raised.value)
