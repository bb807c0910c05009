"""What a script in an instance can do with boto3 as it finds it: no keys, no addresses, no region in the script."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from soak.signature_judges import Gateway
from soak.signatures import fuzz

from .conftest import Server

pytestmark = pytest.mark.integration
ARN = "arn:aws:sts::123456789012:assumed-role/SageMaker/SageMaker"
# Runs what it is sent; what is assigned to `result` is the answer. One client lives as long as the instance.
SCRIPT = """
import io, json, os, time, urllib.request
import boto3
from boto3.s3.transfer import TransferConfig

started = boto3.client("s3")

def model_fn(directory):
    started.put_object(Bucket="models", Key="written/by/model_fn", Body=os.environ["AWS_REGION"].encode())
    return {"started": started}

def transform_fn(model, body, content_type, accept):
    names = dict(globals(), **model)
    try:
        exec(body, names)
        told = {"result": names["result"]}
    except Exception as error:
        told = {"error": "%s: %s" % (type(error).__name__, error)}
    return json.dumps(told), "application/json"
"""
FILES = {"code/requirements.txt": "boto3\n"}  # what brings packages of its own is started, all else is forked
Do = Callable[[str], Any]


def runner(server: Server, name: str) -> Do:
    runtime = server.client("sagemaker-runtime")

    def do(code: str) -> Any:
        """Run code in the instance; gives its `result`, raises AssertionError with what it raised."""
        got = runtime.invoke_endpoint(EndpointName=name, Body=code, ContentType="text/plain")
        told = json.loads(got["Body"].read())
        assert "error" not in told, told["error"]
        return told["result"]

    return do


@pytest.fixture(scope="module")
def do(server: Server) -> Iterator[Do]:
    server.create("scripted", SCRIPT)
    server.create("summing")
    assert server.wait_while("scripted", "Creating", 300)["EndpointStatus"] == "InService", server.log()
    assert server.wait_while("summing", "Creating")["EndpointStatus"] == "InService"
    yield runner(server, "scripted")
    for name in ("scripted", "summing"):
        server.client("sagemaker").delete_endpoint(EndpointName=name)


def test_code_that_runs_before_the_instance_is_in_service(server: Server, do: Do) -> None:
    assert do("result = 1") == 1
    written = server.client("s3").get_object(Bucket="models", Key="written/by/model_fn")
    assert written["Body"].read() == b"us-east-1"


def test_who_it_is(do: Do) -> None:
    told = do("result = boto3.client('sts').get_caller_identity(); result.pop('ResponseMetadata')")
    assert (told["Arn"], told["Account"]) == (ARN, "123456789012")
    assert told["UserId"].endswith(":SageMaker")


def test_its_credentials_are_temporary(do: Do) -> None:
    key, secret, token, left_s = do(
        "held = boto3.Session().get_credentials(); frozen = held.get_frozen_credentials()\n"
        "import datetime; now = datetime.datetime.now(datetime.timezone.utc)\n"
        "result = [*frozen, (held._expiry_time - now).total_seconds()][-4:]\n"
        "result = [frozen.access_key, frozen.secret_key, frozen.token, result[-1]]"
    )
    assert key.startswith("ASIA")
    assert secret
    assert token
    assert 3500 < left_s <= 3600
    assert not do("result = [n for n in os.environ if n in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY')]")


def test_objects(do: Do) -> None:
    assert do(
        "s3 = boto3.client('s3')\n"
        "s3.put_object(Bucket='models', Key='a key/ü+1', Body=b'abc', Metadata={'by': 'script'})\n"
        "s3.copy_object(Bucket='models', Key='copy', CopySource='models/a key/ü+1')\n"
        "got = s3.get_object(Bucket='models', Key='copy')\n"
        "listed = [o['Key'] for o in s3.list_objects_v2(Bucket='models', Prefix='a ')['Contents']]\n"
        "s3.delete_objects(Bucket='models', Delete={'Objects': [{'Key': 'copy'}]})\n"
        "s3.delete_object(Bucket='models', Key='a key/ü+1')\n"
        "s3.head_bucket(Bucket='models'); s3.list_buckets(); s3.get_bucket_location(Bucket='models')\n"
        "result = [got['Body'].read().decode(), got['Metadata'], listed]"
    ) == ["abc", {"by": "script"}, ["a key/ü+1"]]


def test_large_objects_in_parts(do: Do) -> None:
    assert do(
        "data = os.urandom(1 << 20) * 13\n"
        "config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)\n"
        "bucket = boto3.resource('s3').Bucket('models')\n"
        "bucket.upload_fileobj(io.BytesIO(data), 'large', Config=config)\n"
        "back = io.BytesIO(); bucket.download_fileobj('large', back, Config=config)\n"
        "whole = bucket.Object('large').get()['Body'].read()\n"
        "bucket.Object('large').delete()\n"
        "result = [back.getvalue() == data, whole == data]"
    ) == [True, True]


def test_encryption_is_asked_for_as_the_sdk_does(do: Do) -> None:
    assert (
        do(
            "s3 = boto3.client('s3')\n"
            "s3.put_object(Bucket='models', Key='kms', Body=b'x', ServerSideEncryption='aws:kms')\n"
            "result = s3.get_object(Bucket='models', Key='kms')['Body'].read().decode()"
        )
        == "x"
    )


def test_presigned_addresses(do: Do) -> None:
    assert (
        do(
            "s3 = boto3.client('s3', config=boto3.session.Config(signature_version='s3v4'))\n"
            "named = dict(Bucket='models', Key='presigned/a b')\n"
            "put = s3.generate_presigned_url('put_object', named, 60)\n"
            "urllib.request.urlopen(urllib.request.Request(put, b'presigned', {'Content-Type': ''}, method='PUT'))\n"
            "result = urllib.request.urlopen(s3.generate_presigned_url('get_object', named, 60)).read().decode()"
        )
        == "presigned"
    )


def test_another_endpoint_is_invoked(do: Do) -> None:
    assert do(
        "runtime = boto3.client('sagemaker-runtime')\n"
        "got = runtime.invoke_endpoint(EndpointName='summing', Body='[[1, 2]]', ContentType='application/json')\n"
        "result = json.loads(got['Body'].read())"
    ) == [3]


def test_metrics_of_its_own(server: Server, do: Do) -> None:
    do(
        "boto3.client('cloudwatch').put_metric_data(Namespace='Script', MetricData=[{'MetricName': 'm', 'Value': 1}])\n"
        "result = 0"
    )
    assert server.client("cloudwatch").list_metrics(Namespace="Script")["Metrics"]


@pytest.mark.parametrize(
    ("service", "call", "code", "action", "resource"),
    [
        ("sagemaker", "create_model(ModelName='No', ExecutionRoleArn='arn:aws:iam::123456789012:role/R')",
         "AccessDeniedException", "sagemaker:CreateModel",
         " on resource: arn:aws:sagemaker:us-east-1:123456789012:model/no"),
        ("sagemaker", "delete_endpoint(EndpointName='summing')",
         "AccessDeniedException", "sagemaker:DeleteEndpoint",
         " on resource: arn:aws:sagemaker:us-east-1:123456789012:endpoint/summing"),
        ("sagemaker", "describe_model(ModelName='summing')",
         "AccessDeniedException", "sagemaker:DescribeModel",
         " on resource: arn:aws:sagemaker:us-east-1:123456789012:model/summing"),
        ("sagemaker", "list_endpoints()", "AccessDeniedException", "sagemaker:ListEndpoints", " on resource: *"),
        ("sts", "assume_role(RoleArn='arn:aws:iam::123456789012:role/Admin', RoleSessionName='s1')",
         "AccessDenied", "sts:AssumeRole", " on resource: arn:aws:iam::123456789012:role/Admin"),
        ("iam", "get_role(RoleName='R')", "AccessDenied", "iam:GetRole", " on resource: role R"),
        ("cloudwatch", "list_metrics()", "AccessDenied", "cloudwatch:ListMetrics", ""),
        ("logs", "describe_log_groups()", "AccessDeniedException", "logs:DescribeLogGroups", ""),
        ("ecr", "get_authorization_token()", "AccessDeniedException", "ecr:GetAuthorizationToken", " on resource: *"),
        ("s3", "create_bucket(Bucket='anew')", "AccessDenied", "s3:CreateBucket", ' on resource: "arn:aws:s3:::anew"'),
        ("s3", "delete_bucket(Bucket='models')", "AccessDenied", "s3:DeleteBucket",
         ' on resource: "arn:aws:s3:::models"'),
        ("s3", "put_bucket_policy(Bucket='models', Policy='{}')", "AccessDenied", "s3:PutBucketPolicy",
         ' on resource: "arn:aws:s3:::models"'),
    ],
)  # fmt: skip
def test_it_manages_nothing(do: Do, service: str, call: str, code: str, action: str, resource: str) -> None:
    told = do(
        "from botocore.exceptions import ClientError\n"
        f"try: boto3.client('{service}').{call}; result = 'allowed'\n"
        "except ClientError as error: result = [error.response['Error']['Code'], error.response['Error']['Message']]"
    )
    why = f"because no identity-based policy allows the {action} action"
    assert told == [code, f"User: {ARN} is not authorized to perform: {action}{resource} {why}"]


def test_pages_of_the_server_are_closed_to_it(do: Do) -> None:
    told = do(
        "from botocore.awsrequest import AWSRequest; from botocore.auth import SigV4Auth; import urllib.error\n"
        "result = []\n"
        "for page in ('/_hostmaker/status', '/_hostmaker/events', '/metrics'):\n"
        "    asked = AWSRequest('GET', os.environ['AWS_ENDPOINT_URL'] + page)\n"
        "    SigV4Auth(boto3.Session().get_credentials(), 'sagemaker', 'us-east-1').add_auth(asked)\n"
        "    request = urllib.request.Request(asked.url, headers=dict(asked.headers))\n"
        "    try: result.append(urllib.request.urlopen(request).status)\n"
        "    except urllib.error.HTTPError as error: result.append(error.status)"
    )
    assert told == [400, 400, 200]  # metrics are open to this machine, with or without a signature


def test_they_are_worthless_when_the_instance_has_ended(server: Server, do: Do) -> None:
    server.create("short", SCRIPT)
    assert server.wait_while("short", "Creating")["EndpointStatus"] == "InService"
    key, secret, token, url = runner(server, "short")(
        "frozen = boto3.Session().get_credentials().get_frozen_credentials()\n"
        "result = [frozen.access_key, frozen.secret_key, frozen.token, os.environ['AWS_ENDPOINT_URL']]"
    )
    taken = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
    sts, s3 = server.client("sts", **taken), server.client("s3", **taken)
    runtime = server.client("sagemaker-runtime", endpoint_url=url, **taken)
    assert sts.get_caller_identity()["Arn"] == ARN
    assert s3.list_objects_v2(Bucket="models")["KeyCount"]
    server.client("sagemaker").delete_endpoint(EndpointName="short")
    until_refused(sts.get_caller_identity)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()
    with pytest.raises(ClientError, match="InvalidToken"):
        s3.list_objects_v2(Bucket="models")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        runtime.invoke_endpoint(EndpointName="summing", Body=b"[]")


def until_refused(call: Callable[[], Any], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            call()
        except ClientError:
            return
        time.sleep(0.05)
    pytest.fail("it goes on being answered")


def test_a_gateway_lets_through_what_was_signed_and_nothing_else(server: Server, do: Do) -> None:
    """A sample; `tests/unit/test_signature_fuzz.py` and the soak have more."""
    assert do("result = 1") == 1
    specs = (server.data_dir / "instances").glob("*/spec.json")
    instance = next(path.parent.name for path in specs if json.loads(path.read_text())["endpoint"] == "summing")
    gateway = Gateway(server.ready, instance, "summing")
    told = fuzz(5, 60, gateway.keys, gateway.judge)
    assert not told.wrong
    assert told.passed
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("service", ["sts", "execute-api", "monitoring", "sagemaker-runtime"])
def test_an_invocation_is_signed_for_sagemaker(server: Server, do: Do, service: str) -> None:
    assert do("result = 1") == 1
    keys = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    for path in ("/endpoints/summing/invocations", "/_hostmaker/status"):
        request = AWSRequest("GET" if "status" in path else "POST", server.ready["endpoint_url"] + path, data=b"1,2")
        SigV4Auth(keys, service, "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(request.url).netloc, timeout=20)
        connection.request(request.method, path, b"1,2", dict(request.headers))
        answer = connection.getresponse()
        assert answer.status == 403
        assert b"Credential should be scoped to correct service: 'sagemaker'. " in answer.read()


@pytest.mark.parametrize("size", [0, 7, 300_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_another_body_than_the_one_that_was_signed_is_not_kept(server: Server, size: int, is_chunked: bool) -> None:
    """The store that comes along would keep it."""
    s3 = server.client("s3")
    s3.put_object(Bucket="models", Key="tampered", Body=b"before")
    keys = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    request = AWSRequest("PUT", server.ready["endpoint_url"] + "/models/tampered", data=b"x" * size)
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(request.url).netloc, timeout=20)
    body = b"x" * max(size - 1, 0) + b"!"
    sent = dict(request.headers)
    connection.request("PUT", "/models/tampered", iter([body]) if is_chunked else body, sent, encode_chunked=is_chunked)
    answer = connection.getresponse()
    assert (answer.status, b"XAmzContentSHA256Mismatch" in answer.read()) == (400, True)
    connection.request("GET", "/nothing", headers={"Host": "localhost"})
    assert connection.getresponse().status == 403  # the connection goes on, or is opened again
    assert s3.get_object(Bucket="models", Key="tampered")["Body"].read() == b"before"


def test_a_session_token_is_no_ornament(server: Server) -> None:
    """Of a permanent key, none is right."""
    for service, call, code in (
        ("sagemaker", "list_models", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidToken"),
    ):
        with pytest.raises(ClientError, match=code):
            getattr(server.client(service, aws_session_token="ornament"), call)()


def test_another_port_and_no_signatures(tmp_path: Path) -> None:
    """A client that lives on in an instance reaches the server when it comes back on another port."""
    server = Server(tmp_path / "data", ("--auth", "off")).start()
    try:
        server.create("lasting", SCRIPT, files=FILES)
        assert server.wait_while("lasting", "Creating", 300)["EndpointStatus"] == "InService", server.log()
        do = runner(server, "lasting")
        assert do("result = boto3.client('sts').get_caller_identity()['Arn']") == ARN
        with pytest.raises(AssertionError, match="is not authorized to perform: sagemaker:ListModels"):
            do("result = boto3.client('sagemaker').list_models()")
        unsigned = boto3.client(
            "sagemaker",
            endpoint_url=server.ready["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id="anyone",
            aws_secret_access_key="any",
            aws_session_token="of another account",
            config=Config(retries={"max_attempts": 0}),
        )
        assert unsigned.list_models()["Models"]
        before, pid = server.ready["endpoint_url"], do("result = os.getpid()")
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        server.start()
        do = runner(server, "lasting")
        assert server.ready["endpoint_url"] != before
        assert until_answered(lambda: do("result = os.getpid()")) == pid
        assert do("result = started.get_object(Bucket='models', Key='written/by/model_fn')['Body'].read().decode()")
        assert do("result = boto3.Session().client('sts').get_caller_identity()['Arn']") == ARN
    finally:
        server.stop()


def until_answered(call: Callable[[], Any], within_s: float = 30) -> Any:
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except ClientError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
