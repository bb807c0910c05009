"""SageMaker SDK 2: two variants, chosen by name; update in place; a failed endpoint raises with its reason; names."""

import tarfile

import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.predictor import Predictor
from sagemaker.session import production_variant
from sagemaker.sklearn import SKLearnModel

from hostmaker.session import open_session

SCRIPT = """
import os

def model_fn(model_dir):
    return os.environ["ANSWER"]

def transform_fn(model, body, content_type, accept):
    if model == "none":
        raise ValueError("no answer")
    return model, "text/plain"
"""

session = sagemaker.Session(boto_session=open_session())
assert session.default_bucket() == f"sagemaker-us-east-1-{session.account_id()}"
role = sagemaker.get_execution_role(session)
with open("answer.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))


def create_model(answer: str) -> str:
    model = SKLearnModel(
        model_data=session.upload_data("model.tar.gz", key_prefix="answers"),
        role=role,
        entry_point="answer.py",
        framework_version="1.2-1",
        env={"ANSWER": answer},
        name=f"sdk2-{answer}",
        sagemaker_session=session,
    )
    model.create(instance_type="ml.m5.large")
    return model.name


variants = [production_variant(create_model(each), "ml.m5.large", 1, each, 1) for each in ("one", "two")]
session.endpoint_from_production_variants(
    "sdk2-variants", variants, tags=[{"Key": "a", "Value": "b"}], wait=False, live_logging=False
)
session.wait_for_endpoint("sdk2-variants", poll=1, live_logging=True)
predictor = Predictor("sdk2-variants", session)
assert {predictor.predict(b"", target_variant=each) for each in ("one", "two")} == {b"one", b"two"}
assert {predictor.predict(b"") for _ in range(60)} == {b"one", b"two"}

session.sagemaker_client.update_endpoint_weights_and_capacities(
    EndpointName="sdk2-variants", DesiredWeightsAndCapacities=[{"VariantName": "one", "DesiredWeight": 0}]
)
session.wait_for_endpoint("sdk2-variants", poll=1)
assert {predictor.predict(b"") for _ in range(20)} == {b"two"}

predictor.update_endpoint(
    model_name=create_model("three"), initial_instance_count=1, instance_type="ml.m5.large", wait=False
)
session.wait_for_endpoint("sdk2-variants", poll=1)
assert predictor.predict(b"") == b"three"

session.create_endpoint_config("sdk2-none", create_model("none"), 1, "ml.m5.large")
session.update_endpoint("sdk2-variants", "sdk2-none", wait=False)
session.wait_for_endpoint("sdk2-variants", poll=1)
try:
    predictor.predict(b"")
except session.sagemaker_runtime_client.exceptions.ModelError as error:
    assert "no answer" in error.response["Error"]["Message"], error
else:
    raise AssertionError("the model has answered")
predictor.delete_endpoint()

broken = SKLearnModel(
    model_data=session.upload_data("model.tar.gz", key_prefix="answers"),
    role=role,
    entry_point="answer.py",
    framework_version="1.2-1",
    name="sdk2-broken",  # without ANSWER, so that model_fn raises
    sagemaker_session=session,
)
broken.deploy(1, "ml.m5.large", endpoint_name="sdk2-broken", wait=False)
try:
    session.wait_for_endpoint("sdk2-broken", poll=1)
except UnexpectedStatusException as error:
    assert error.actual_status == "Failed", error
    assert "ANSWER" in str(error), error
else:
    raise AssertionError("an endpoint without an answer is in service")
session.delete_endpoint("sdk2-broken")
session.delete_endpoint_config("sdk2-broken")
for name in ("sdk2-one", "sdk2-two", "sdk2-three", "sdk2-none", "sdk2-broken"):
    session.delete_model(name)
