"""Plain boto3, whatever its age: upload, deploy, wait, invoke, stream, update with alarms, measure, list, delete."""

import io
import json
import tarfile
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

NAME = f"boto3-{boto3.__version__.replace('.', '-')}"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SCRIPT = b"""
import numpy

class Sum:
    def predict(self, rows):
        return numpy.atleast_2d(rows).sum(axis=1)

def model_fn(model_dir):
    return Sum()
"""
FAST = {"Delay": 1, "MaxAttempts": 100}
s3, sagemaker, runtime = (boto3.client(service) for service in ("s3", "sagemaker", "sagemaker-runtime"))
cloudwatch, logs, sts, iam = (boto3.client(service) for service in ("cloudwatch", "logs", "sts", "iam"))

account = sts.get_caller_identity()["Account"]
role = iam.get_role(RoleName="SageMaker")["Role"]["Arn"]
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    member = tarfile.TarInfo("code/inference.py")
    member.size = len(SCRIPT)
    archive.addfile(member, io.BytesIO(SCRIPT))
packed.seek(0)
s3.create_bucket(Bucket=NAME)
s3.upload_fileobj(packed, NAME, "model.tar.gz", ExtraArgs={"ServerSideEncryption": "aws:kms"})
assert [each["Key"] for each in s3.list_objects_v2(Bucket=NAME)["Contents"]] == ["model.tar.gz"]
large = bytes(20 * 1024 * 1024)
s3.upload_fileobj(io.BytesIO(large), NAME, "large")  # in parts
assert s3.get_object(Bucket=NAME, Key="large", Range="bytes=0-9")["Body"].read() == bytes(10)
s3.delete_objects(Bucket=NAME, Delete={"Objects": [{"Key": "large"}]})

environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
container = {"Image": IMAGE, "ModelDataUrl": f"s3://{NAME}/model.tar.gz", "Environment": environment}
sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer=container)
variant = {"VariantName": "AllTraffic", "ModelName": NAME, "InstanceType": "ml.m5.large"}
for config, count in ((NAME, 1), (f"{NAME}-two", 2)):
    sagemaker.create_endpoint_config(
        EndpointConfigName=config, ProductionVariants=[{**variant, "InitialInstanceCount": count}]
    )
sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME, Tags=[{"Key": "team", "Value": "a"}])
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig=FAST)
described = sagemaker.describe_endpoint(EndpointName=NAME)
assert described["CreationTime"].tzinfo is not None
assert sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"] == [{"Key": "team", "Value": "a"}]

answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Accept="text/csv", Body="1,2\n3,4")
assert answer["InvokedProductionVariant"] == "AllTraffic"
assert answer["Body"].read() == b"3.0\n7.0\n"
if hasattr(runtime, "invoke_endpoint_with_response_stream"):
    parts = runtime.invoke_endpoint_with_response_stream(
        EndpointName=NAME, ContentType="application/json", Accept="application/json", Body=json.dumps([[1, 2]])
    )["Body"]
    assert b"".join(part["PayloadPart"]["Bytes"] for part in parts) == b"[3.0]"
try:
    runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/odd", Body=b"")
except ClientError as error:
    assert error.response["Error"]["Code"] == "ModelError", error
    assert error.response["OriginalStatusCode"] == 415, error.response
else:
    raise AssertionError("an odd content type was taken")

dimensions = [{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "AllTraffic"}]
metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation4XXErrors", "Dimensions": dimensions}
cloudwatch.put_metric_alarm(
    AlarmName=NAME, **metric, Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1e9,
    ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
)  # fmt: skip
policy = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
deployment = {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": NAME}]}}
sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-two", DeploymentConfig=deployment)
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig=FAST)
described = sagemaker.describe_endpoint(EndpointName=NAME)
assert described["EndpointConfigName"] == f"{NAME}-two", described
assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2, described
assert "FailureReason" not in described

now = datetime.now(timezone.utc)  # noqa: UP017 - as scripts have it
span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1), "Period": 3600}
for _ in range(100):
    points = cloudwatch.get_metric_statistics(**{**metric, "MetricName": "Invocations"}, **span, Statistics=["Sum"])
    if sum(each["Sum"] for each in points["Datapoints"]) >= 2:
        break
    time.sleep(0.2)
else:
    raise AssertionError(points)
assert {each["Unit"] for each in points["Datapoints"]} == {"None"}, points
alarm = cloudwatch.describe_alarms(AlarmNames=[NAME])["MetricAlarms"][0]
assert alarm["StateValue"] in ("OK", "INSUFFICIENT_DATA"), alarm
assert alarm["Threshold"] == 1e9
cloudwatch.delete_alarms(AlarmNames=[NAME])
group = f"/aws/sagemaker/Endpoints/{NAME}"
streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="AllTraffic/")["logStreams"]
assert len(streams) == 3, streams

pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=NAME, PaginationConfig={"PageSize": 1})
assert [each["EndpointName"] for page in pages for each in page["Endpoints"]] == [NAME]
sagemaker.delete_endpoint(EndpointName=NAME)
sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig=FAST)
for config in (NAME, f"{NAME}-two"):
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
sagemaker.delete_model(ModelName=NAME)
s3.delete_object(Bucket=NAME, Key="model.tar.gz")
s3.delete_bucket(Bucket=NAME)
