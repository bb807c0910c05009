"""SageMaker SDK 2: an endpoint with an explainer, by the SDK's own classes; explanations read by its deserializer."""

import tarfile

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.explainer import (
    ClarifyExplainerConfig,
    ClarifyInferenceConfig,
    ClarifyShapBaselineConfig,
    ClarifyShapConfig,
    ExplainerConfig,
)
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearnModel

from hostmaker.session import open_session

SCRIPT = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    rows = [[float(cell) for cell in line.split(",")] for line in body.splitlines()]
    return "".join("%r\\n" % (2 * hours + 0.5 * age) for hours, age in rows), "text/csv"
"""

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
with open("weigh.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
model = SKLearnModel(
    model_data=session.upload_data("model.tar.gz", key_prefix="explained"),
    role=sagemaker.get_execution_role(),
    entry_point="weigh.py",
    framework_version="1.2-1",
    name="sdk2-explained",
    predictor_cls=Predictor,
    sagemaker_session=session,
)
explainer = ExplainerConfig(
    clarify_explainer_config=ClarifyExplainerConfig(
        enable_explanations="[0]>`10`",
        inference_config=ClarifyInferenceConfig(feature_headers=["hours", "age"], label_headers=["wage"]),
        shap_config=ClarifyShapConfig(
            shap_baseline_config=ClarifyShapBaselineConfig(shap_baseline="0,20"),
            seed=7,
        ),
    )
)
predictor = model.deploy(
    1,
    "ml.m5.large",
    endpoint_name="sdk2-explained",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    explainer_config=explainer,
    wait=False,
)
described = session.wait_for_endpoint("sdk2-explained", poll=1)
told = described["ExplainerConfig"]["ClarifyExplainerConfig"]
assert told["EnableExplanations"] == "[0]>`10`", told
assert told["ShapConfig"]["ShapBaselineConfig"] == {"MimeType": "text/csv", "ShapBaseline": "0,20"}, told
assert told["ShapConfig"]["Seed"] == 7, told
assert told["InferenceConfig"]["FeatureHeaders"] == ["hours", "age"], told


def explained(answer: dict) -> list:
    return [
        record and {each["feature_header"]: round(each["attributions"][0]["attribution"][0], 9) for each in record}
        for record in answer["explanations"].get("kernel_shap", [])
    ]


answer = predictor.predict([[8, 30], [0, 2]])
assert list(answer) == ["version", "predictions", "label_headers", "explanations"], answer
assert answer["predictions"] == {"content_type": "text/csv; charset=utf-8", "data": "31.0\n1.0\n"}, answer
assert answer["label_headers"] == ["wage"], answer
assert explained(answer) == [{"hours": 16.0, "age": 5.0}, None], answer
assert predictor.predict([[0, 2]])["explanations"] == {}

# `predict` has no parameter for the header that says otherwise: this is how scripts of the SDK do it.
asked = session.sagemaker_runtime_client.invoke_endpoint(
    EndpointName=predictor.endpoint_name, ContentType="text/csv", Body="0,2", EnableExplanations="`true`"
)
assert explained(JSONDeserializer().deserialize(asked["Body"], asked["ContentType"])) == [{"hours": 0.0, "age": -9.0}]
predictor.delete_model()
predictor.delete_endpoint()
