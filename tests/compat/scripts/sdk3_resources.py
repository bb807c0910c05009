"""SageMaker SDK 3: resources, through an update that alarms watch, a change of capacity, and a failed endpoint."""

import io
import tarfile

import boto3
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import (
    Alarm,
    AutoRollbackConfig,
    BlueGreenUpdatePolicy,
    ContainerDefinition,
    DeploymentConfig,
    DesiredWeightAndCapacity,
    ProductionVariant,
    Tag,
    TrafficRoutingConfig,
)
from sagemaker.core.utils.exceptions import FailedStatusError

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
SCRIPT = b"""
import os

def model_fn(model_dir):
    return os.environ["ANSWER"]

def transform_fn(model, body, content_type, accept):
    return model, "text/plain"
"""

s3 = boto3.client("s3")  # the environment is enough where nothing asks STS
s3.create_bucket(Bucket="sdk3-resources")
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    member = tarfile.TarInfo("code/inference.py")
    member.size = len(SCRIPT)
    archive.addfile(member, io.BytesIO(SCRIPT))
s3.put_object(Bucket="sdk3-resources", Key="model.tar.gz", Body=packed.getvalue())


def create(name: str, **environment: str) -> tuple[Model, EndpointConfig]:
    submitted = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    container = ContainerDefinition(
        image=IMAGE, model_data_url="s3://sdk3-resources/model.tar.gz", environment={**submitted, **environment}
    )
    model = Model.create(
        model_name=name, primary_container=container, execution_role_arn=ROLE, tags=[Tag(key="a", value="b")]
    )
    variant = ProductionVariant(
        variant_name="main",
        model_name=name,
        instance_type="ml.m5.large",
        initial_instance_count=1,
        initial_variant_weight=1.0,
    )
    return model, EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])


def answer(endpoint: Endpoint) -> bytes:
    return endpoint.invoke(body=b"", content_type="text/csv").body.read()


made = [create("sdk3-one", ANSWER="one"), create("sdk3-two", ANSWER="two"), create("sdk3-none")]
endpoint = Endpoint.create(endpoint_name="sdk3", endpoint_config_name="sdk3-one")
endpoint.wait_for_status("InService", poll=1)
assert answer(endpoint) == b"one"

cloudwatch = boto3.client("cloudwatch")
cloudwatch.put_metric_alarm(
    AlarmName="sdk3", Namespace="mine", MetricName="trouble", Statistic="Sum", Period=60, EvaluationPeriods=1,
    Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
)  # fmt: skip
routing = TrafficRoutingConfig(type="ALL_AT_ONCE", wait_interval_in_seconds=1)  # the SDK leaves out a 0
guarded = DeploymentConfig(
    blue_green_update_policy=BlueGreenUpdatePolicy(traffic_routing_configuration=routing),
    auto_rollback_configuration=AutoRollbackConfig(alarms=[Alarm(alarm_name="sdk3")]),
)
endpoint.endpoint_config_name = "sdk3-two"
endpoint.update(deployment_config=guarded)
endpoint.wait_for_status("InService", poll=1)
assert answer(endpoint) == b"two"
assert endpoint.last_deployment_config.auto_rollback_configuration.alarms[0].alarm_name == "sdk3"

endpoint.update_weights_and_capacities([DesiredWeightAndCapacity(variant_name="main", desired_instance_count=2)])
endpoint.wait_for_status("InService", poll=1)
assert endpoint.production_variants[0].current_instance_count == 2

failed = Endpoint.create(endpoint_name="sdk3-none", endpoint_config_name="sdk3-none")
try:
    failed.wait_for_status("InService", poll=1)
except FailedStatusError as error:
    assert "ANSWER" in str(error), error
else:
    raise AssertionError("an endpoint without an answer is in service")
assert {each.endpoint_name for each in Endpoint.get_all(name_contains="sdk3")} == {"sdk3", "sdk3-none"}
assert [each.model_name for each in Model.get_all(name_contains="sdk3-t")] == ["sdk3-two"]
assert [each.endpoint_config_name for each in EndpointConfig.get_all(name_contains="sdk3-t")] == ["sdk3-two"]

for each in endpoint, failed:
    each.delete()
    each.wait_for_delete(poll=1)
for model, config in made:
    config.delete()
    model.delete()
