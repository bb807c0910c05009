"""SageMaker SDK 2: the options of model and deploy that a script may have, and what Describe then says."""

import tarfile

import boto3
import sagemaker
from sagemaker.predictor import Predictor
from sagemaker.sklearn import SKLearnModel

from hostmaker.session import open_session

SCRIPT = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return body, "text/plain"
"""
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
with open("serve.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
model = SKLearnModel(
    model_data=session.upload_data(
        "model.tar.gz", key_prefix="options", extra_args={"ServerSideEncryption": "aws:kms"}
    ),
    role="arn:aws:iam::123456789012:role/SageMaker",
    entry_point="serve.py",
    framework_version="1.2-1",
    name="sdk2-options",
    env={"MINE": "1"},
    model_kms_key=KEY,
    vpc_config={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    model_server_workers=1,
    predictor_cls=Predictor,
    sagemaker_session=session,
)
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="sdk2-options",
    tags=[{"Key": "team", "Value": "a"}],
    kms_key=KEY,
    volume_size=20,
    model_data_download_timeout=300,
    container_startup_health_check_timeout=120,
    routing_config={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    wait=False,
)
session.wait_for_endpoint("sdk2-options", poll=1)
described = session.sagemaker_client.describe_endpoint_config(EndpointConfigName="sdk2-options")
assert described["KmsKeyId"] == KEY, described
(variant,) = described["ProductionVariants"]
wanted = {
    "VolumeSizeInGB": 20,
    "ModelDataDownloadTimeoutInSeconds": 300,
    "ContainerStartupHealthCheckTimeoutInSeconds": 120,
    "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
}
assert {name: variant[name] for name in wanted} == wanted, variant
shown = session.sagemaker_client.describe_model(ModelName="sdk2-options")
assert shown["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}, shown
assert shown["PrimaryContainer"]["Environment"]["MINE"] == "1", shown
assert {"Key": "team", "Value": "a"} in session.list_tags(described["EndpointConfigArn"]), described

attributes = {"CustomAttributes": "trace=1"}
assert predictor.predict(b"abc", initial_args=attributes, inference_id="mine") == b"abc"
assert b"".join(predictor.predict_stream(b"abc")) == b"abc"
assert predictor.list_monitors() == []

again = Predictor("sdk2-options", session)  # copies the config that it finds
again.update_endpoint(tags=[{"Key": "team", "Value": "b"}], wait=False)
now = session.wait_for_endpoint("sdk2-options", poll=1)
assert now["EndpointConfigName"] != "sdk2-options", now
copied = session.sagemaker_client.describe_endpoint_config(EndpointConfigName=now["EndpointConfigName"])
assert copied["ProductionVariants"] == described["ProductionVariants"], copied
assert copied["KmsKeyId"] == KEY, copied
predictor.delete_model()
predictor.delete_endpoint()
