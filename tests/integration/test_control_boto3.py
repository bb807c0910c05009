"""The management API as real clients see it: boto3 over HTTP, SQLite behind, each answer held against its shape."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from hostmaker.control.app import management_app
from hostmaker.control.services import Services
from hostmaker.domain.actions import Admit, Launch, SetStatus
from hostmaker.domain.endpoint import EndpointStatus
from hostmaker.domain.errors import ApiError
from hostmaker.domain.fleet import InstanceFact, InstanceState, Known
from hostmaker.domain.records import Moment, apply
from hostmaker.peripherals.identity import Identities
from hostmaker.peripherals.registry import Registry
from hostmaker.ports import StoreUnavailableError
from hostmaker.store.sqlite import SqliteStore
from hostmaker.testing.alarms import FakeAlarms
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
PREFIX = "arn:aws:sagemaker:us-west-2:123456789012"
ROLE = "arn:aws:iam::123456789012:role/Sage"
CONTAINER = {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {}}


class Objects:
    async def exists(self, bucket: str, key: str) -> bool:
        return key == "m.tar.gz"


@dataclass
class Server:
    """The app behind uvicorn in a thread of its own; `store` reads and writes the same database from outside."""

    url: str
    store: SqliteStore
    facts: dict[str, InstanceFact]
    warned: list[tuple[str, ...]]
    fault: list[Exception]

    def client(self, service: str, region: str = "us-west-2") -> Any:
        """Give a client that checks each answer, and sends what the gateway adds once it has verified a request."""
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="AKIAEXAMPLEEXAMPLE",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )

        def add_headers(request: Any, **_: Any) -> None:
            request.headers["x-hostmaker-region"] = region
            request.headers["x-hostmaker-service"] = client.meta.service_model.signing_name
            request.headers["x-hostmaker-access-key"] = "AKIAEXAMPLEEXAMPLE"
            request.headers["x-hostmaker-request-id"] = "request-1"

        client.meta.events.register("before-send", add_headers)
        client.meta.events.register("before-parse", check_answer)
        return client

    def reconcile(self, name: str, *actions: Any) -> None:
        """Record what the reconciler would."""
        endpoint = self.store.endpoint("us-west-2", name)
        assert endpoint is not None
        recorded, moment = endpoint.recorded, Moment(START + timedelta(seconds=60), 60.0, 1)
        for action in actions:
            recorded = apply(recorded, action, endpoint.desired, moment)
        assert self.store.record(recorded, endpoint.desired.generation)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Hold a JSON answer against the output's shape: known members of the right type, the required ones, no null."""
    assert response_dict["headers"]["x-amzn-RequestId"] == "request-1"
    body = response_dict["body"]
    if operation_model.service_model.metadata["protocol"] != "json" or response_dict["status_code"] >= 300:
        return
    if operation_model.output_shape is None:
        assert body == b""
        return
    check_value(operation_model.output_shape, json.loads(body), operation_model.name)


def check_value(shape: Any, value: Any, path: str) -> None:
    match shape.type_name:
        case "structure":
            assert set(value) <= set(shape.members), path
            assert set(shape.required_members) <= set(value), path
            for name, item in value.items():
                check_value(shape.members[name], item, f"{path}.{name}")
        case "list":
            assert isinstance(value, list), path
            for item in value:
                check_value(shape.member, item, f"{path}[]")
        case "map":
            for item in value.values():
                check_value(shape.value, item, f"{path}{{}}")
        case "string":
            assert isinstance(value, str), path
        case "boolean":
            assert isinstance(value, bool), path
        case "timestamp":
            assert isinstance(value, int | float), path
            assert not isinstance(value, bool), path
        case _:
            assert isinstance(value, int | float), path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "state.db"
    made = Server("", SqliteStore(path), {}, [], [])
    ids, ticks = itertools.count(), itertools.count()
    listener = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running: list[uvicorn.Server] = []

    def fail(*_: Any) -> Any:
        raise made.fault.pop()

    def serve() -> None:
        store = SqliteStore(path)  # belongs to the thread that serves
        services = Services(
            store=store,
            objects=Objects(),
            specs=MemoryExplainerSpecs(),
            now=lambda: START + timedelta(seconds=next(ticks)),
            new_id=lambda: f"uid-{next(ids)}",
            wake=lambda: None,
            facts=lambda: Known(1, made.facts),
            warn=lambda region, endpoint, members: made.warned.append(members),
            alarms=FakeAlarms(lambda: START),
            account="123456789012",
        )
        others = {
            **Identities(lambda key: "secret", lambda: START, START, store).handlers(),
            **Registry({"sagemaker-scikit-learn": ["1.2-1-cpu-py3"]}, lambda: START, START).handlers(),
            ("logs", "DescribeLogGroups"): fail,
        }
        app = management_app(services, others, "eu-central-1", frozenset({"ml.home.small"}))
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", loop="asyncio")
        running.append(uvicorn.Server(config))
        asyncio.run(running[0].serve(sockets=[listener]))
        store.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield made
    while not running:
        time.sleep(0.01)
    running[0].should_exit = True
    thread.join(20)
    listener.close()
    made.store.close()


