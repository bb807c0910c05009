"""ExplainerConfig as real clients give it: every member comes back, and what cannot explain says why."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from .conftest import Server

pytestmark = pytest.mark.integration

EVERY_MEMBER: dict[str, Any] = {
    "ClarifyExplainerConfig": {
        "EnableExplanations": "[1]>`0.5`",
        "InferenceConfig": {
            "FeaturesAttribute": "data.features",
            "ContentTemplate": '{"data":{"features":$features}}',
            "MaxRecordCount": 100,
            "MaxPayloadInMB": 3,
            "ProbabilityIndex": 1,
            "LabelIndex": 0,
            "ProbabilityAttribute": "probabilities",
            "LabelAttribute": "labels",
            "LabelHeaders": ["bad", "good"],
            "FeatureHeaders": ["review", "stars"],
            "FeatureTypes": ["text", "numerical"],
        },
        "ShapConfig": {
            "ShapBaselineConfig": {"MimeType": "application/jsonlines", "ShapBaseline": '["<MASK> é",3]\n["",2.50]\n'},
            "NumberOfSamples": 64,
            "UseLogit": True,
            "Seed": 7,
            "TextConfig": {"Language": "en", "Granularity": "token"},
        },
    }
}


def explainer(baseline: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": baseline}, **members}}


@pytest.fixture(scope="module")
def sagemaker(server: Server) -> Any:
    client = server.client("sagemaker")
    url = server.upload("explained/model.tar.gz", {"code/inference.py": ""})
    client.create_model(ModelName="explained", PrimaryContainer={"Image": "nobody/knows:1", "ModelDataUrl": url})
    return client


def create_config(client: Any, name: str, sent: dict[str, Any]) -> None:
    wanted = {"VariantName": "v", "ModelName": "explained", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[wanted], ExplainerConfig=sent)


def failure(server: Server, client: Any, name: str, sent: dict[str, Any]) -> str:
    """Give the reason for which an endpoint fails, as a waiter learns it; nothing of it has been launched."""
    create_config(client, name, sent)
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    with pytest.raises(WaiterError) as raised:
        client.get_waiter("endpoint_in_service").wait(EndpointName=name)
    last = raised.value.last_response
    assert last["EndpointStatus"] == "Failed"
    assert last["ExplainerConfig"] == sent
    assert not (server.data_dir / "logs" / "us-east-1" / name / "v").exists()
    client.delete_endpoint(EndpointName=name)
    return str(last["FailureReason"])


def test_every_member_comes_back_and_is_kept_for_the_explainer(server: Server, sagemaker: Any) -> None:
    create_config(sagemaker, "explained-wholly", EVERY_MEMBER)
    assert sagemaker.describe_endpoint_config(EndpointConfigName="explained-wholly")["ExplainerConfig"] == EVERY_MEMBER
    sagemaker.create_endpoint(EndpointName="explained-wholly", EndpointConfigName="explained-wholly")
    assert sagemaker.describe_endpoint(EndpointName="explained-wholly")["ExplainerConfig"] == EVERY_MEMBER
    clarify = EVERY_MEMBER["ClarifyExplainerConfig"]
    kept = {path: json.loads(path.read_text()) for path in (server.data_dir / "explainers").iterdir()}
    (path,) = (path for path, content in kept.items() if content["config"] == clarify)
    assert kept[path]["baseline"] == clarify["ShapConfig"]["ShapBaselineConfig"]["ShapBaseline"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "nobody/knows" in server.wait_while("explained-wholly", "Creating")["FailureReason"]
    sagemaker.delete_endpoint(EndpointName="explained-wholly")


def test_what_cannot_explain_fails_with_its_reason(server: Server, sagemaker: Any) -> None:
    inline = {"ShapBaseline": "0,0"}
    reason = failure(server, sagemaker, "explained-invalid", explainer(inline, EnableExplanations="[1]>"))
    assert reason == "Invalid EnableExplanations expression: Incomplete expression"
    uri = "s3://models/explained/baseline.csv"
    reason = failure(server, sagemaker, "explained-nowhere", explainer({"ShapBaselineUri": uri}))
    assert reason.startswith(f"The SHAP baseline at {uri} cannot be read: there is no object.")
    server.client("s3").put_object(Bucket="models", Key="explained/baseline.csv", Body=b"1,2\n3\n")
    reason = failure(server, sagemaker, "explained-ragged", explainer({"ShapBaselineUri": uri}))
    assert "2 features in record 0 and 1 in record 1" in reason


def test_what_can_be_seen_at_once_is_refused_at_once(sagemaker: Any) -> None:
    with pytest.raises(ClientError) as raised:
        create_config(sagemaker, "explained-never", explainer({}))
    error = raised.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "ShapBaselineConfig needs exactly one of ShapBaseline and ShapBaselineUri" in error["Message"]
