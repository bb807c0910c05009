"""The main job through boto3 against a real server: create, describe, invoke, log, list, tag, delete."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError

from .conftest import IMAGE, ROLE, Server

pytestmark = pytest.mark.integration
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def test_the_whole_job(server: Server) -> None:
    sagemaker, runtime = server.client("sagemaker"), server.client("sagemaker-runtime")
    server.create("Whole-Job")
    pending = sagemaker.describe_endpoint(EndpointName="Whole-Job")
    if pending["EndpointStatus"] == "Creating":
        assert "ProductionVariants" not in pending
        (variant,) = pending["PendingDeploymentSummary"]["ProductionVariants"]
        assert variant["VariantStatus"][0]["StatusMessage"] == "Launching 1 instance(s)."
        assert variant["DesiredInstanceCount"] == 1
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="Whole-Job", WaiterConfig={"Delay": 1})
    live = sagemaker.describe_endpoint(EndpointName="Whole-Job")
    assert live["EndpointArn"] == f"{ARN}:endpoint/whole-job"
    assert live["EndpointConfigName"] == "Whole-Job"
    assert "PendingDeploymentSummary" not in live
    assert "FailureReason" not in live
    (variant,) = live["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == IMAGE
    assert "sagemaker-scikit-learn@sha256:" in image["ResolvedImage"]
    answer = runtime.invoke_endpoint(
        EndpointName="Whole-Job", ContentType="text/csv", Accept="text/csv", Body="1,2\n3,4"
    )
    assert answer["Body"].read() == b"3.0\n7.0\n"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    sagemaker.delete_endpoint(EndpointName="Whole-Job")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="Whole-Job", WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match=f'Could not find endpoint "{ARN}:endpoint/whole-job".'):
        sagemaker.describe_endpoint(EndpointName="Whole-Job")
    with pytest.raises(ClientError, match="Endpoint Whole-Job of account 123456789012 not found."):
        runtime.invoke_endpoint(EndpointName="Whole-Job", Body=b"1")


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/x-npy"])
def test_each_default_format(server: Server, endpoint: str, content_type: str) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.5]])
    npy = io.BytesIO()
    np.save(npy, rows)
    body = {"text/csv": b"1,2\n3,4.5\n", "application/json": b"[[1, 2], [3, 4.5]]", "application/x-npy": npy.getvalue()}
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType=content_type, Accept=content_type, Body=body[content_type]
    )
    got = answer["Body"].read()
    decoded: Any
    if content_type == "text/csv":
        decoded = np.loadtxt(io.BytesIO(got))
    elif content_type == "application/json":
        decoded = json.loads(got)
    else:
        decoded = np.load(io.BytesIO(got))
    assert list(decoded) == [3.0, 7.5]
    assert answer["ContentType"] == content_type + ("; charset=utf-8" if content_type == "text/csv" else "")


@pytest.mark.parametrize(
    ("content_type", "accept", "status", "error"),
    [
        ("text/plain", "text/csv", 415, "UnsupportedFormatError"),
        ("text/csv", "image/png", 406, "UnsupportedFormatError"),
        ("application/json", "application/json", 500, "JSONDecodeError"),
    ],
)
def test_what_the_image_answers_comes_as_a_model_error(
    server: Server, endpoint: str, content_type: str, accept: str, status: int, error: str
) -> None:
    runtime = server.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName=endpoint, ContentType=content_type, Accept=accept, Body=b"1,2")
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert json.loads(response["OriginalMessage"])["error"] == error
    assert (
        response["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/{endpoint}"
    )
    word = "client" if status < 500 else "server"
    assert response["Error"]["Message"].startswith(f'Received {word} error ({status}) from primary with message "{{')


def test_invocations_that_are_refused(server: Server, endpoint: str) -> None:
    runtime = server.client("sagemaker-runtime")
    refused = runtime.exceptions.ValidationError
    with pytest.raises(refused, match=f"Variant Other not found for endpoint {endpoint}."):
        runtime.invoke_endpoint(EndpointName=endpoint, TargetVariant="Other", Body=b"1")
    with pytest.raises(refused, match="does not support target model header"):
        runtime.invoke_endpoint(EndpointName=endpoint, TargetModel="m.tar.gz", Body=b"1")
    with pytest.raises(refused, match="has oversize body"):
        runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1" * 6_291_457)
    with pytest.raises(refused, match="Member must satisfy regular expression pattern"):
        runtime.invoke_endpoint(EndpointName=endpoint, TargetVariant="-bad-", Body=b"1")
    with pytest.raises(refused, match="is not an asynchronous endpoint"):
        runtime.invoke_endpoint_async(EndpointName=endpoint, InputLocation="s3://b/k")


def test_a_streamed_answer(server: Server) -> None:
    script = (
        "def model_fn(d): return 1\n"
        "def transform_fn(m, b, c, a): return iter([b'one ', b'two ', 'three']), 'text/plain'"
    )
    server.create("stream", script)
    assert server.wait_while("stream", "Creating")["EndpointStatus"] == "InService"
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName="stream", Body=b"x", ContentType="text/csv")
    assert answer["ContentType"] == "text/plain; charset=utf-8"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"one two three"
    whole = runtime.invoke_endpoint(EndpointName="stream", Body=b"x", ContentType="text/csv")
    assert whole["Body"].read() == b"one two three"
    server.client("sagemaker").delete_endpoint(EndpointName="stream")


def test_logs_show_what_the_model_and_the_platform_say(server: Server, endpoint: str) -> None:
    logs, runtime = server.client("logs"), server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=b"1,2")
    request_id = answer["ResponseMetadata"]["RequestId"]
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["logGroupName"] == group
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="AllTraffic/")["logStreams"]
    assert len(streams) >= 2  # instances that were replaced keep theirs
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
    messages = [event["message"] for event in events["events"]]
    assert "the model is being loaded" in messages
    assert any("healthy: /ping answered 200" in message for message in messages)
    filtered = logs.filter_log_events(logGroupName=group, filterPattern=f'"{request_id}"')["events"]
    assert [request_id in event["message"] for event in filtered] == [True]
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="The specified log group does not exist."):
        logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/none")


def test_lists_tags_and_names(server: Server, endpoint: str) -> None:
    sagemaker = server.client("sagemaker")
    assert [e["EndpointName"] for e in sagemaker.list_endpoints(NameContains="SHARED")["Endpoints"]] == [endpoint]
    arn = f"{ARN}:endpoint/{endpoint}"
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "b"}]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "absent"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        sagemaker.create_endpoint(EndpointName=endpoint.upper(), EndpointConfigName=endpoint)
    with pytest.raises(ClientError, match="Could not find model data at s3://models/none"):
        image = {"Image": IMAGE, "ModelDataUrl": "s3://models/none"}
        sagemaker.create_model(ModelName="none", ExecutionRoleArn=ROLE, PrimaryContainer=image)
    with pytest.raises(ClientError, match="Could not find model"):
        variant = {"VariantName": "v", "ModelName": "none", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName="none", ProductionVariants=[variant])


def test_who_calls(server: Server) -> None:
    assert server.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_an_assumed_role_reaches_the_object_store(server: Server, endpoint: str) -> None:
    arn = "arn:aws:iam::123456789012:role/service"
    role = server.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    session = boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"], "us-east-1")
    s3 = session.client("s3", endpoint_url=server.ready["endpoint_url"])
    s3.create_bucket(Bucket="of-a-role")
    s3.put_object(Bucket="of-a-role", Key="k", Body=b"x")
    assert s3.get_object(Bucket="of-a-role", Key="k")["Body"].read() == b"x"
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker", aws_secret_access_key="wrong").list_models()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker", aws_access_key_id="AKIAWRONG").list_models()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    with pytest.raises(ClientError) as caught:
        server.client("s3", aws_secret_access_key="wrong").list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_large_objects_pass_through_the_port(server: Server) -> None:
    s3 = server.client("s3")
    body = bytes(range(256)) * 4 * 1024 * 20
    server.upload("warm-up", {})
    s3.upload_fileobj(io.BytesIO(body), "models", "large")
    assert s3.get_object(Bucket="models", Key="large")["Body"].read() == body
    assert s3.get_object(Bucket="models", Key="large", Range="bytes=256-511")["Body"].read() == bytes(range(256))
    assert s3.head_object(Bucket="models", Key="large")["ContentLength"] == len(body)
    s3.copy_object(Bucket="models", Key="copy", CopySource="models/large")
    listed = s3.list_objects_v2(Bucket="models", Prefix="copy")["Contents"]
    assert [item["Size"] for item in listed] == [len(body)]
    s3.delete_objects(Bucket="models", Delete={"Objects": [{"Key": "copy"}, {"Key": "large"}]})
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="models", Key="large")