def variant(**further: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": "My-Model",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **further,
    }


def create(client: Any, **endpoint: Any) -> None:
    client.create_model(ModelName="My-Model", PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)
    client.create_endpoint_config(EndpointConfigName="My-Config", ProductionVariants=[variant(VolumeSizeInGB=5)])
    client.create_endpoint(EndpointName="My-Endpoint", EndpointConfigName="My-Config", **endpoint)


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str, int]:
    """Give code, message and status of a refusal."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_model_a_config_and_an_endpoint_through_their_lives(server: Server) -> None:
    client = server.client("sagemaker")
    create(client, Tags=[{"Key": "k", "Value": "v"}])
    assert server.warned == [("ProductionVariants.1.VolumeSizeInGB", "ExecutionRoleArn")]

    model = client.describe_model(ModelName="my-model")
    assert model.pop("ResponseMetadata")["RequestId"] == "request-1"
    assert model["CreationTime"].replace(tzinfo=UTC).year == 2026
    assert set(model) == {"ModelName", "ModelArn", "PrimaryContainer", "ExecutionRoleArn", "CreationTime"}
    assert model["PrimaryContainer"] == CONTAINER
    config = client.describe_endpoint_config(EndpointConfigName="My-Config")
    assert config["ProductionVariants"] == [variant(VolumeSizeInGB=5, InitialVariantWeight=1.0)]

    endpoint = client.describe_endpoint(EndpointName="My-Endpoint")
    assert endpoint["EndpointStatus"] == "Creating"
    assert endpoint["EndpointArn"] == f"{PREFIX}:endpoint/my-endpoint"
    (pending,) = endpoint["PendingDeploymentSummary"]["ProductionVariants"]
    assert pending["VariantStatus"][0]["StatusMessage"] == "Launching 1 instance(s)."
    assert "ProductionVariants" not in endpoint
    assert refusal(client.delete_endpoint, EndpointName="My-Endpoint") == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{PREFIX}:endpoint/my-endpoint".',
        400,
    )

    server.reconcile("My-Endpoint", Launch("AllTraffic", 0, "created"))
    stored = server.store.endpoint("us-west-2", "my-endpoint")
    assert stored is not None
    ident = stored.recorded.members[0].instance_id
    server.facts[ident] = InstanceFact(ident, InstanceState.HEALTHY, START, pid=7)
    server.reconcile("My-Endpoint", Admit(ident, "/s"), SetStatus(EndpointStatus.IN_SERVICE, "healthy"))
    client.get_waiter("endpoint_in_service").wait(
        EndpointName="My-Endpoint", WaiterConfig={"Delay": 0, "MaxAttempts": 3}
    )
    (live,) = client.describe_endpoint(EndpointName="My-Endpoint")["ProductionVariants"]
    assert (live["CurrentInstanceCount"], live["DesiredInstanceCount"], live["CurrentWeight"]) == (1, 1, 1.0)
    (shown,) = server.get("/_hostmaker/status")["endpoints"]
    assert (shown["name"], shown["status"], shown["instances"][0]["pid"]) == ("My-Endpoint", "InService", 7)
    assert shown["variants"][0]["in_service"] == 1

    client.delete_endpoint_config(EndpointConfigName="My-Config")
    client.delete_model(ModelName="My-Model")
    client.delete_endpoint(EndpointName="My-Endpoint")
    assert client.describe_endpoint(EndpointName="My-Endpoint")["EndpointStatus"] == "Deleting"
    server.store.forget_endpoint(stored.desired.uid)
    client.get_waiter("endpoint_deleted").wait(EndpointName="My-Endpoint", WaiterConfig={"Delay": 0, "MaxAttempts": 3})
    assert client.list_endpoints()["Endpoints"] == []


def test_an_update_answers_at_once_and_shows_as_updating(server: Server) -> None:
    client = server.client("sagemaker")
    create(client)
    server.reconcile("My-Endpoint", Launch("AllTraffic", 0, "created"))
    stored = server.store.endpoint("us-west-2", "my-endpoint")
    assert stored is not None
    ident = stored.recorded.members[0].instance_id
    server.reconcile("My-Endpoint", Admit(ident, "/s"), SetStatus(EndpointStatus.IN_SERVICE, "healthy"))
    client.create_endpoint_config(EndpointConfigName="Next", ProductionVariants=[variant(InitialInstanceCount=2)])
    code, message, _ = refusal(
        client.update_endpoint,
        EndpointName="My-Endpoint",
        EndpointConfigName="Next",
        DeploymentConfig={"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    )
    assert (code, message) == ("ValidationException", 'Could not find CloudWatch alarm "a".')
    answer = client.update_endpoint(EndpointName="My-Endpoint", EndpointConfigName="Next")
    assert answer["EndpointArn"] == f"{PREFIX}:endpoint/my-endpoint"
    endpoint = client.describe_endpoint(EndpointName="My-Endpoint")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("Updating", "My-Config")
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    pending = endpoint["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == "Next"
    assert pending["ProductionVariants"][0]["DesiredInstanceCount"] == 2


def test_a_failure_is_told_to_the_waiter(server: Server) -> None:
    client = server.client("sagemaker")
    create(client, DeploymentConfig={"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}})
    server.reconcile("My-Endpoint", SetStatus(EndpointStatus.FAILED, "why", "The container did not start."))
    with pytest.raises(WaiterError) as raised:
        client.get_waiter("endpoint_in_service").wait(EndpointName="My-Endpoint")
    last = raised.value.last_response
    assert last["FailureReason"] == "The container did not start."
    assert last["LastDeploymentConfig"] == {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}}
    assert "ProductionVariants" not in last


def test_refusals_have_the_services_codes_and_texts(server: Server) -> None:
    client = server.client("sagemaker")
    create(client)
    assert refusal(client.describe_endpoint, EndpointName="Gone") == (
        "ValidationException",
        f'Could not find endpoint "{PREFIX}:endpoint/gone".',
        400,
    )
    code, message, status = refusal(client.create_model, ModelName="my-MODEL", PrimaryContainer=CONTAINER)
    assert (code, status) == ("ValidationException", 400)
    assert message == f'Cannot create already existing model "{PREFIX}:model/my-model".'
    code, message, _ = refusal(client.describe_model, ModelName="bad name!")
    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value 'bad name!' at 'modelName' failed to satisfy")
    code, message, _ = refusal(
        client.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant(InstanceType="ml.no.such")]
    )
    assert "at 'productionVariants.1.member.instanceType' failed to satisfy constraint" in message
    code, message, _ = refusal(client.update_endpoint, EndpointName="My-Endpoint", EndpointConfigName="My-Config")
    assert (code, message) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{PREFIX}:endpoint/my-endpoint".',
    )
    code, message, _ = refusal(client.list_models, NextToken="x")
    assert (code, message) == ("ValidationException", "Invalid pagination token.")


def test_an_instance_type_of_the_operator_is_accepted(server: Server) -> None:
    client = server.client("sagemaker")
    client.create_model(ModelName="My-Model", PrimaryContainer=CONTAINER)
    client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant(InstanceType="ml.home.small")])
    shown = client.describe_endpoint_config(EndpointConfigName="c")
    assert shown["ProductionVariants"][0]["InstanceType"] == "ml.home.small"


def test_paginators_reach_everything(server: Server) -> None:
    client = server.client("sagemaker")
    for number in range(23):
        client.create_model(ModelName=f"model-{number}", PrimaryContainer={"Image": "i"})
    pages = list(client.get_paginator("list_models").paginate())
    assert [len(page["Models"]) for page in pages] == [10, 10, 3]
    shown = [item["ModelName"] for page in pages for item in page["Models"]]
    assert shown == [f"model-{number}" for number in reversed(range(23))]
    assert [item["ModelName"] for item in client.list_models(CreationTimeAfter=START, MaxResults=1)["Models"]]
    assert client.list_endpoint_configs()["EndpointConfigs"] == []


def test_tags(server: Server) -> None:
    client = server.client("sagemaker")
    create(client, Tags=[{"Key": "a", "Value": "1"}])
    arn = f"{PREFIX}:endpoint/my-endpoint"
    assert client.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])["Tags"][1]["Key"] == "b"
    client.delete_tags(ResourceArn=arn, TagKeys=["a", "none"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert list(client.get_paginator("list_tags").paginate(ResourceArn=arn).search("Tags[].Key")) == ["b"]
    assert client.list_monitoring_schedules(EndpointName="My-Endpoint")["MonitoringScheduleSummaries"] == []


def test_regions_do_not_see_each_other(server: Server) -> None:
    create(server.client("sagemaker"))
    elsewhere = server.client("sagemaker", "us-gov-east-1")
    assert elsewhere.list_endpoints()["Endpoints"] == []
    made = elsewhere.create_model(ModelName="My-Model", PrimaryContainer=CONTAINER)
    assert made["ModelArn"] == "arn:aws-us-gov:sagemaker:us-gov-east-1:123456789012:model/my-model"


def test_sts_and_iam(server: Server) -> None:
    sts, iam = server.client("sts"), server.client("iam")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    given = sts.assume_role(RoleArn=ROLE, RoleSessionName="session")
    assert given["Credentials"]["AccessKeyId"] == "AKIAEXAMPLEEXAMPLE"
    assert given["Credentials"]["Expiration"] == START.replace(microsecond=123000) + timedelta(hours=1)
    policy = {"Version": "2012-10-17", "Statement": []}
    code, message, status = refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="session", Policy=json.dumps(policy))
    assert (code, status) == ("ValidationError", 400)
    assert message.startswith("Policy of AssumeRole is not supported")

    made = iam.create_role(RoleName="Sage", AssumeRolePolicyDocument=json.dumps(policy))["Role"]
    assert made["Arn"] == ROLE
    assert made["AssumeRolePolicyDocument"] == policy
    assert iam.get_role(RoleName="Sage")["Role"] == made
    assert iam.get_role(RoleName="Other")["Role"]["RoleId"].startswith("AROA")
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="sage", AssumeRolePolicyDocument="{}")
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_role(RoleName="bad", AssumeRolePolicyDocument="{")
    answer = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["sagemaker:CreateModel"])
    assert [result["EvalDecision"] for result in answer["EvaluationResults"]] == ["allowed"]


def test_ecr(server: Server) -> None:
    ecr = server.client("ecr")
    (repository,) = ecr.describe_repositories()["repositories"]
    assert repository["repositoryUri"] == "123456789012.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn"
    (image,) = ecr.describe_images(repositoryName="sagemaker-scikit-learn")["imageDetails"]
    assert image["imageTags"] == ["1.2-1-cpu-py3"]
    assert "imageDigest" not in image
    idents = [{"imageTag": "1.2-1-cpu-py3"}, {"imageTag": "none"}]
    given = ecr.batch_get_image(repositoryName="sagemaker-scikit-learn", imageIds=idents)
    assert [item["imageId"] for item in given["images"]] == idents[:1]
    assert [item["imageId"] for item in given["failures"]] == idents[1:]
    assert ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName="none")
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName="sagemaker-scikit-learn", imageIds=[{"imageTag": "none"}])


def test_what_is_not_served_says_so(server: Server) -> None:
    code, message, status = refusal(server.client("sagemaker").list_training_jobs)
    assert (code, status) == ("UnknownOperationException", 400)
    assert "ListTrainingJobs" in message
    code, message, _ = refusal(server.client("logs").describe_log_streams, logGroupName="g")
    assert code == "UnknownOperationException"
    assert "DescribeLogStreams" in message
    code, message, _ = refusal(server.client("sns").list_topics)
    assert code == "UnknownOperationException"
    assert "ListTopics" in message
    with pytest.raises(urllib.error.HTTPError) as raised:
        server.get("/no/such/page")
    assert raised.value.code == 400
    assert json.loads(raised.value.read())["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("fault", "code", "status", "words"),
    [
        (RuntimeError("private"), "InternalFailure", 500, "failed by a fault of the server"),
        (StoreUnavailableError("The disk is full."), "InternalFailure", 500, "The disk is full. Nothing was changed"),
        (ApiError("said"), "InternalFailure", 500, "said"),
    ],
)
def test_faults_of_ours_are_answers_too(server: Server, fault: Exception, code: str, status: int, words: str) -> None:
    server.fault.append(fault)
    told = refusal(server.client("logs").describe_log_groups)
    assert (told[0], told[2]) == (code, status)
    assert words in told[1]
    assert "private" not in told[1]
    assert server.get("/_hostmaker/health")["role"] == "control"


def test_a_request_that_bears_no_headers_of_the_gateway(server: Server) -> None:
    request = urllib.request.Request(
        server.url, b"{}", {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.loads(answer.read()) == {"Models": []}
        assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
        assert len(answer.headers["x-amzn-RequestId"]) == 36


def test_a_client_that_leaves_in_the_middle_of_its_request_harms_nobody(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    for _ in range(3):
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert server.get("/_hostmaker/health")["role"] == "control"
    assert "Traceback" not in caplog.text


def test_what_was_created_is_there_in_the_next_life(server: Server) -> None:
    create(server.client("sagemaker"))
    again = SqliteStore(Path(server.store._db.execute("PRAGMA database_list").fetchone()[2]))
    endpoint = again.endpoint("us-west-2", "my-endpoint")
    assert endpoint is not None
    assert (endpoint.desired.name, endpoint.desired.target.config_name) == ("My-Endpoint", "My-Config")
    assert endpoint.recorded.status is EndpointStatus.CREATING
    again.close()
