"""The management operations over the store in memory: what they keep, and every text that clients match."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hostmaker.control.app import operations
from hostmaker.control.services import Services
from hostmaker.domain.alarm import AlarmState
from hostmaker.domain.endpoint import EndpointStatus, RequestKind
from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.errors import ApiError, InternalFailure, ValidationException
from hostmaker.domain.fleet import Unknown
from hostmaker.domain.model import Channel, Container, DataLayout, ModelData
from hostmaker.kit.codec import decode, encode
from hostmaker.ports import (
    CallContext,
    ObjectForbiddenError,
    ObjectMissingError,
    ObjectsUnavailableError,
    ObjectTooLargeError,
)
from hostmaker.testing.alarms import FakeAlarms
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs
from hostmaker.testing.store import MemoryStore

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/service-role/Sage"
PREFIX = "arn:aws:sagemaker:us-east-1:123456789012"


@dataclass
class Objects:
    """Object store in memory; `fails` is raised instead of an answer."""

    keys: set[tuple[str, str]] = field(default_factory=set)
    contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    fails: Exception | None = None
    during: Callable[[], None] = lambda: None

    async def exists(self, bucket: str, key: str) -> bool:
        self.during()
        if self.fails:
            raise self.fails
        if not key or key.endswith("/"):
            return any(b == bucket and k.startswith(key) for b, k in self.keys)
        return (bucket, key) in self.keys

    async def read(self, bucket: str, key: str, most: int) -> bytes:
        self.during()
        if self.fails:
            raise self.fails
        content = self.contents.get((bucket, key))
        if content is None:
            raise ObjectMissingError(f"There is no object at s3://{bucket}/{key}.")
        if len(content) > most:
            raise ObjectTooLargeError(f"It has {len(content)} bytes; at most {most} are read.")
        return content


class Api:
    """Calls operations as the app does, past the wire."""

    def __init__(self, **settings: Any) -> None:
        self.store, self.objects = MemoryStore(), Objects({("b", "m.tar.gz"), ("models", "m.tar.gz")})
        self.specs = MemoryExplainerSpecs()
        self.now, self.woken, self.ids = START, 0, 0
        self.alarms = FakeAlarms(lambda: self.now)
        self.warned: list[tuple[str, str, tuple[str, ...]]] = []
        self.region = "us-east-1"
        self.services = Services(
            store=self.store,
            objects=self.objects,
            specs=self.specs,
            now=lambda: self.now,
            new_id=self._new_id,
            wake=self._wake,
            facts=lambda: Unknown(START),
            warn=self._warn,
            alarms=self.alarms,
            account="123456789012",
            **settings,
        )
        self.handlers = operations(self.services)

    def __call__(self, operation: str, **request: Any) -> Any:
        ctx = CallContext(self.region, "123456789012", "AKIA", "r-1")
        output: Any = self.handlers["sagemaker", operation](ctx, request)
        return asyncio.run(output) if inspect.iscoroutine(output) else output

    def refusal(self, operation: str, **request: Any) -> str:
        """Give the message of a ValidationException."""
        with pytest.raises(ValidationException) as raised:
            self(operation, **request)
        return raised.value.message

    def model(self, name: str = "Fraud", **further: Any) -> Any:
        container = {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz"}
        return self("CreateModel", ModelName=name, **{"PrimaryContainer": container, **further})

    def config(self, name: str = "Fraud", **further: Any) -> Any:
        return self("CreateEndpointConfig", EndpointConfigName=name, **{"ProductionVariants": [variant()], **further})

    def endpoint(self, name: str = "Fraud", **further: Any) -> Any:
        return self("CreateEndpoint", EndpointName=name, **{"EndpointConfigName": "Fraud", **further})

    def status(self, status: EndpointStatus, name: str = "Fraud") -> None:
        """Do what the reconciler does."""
        endpoint = self.store.endpoint(self.region, name)
        assert endpoint is not None
        assert self.store.record(replace(endpoint.recorded, status=status), endpoint.desired.generation)

    def _new_id(self) -> str:
        self.ids += 1
        return f"uid-{self.ids}"

    def _wake(self) -> None:
        self.woken += 1

    def _warn(self, region: str, endpoint: str, members: tuple[str, ...]) -> None:
        self.warned.append((region, endpoint, members))


def variant(name: str = "AllTraffic", **further: Any) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": "Fraud",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
        **further,
    }


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def ready(api: Api) -> Api:
    """A model and a config are there."""
    api.model()
    api.config()
    return api


# Models


def test_a_model_is_kept_and_shown_as_it_was_sent(api: Api) -> None:
    container = {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {}}
    tags = [{"Key": "k", "Value": "v"}]
    answer = api("CreateModel", ModelName="My-Model", PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=tags)
    assert answer == {"ModelArn": f"{PREFIX}:model/my-model"}
    assert api("DescribeModel", ModelName="MY-model") == {
        "ModelName": "My-Model",
        "ModelArn": f"{PREFIX}:model/my-model",
        "PrimaryContainer": container,
        "ExecutionRoleArn": ROLE,
        "CreationTime": START,
    }
    assert api("ListTags", ResourceArn=f"{PREFIX}:model/my-model") == {"Tags": tags}


def test_arns_follow_region_and_partition(api: Api) -> None:
    api.region = "cn-north-1"
    assert api.model()["ModelArn"] == "arn:aws-cn:sagemaker:cn-north-1:123456789012:model/fraud"
    api.region = "us-gov-west-1"
    assert api.model()["ModelArn"] == "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:model/fraud"


def test_a_taken_model_name_is_refused_before_its_data_is_looked_for(api: Api) -> None:
    api.model()
    api.objects.keys.clear()
    container = {"Image": "img:1", "ModelDataUrl": "s3://b/gone.tar.gz"}
    message = api.refusal("CreateModel", ModelName="FRAUD", PrimaryContainer=container)
    assert message == f'Cannot create already existing model "{PREFIX}:model/fraud".'


def test_a_name_taken_during_the_check_of_the_data_is_refused(api: Api) -> None:
    def once() -> None:
        api.objects.during = lambda: None
        ctx = CallContext("us-east-1", "123456789012", "", "")
        other = api.handlers["sagemaker", "CreateModel"](ctx, {"ModelName": "f", "PrimaryContainer": {"Image": "i"}})
        with pytest.raises(StopIteration):
            other.send(None)  # type: ignore[union-attr]

    api.objects.during = once
    container = {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz"}
    message = api.refusal("CreateModel", ModelName="F", PrimaryContainer=container)
    assert message == f'Cannot create already existing model "{PREFIX}:model/f".'


@pytest.mark.parametrize("operation", ["DescribeModel", "DeleteModel"])
def test_a_missing_model(api: Api, operation: str) -> None:
    assert api.refusal(operation, ModelName="None") == f'Could not find model "{PREFIX}:model/none".'


def test_model_data_that_may_not_be_read(api: Api) -> None:
    def refuse() -> None:
        raise ObjectForbiddenError("The object store refuses the server's access key: AccessDenied")

    api.objects.during = refuse
    container = {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz"}
    message = api.refusal("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    assert message == (
        f'Could not access model data at s3://b/m.tar.gz. Please ensure that the role "{ROLE}" exists and that its '
        'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
        "located in us-east-1. If your Model uses multiple models or uncompressed models, please ensure that the role "
        'has "s3:ListBucket" permission.'
    )
    message = api.refusal("CreateModel", ModelName="m", PrimaryContainer=container)
    assert message == (
        "Could not access model data at s3://b/m.tar.gz. Please ensure that the object is located in us-east-1."
    )


def test_model_data_that_is_not_there(api: Api) -> None:
    container = {"Image": "img:1", "ModelDataUrl": "s3://b/gone.tar.gz"}
    message = api.refusal("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    assert message == "Could not find model data at s3://b/gone.tar.gz."
    assert api("ListModels") == {"Models": []}


def s3_source(uri: str, kind: str, compression: str) -> dict[str, Any]:
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}
    return {"Image": "img:1", "ModelDataSource": source}


@pytest.mark.parametrize(
    ("container", "data"),
    [
        ({"Image": "img:1"}, None),
        ({"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz"}, ModelData("s3://b/m.tar.gz")),
        (
            {"Image": "img:1", "ModelDataUrl": "https://models.s3.us-east-1.amazonaws.com/m.tar.gz"},
            ModelData("https://models.s3.us-east-1.amazonaws.com/m.tar.gz"),
        ),
        (s3_source("s3://b/m.tar.gz", "S3Object", "Gzip"), ModelData("s3://b/m.tar.gz", DataLayout.GZIP)),
        (s3_source("s3://b/m.tar.gz", "S3Object", "None"), ModelData("s3://b/m.tar.gz", DataLayout.OBJECT)),
        (s3_source("s3://b/dir/", "S3Prefix", "None"), ModelData("s3://b/dir/", DataLayout.PREFIX)),
        (s3_source("s3://b", "S3Prefix", "None"), ModelData("s3://b", DataLayout.PREFIX)),
    ],
)
def test_the_forms_of_model_data(api: Api, container: dict[str, Any], data: ModelData | None) -> None:
    api.objects.keys.add(("b", "dir/weights.bin"))
    api("CreateModel", ModelName="m", PrimaryContainer=container)
    model = api.store.model("us-east-1", "m")
    assert model is not None
    assert model.container.data == data


def with_channels(*sources: tuple[str, str, str, str]) -> dict[str, Any]:
    """Give a container with further data: channel, URI, type, compression."""
    channels = [
        {"ChannelName": name, **s3_source(uri, kind, compression)["ModelDataSource"]}
        for name, uri, kind, compression in sources
    ]
    return {"Image": "img:1", "ModelDataUrl": "s3://b/m.tar.gz", "AdditionalModelDataSources": channels}


def test_additional_data(api: Api) -> None:
    api.objects.keys.add(("b", "dir/weights.bin"))
    container = with_channels(
        ("adapter.v1", "s3://b/dir/", "S3Prefix", "None"), ("draft-model", "s3://b/m.tar.gz", "S3Object", "Gzip")
    )
    api("CreateModel", ModelName="m", PrimaryContainer=container)
    model = api.store.model("us-east-1", "m")
    assert model is not None
    assert model.container.channels == (
        Channel("adapter.v1", ModelData("s3://b/dir/", DataLayout.PREFIX)),
        Channel("draft-model", ModelData("s3://b/m.tar.gz", DataLayout.GZIP)),
    )
    assert decode(Container, encode(model.container)) == model.container
    assert api("DescribeModel", ModelName="m")["PrimaryContainer"] == container


def test_models_that_were_stored_before_there_were_channels() -> None:
    container = decode(Container, {"image": "img:1", "data": {"uri": "s3://b/m.tar.gz"}})
    assert container == Container("img:1", ModelData("s3://b/m.tar.gz"))


@pytest.mark.parametrize(
    ("channels", "start"),
    [
        ([("c", "s3://b/m.tar.gz"), ("c", "s3://b/m.tar.gz")], 'AdditionalModelDataSources has ChannelName "c" twice.'),
        ([("..", "s3://b/m.tar.gz")], 'ChannelName ".." of AdditionalModelDataSources cannot name a directory.'),
        ([(".", "s3://b/m.tar.gz")], 'ChannelName "." of'),
        ([("c", "s3://b/m.tar.gz"), ("d", "s3://b/gone.tar.gz")], "Could not find model data at s3://b/gone.tar.gz."),
        ([("c", "https://x/y")], 'Could not read "https://x/y" as a'),
        ([("c", "s3://b/")], "Could not find model data at s3://b/."),
    ],
)
def test_additional_data_that_is_refused(api: Api, channels: list[tuple[str, str]], start: str) -> None:
    container = with_channels(*((name, uri, "S3Object", "Gzip") for name, uri in channels))
    assert api.refusal("CreateModel", ModelName="m", PrimaryContainer=container).startswith(start)
    assert api.store.models("us-east-1") == []


@pytest.mark.parametrize(
    ("request_", "start"),
    [
        ({}, "Exactly one of PrimaryContainer and Containers must be provided."),
        ({"PrimaryContainer": {"Image": "i"}, "Containers": [{"Image": "i"}]}, "Exactly one of PrimaryContainer and"),
        ({"Containers": []}, "Exactly one of PrimaryContainer and Containers must be provided."),
        ({"Containers": [{"Image": "i"}, {"Image": "j"}]}, "Containers is not supported by this version"),
        ({"PrimaryContainer": {"ModelDataUrl": "s3://b/m.tar.gz"}}, "A container must have an Image."),
        ({"PrimaryContainer": {"Image": "i", "ModelPackageName": "p"}}, "PrimaryContainer.ModelPackageName is not"),
        ({"PrimaryContainer": {"Image": "i", "Mode": "MultiModel"}}, "PrimaryContainer.Mode is not supported"),
        ({"PrimaryContainer": {"Image": "i", "Environment": {"A": "a\0"}}}, "Environment variable 'A' cannot"),
        (
            {"PrimaryContainer": {**s3_source("s3://b/m", "S3Object", "None"), "ModelDataUrl": "s3://b/m.tar.gz"}},
            "ModelDataUrl and ModelDataSource cannot both be specified for a container.",
        ),
        ({"PrimaryContainer": {"Image": "i", "ModelDataSource": {}}}, "ModelDataSource must have an S3DataSource."),
        ({"PrimaryContainer": s3_source("s3://b/d/", "S3Prefix", "Gzip")}, "S3DataType S3Prefix with CompressionType"),
        ({"PrimaryContainer": s3_source("s3://b/d", "S3Prefix", "None")}, 'S3Uri "s3://b/d" of S3DataType S3Prefix'),
        ({"PrimaryContainer": s3_source("s3://b/d/", "S3Prefix", "None")}, "Could not find model data at s3://b/d/."),
        ({"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/"}}, "Could not find model data at s3://b/."),
        ({"PrimaryContainer": {"Image": "i", "ModelDataUrl": "https://x/y"}}, 'Could not read "https://x/y" as a'),
        ({"PrimaryContainer": {"Image": "i"}, "EnableNetworkIsolation": True}, "EnableNetworkIsolation is not"),
    ],
)
def test_models_that_are_refused(api: Api, request_: dict[str, Any], start: str) -> None:
    message = api.refusal("CreateModel", ModelName="m", **request_)
    assert message.startswith(start)
    assert api.store.models("us-east-1") == []


def test_an_object_store_that_is_away_is_a_fault_of_ours(api: Api) -> None:
    api.objects.fails = ObjectsUnavailableError("The object store does not answer.")
    with pytest.raises(InternalFailure, match=r"^Request to service failed\. The object store does not answer\.$"):
        api.model()


def test_one_container_in_a_list_is_a_model_like_any_other(api: Api) -> None:
    api("CreateModel", ModelName="m", Containers=[{"Image": "img:1"}])
    assert "PrimaryContainer" not in api("DescribeModel", ModelName="m")
    assert api("DescribeModel", ModelName="m")["Containers"] == [{"Image": "img:1"}]


def test_strict_refuses_what_has_no_effect() -> None:
    api = Api(strict=True)
    message = api.refusal("CreateModel", ModelName="m", PrimaryContainer={"Image": "img:1"}, ExecutionRoleArn=ROLE)
    assert message.startswith("ExecutionRoleArn has no effect in Hostmaker, and strict mode refuses it")


# Endpoint configs


def test_a_config_is_shown_as_it_was_sent_with_its_weights(ready: Api) -> None:
    sent = [variant("a"), variant("b", InitialVariantWeight=0.0, VolumeSizeInGB=8)]
    answer = ready.config("My-Config", ProductionVariants=sent, KmsKeyId="k")
    assert answer == {"EndpointConfigArn": f"{PREFIX}:endpoint-config/my-config"}
    assert ready("DescribeEndpointConfig", EndpointConfigName="my-CONFIG") == {
        "EndpointConfigName": "My-Config",
        "EndpointConfigArn": f"{PREFIX}:endpoint-config/my-config",
        "ProductionVariants": [{**sent[0], "InitialVariantWeight": 1.0}, sent[1]],
        "KmsKeyId": "k",
        "CreationTime": START,
    }


def test_the_variant_is_read_with_its_defaults(ready: Api) -> None:
    full = variant(
        "b",
        InitialVariantWeight=3,
        RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        ModelDataDownloadTimeoutInSeconds=60,
        ContainerStartupHealthCheckTimeoutInSeconds=90,
    )
    ready.config("c", ProductionVariants=[variant("a"), full])
    config = ready.store.endpoint_config("us-east-1", "c")
    assert config is not None
    plain, told = config.variants
    assert (plain.initial_weight, plain.routing_strategy) == (1.0, RoutingStrategy.RANDOM)
    assert (plain.download_timeout, plain.startup_timeout) == (None, None)
    assert (told.initial_weight, told.routing_strategy) == (3.0, RoutingStrategy.LEAST_OUTSTANDING_REQUESTS)
    assert (told.download_timeout, told.startup_timeout) == (timedelta(seconds=60), timedelta(seconds=90))


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([variant(ModelName="Gone")], f'Could not find model "{PREFIX}:model/gone".'),
        ([variant("a"), variant("a")], 'The variant name "a" was non-unique within the request.'),
        ([variant(InstanceType=None)], 'InstanceType is required for production variant "AllTraffic".'),
        ([variant(InitialInstanceCount=None)], 'InitialInstanceCount is required for production variant "AllTraffic".'),
    ],
)
def test_configs_that_are_refused(ready: Api, variants: list[dict[str, Any]], message: str) -> None:
    sent = [{key: value for key, value in item.items() if value is not None} for item in variants]
    assert ready.refusal("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=sent) == message
    assert ready.store.endpoint_config("us-east-1", "c") is None


def test_a_taken_config_name(ready: Api) -> None:
    message = ready.refusal("CreateEndpointConfig", EndpointConfigName="FRAUD", ProductionVariants=[variant()])
    assert message == f'Cannot create already existing endpoint configuration "{PREFIX}:endpoint-config/fraud".'


@pytest.mark.parametrize("operation", ["DescribeEndpointConfig", "DeleteEndpointConfig"])
def test_a_missing_config(api: Api, operation: str) -> None:
    message = api.refusal(operation, EndpointConfigName="None")
    assert message == f'Could not find endpoint configuration "{PREFIX}:endpoint-config/none".'


# Endpoints


def test_a_creation_keeps_the_snapshot_and_wakes_the_reconciler(ready: Api) -> None:
    deployment = {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}}}
    answer = ready.endpoint("My-End", DeploymentConfig=deployment, Tags=[{"Key": "k", "Value": ""}])
    assert answer == {"EndpointArn": f"{PREFIX}:endpoint/my-end"}
    assert ready.woken == 1
    endpoint = ready.store.endpoint("us-east-1", "my-end")
    assert endpoint is not None
    desired = endpoint.desired
    assert (desired.uid, desired.name, desired.generation, desired.deleting) == ("uid-1", "My-End", 1, False)
    assert [wanted.model.name for wanted in desired.target.variants] == ["Fraud"]
    assert desired.deployment_config == deployment
    assert endpoint.recorded.status is EndpointStatus.CREATING
    assert ready.store.tags(desired.arn) == {"k": ""}

    ready("DeleteEndpointConfig", EndpointConfigName="Fraud")
    ready("DeleteModel", ModelName="Fraud")
    shown = ready("DescribeEndpoint", EndpointName="MY-END")
    assert shown["EndpointConfigName"] == "Fraud"
    assert shown["LastDeploymentConfig"] == deployment


def test_a_taken_endpoint_name_in_every_status(ready: Api) -> None:
    ready.endpoint()
    for status in EndpointStatus:
        ready.status(status)
        message = ready.refusal("CreateEndpoint", EndpointName="FRAUD", EndpointConfigName="Fraud")
        assert message == f'Cannot create already existing endpoint "{PREFIX}:endpoint/fraud".'


def test_creations_that_are_refused(ready: Api) -> None:
    message = ready.refusal("CreateEndpoint", EndpointName="e", EndpointConfigName="None")
    assert message == f'Could not find endpoint configuration "{PREFIX}:endpoint-config/none".'
    both = {"BlueGreenUpdatePolicy": {}, "RollingUpdatePolicy": {}}
    message = ready.refusal("CreateEndpoint", EndpointName="e", EndpointConfigName="Fraud", DeploymentConfig=both)
    assert message == "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified."
    ready("DeleteModel", ModelName="Fraud")
    message = ready.refusal("CreateEndpoint", EndpointName="e", EndpointConfigName="Fraud")
    assert message == f'Could not find model "{PREFIX}:model/fraud".'
    assert ready.store.endpoints() == []
    assert ready.woken == 0


@pytest.mark.parametrize(
    "operation",
    ["DescribeEndpoint", "DeleteEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"],
)
def test_a_missing_endpoint(api: Api, operation: str) -> None:
    assert api.refusal(operation, EndpointName="None") == f'Could not find endpoint "{PREFIX}:endpoint/none".'


UPDATES: dict[str, dict[str, Any]] = {
    "UpdateEndpoint": {"EndpointConfigName": "Fraud"},
    "UpdateEndpointWeightsAndCapacities": {"DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic"}]},
}


@pytest.mark.parametrize("operation", UPDATES)
@pytest.mark.parametrize("status", [EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE])
def test_an_update_changes_what_is_desired_and_the_status_together(
    ready: Api, operation: str, status: EndpointStatus
) -> None:
    ready.endpoint()
    ready.status(status)
    ready.now = START + timedelta(minutes=5)
    assert ready(operation, EndpointName="fraud", **UPDATES[operation]) == {"EndpointArn": f"{PREFIX}:endpoint/fraud"}
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    assert (endpoint.desired.number, endpoint.desired.generation) == (1, 2)
    assert endpoint.desired.kind is (RequestKind.UPDATE if operation == "UpdateEndpoint" else RequestKind.SCALE)
    assert (endpoint.recorded.status, endpoint.recorded.modified) == (EndpointStatus.UPDATING, ready.now)
    assert (endpoint.recorded.begun, endpoint.recorded.live) == (0, 0)  # nothing has moved yet
    assert ready.woken == 2
    assert ready("DescribeEndpoint", EndpointName="Fraud")["EndpointStatus"] == "Updating"


@pytest.mark.parametrize("operation", UPDATES)
@pytest.mark.parametrize("status", EndpointStatus)
def test_an_update_is_refused_in_a_status_that_does_not_allow_it(
    ready: Api, operation: str, status: EndpointStatus
) -> None:
    ready.endpoint()
    ready.status(status)
    arn = f"{PREFIX}:endpoint/fraud"
    match status:
        case EndpointStatus.IN_SERVICE | EndpointStatus.OUT_OF_SERVICE:
            return
        case EndpointStatus.UPDATE_ROLLBACK_FAILED if operation == "UpdateEndpoint":
            return
        case EndpointStatus.UPDATE_ROLLBACK_FAILED:
            expected = (
                f'Cannot update weights and capacities of endpoint "{arn}" with status UpdateRollbackFailed. '
                "Use UpdateEndpoint."
            )
        case EndpointStatus.FAILED:
            expected = f'Cannot update endpoint "{arn}" with status Failed.'
        case _:
            expected = f'Cannot update in-progress endpoint "{arn}".'
    assert ready.refusal(operation, EndpointName="Fraud", **UPDATES[operation]) == expected
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    assert (endpoint.desired.number, endpoint.desired.generation, endpoint.recorded.status) == (0, 1, status)
    assert ready.woken == 1


def test_an_endpoint_whose_way_back_failed_can_be_updated(ready: Api) -> None:
    ready.endpoint()
    ready.status(EndpointStatus.UPDATE_ROLLBACK_FAILED)
    ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Fraud")
    assert ready("DescribeEndpoint", EndpointName="Fraud")["EndpointStatus"] == "Updating"


def test_updates_that_are_refused(ready: Api) -> None:
    ready.config("Two", ProductionVariants=[variant("a"), variant("b")])
    ready.endpoint()
    ready.status(EndpointStatus.IN_SERVICE)

    def refusal(config: str, **further: Any) -> str:
        return ready.refusal("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName=config, **further)

    assert refusal("none") == f'Could not find endpoint configuration "{PREFIX}:endpoint-config/none".'
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}
    assert refusal("Two", DeploymentConfig=watched) == 'Could not find CloudWatch alarm "errors".'
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}}
    assert "AllTraffic are there, a, b were asked for" in refusal("Two", DeploymentConfig=policy)
    ready("DeleteEndpointConfig", EndpointConfigName="Fraud")
    assert refusal("Two") == f'Could not find endpoint configuration "{PREFIX}:endpoint-config/fraud".'
    assert ready.woken == 1

    ready.config()
    ready.alarms.put("us-east-1", "errors", AlarmState.OK)
    ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Two", DeploymentConfig=watched)
    assert ready.woken == 2


def test_changes_of_weights_and_counts_that_are_refused(ready: Api) -> None:
    ready.endpoint()
    ready.status(EndpointStatus.IN_SERVICE)

    def refusal(*wanted: dict[str, Any]) -> str:
        operation = "UpdateEndpointWeightsAndCapacities"
        return ready.refusal(operation, EndpointName="Fraud", DesiredWeightsAndCapacities=list(wanted))

    same = {"VariantName": "AllTraffic"}
    assert refusal(same, same) == 'The variant name "AllTraffic" was non-unique within the request.'
    assert refusal({"VariantName": "x"}) == (
        'The variant name(s) "x" is/are not present within endpoint configuration "Fraud".'
    )
    assert "must be at least 1" in refusal({**same, "DesiredInstanceCount": 0})
    assert ready.woken == 1


def test_a_change_of_weights_and_counts_keeps_what_is_not_given(ready: Api) -> None:
    ready.config("Two", ProductionVariants=[variant("a"), variant("b", InitialVariantWeight=0.25)])
    ready.endpoint("Pair", EndpointConfigName="Two")
    ready.status(EndpointStatus.IN_SERVICE, "Pair")
    before = ready("DescribeEndpoint", EndpointName="Pair")["ProductionVariants"]
    wanted = [{"VariantName": "b", "DesiredInstanceCount": 3}]
    ready("UpdateEndpointWeightsAndCapacities", EndpointName="Pair", DesiredWeightsAndCapacities=wanted)
    after = ready("DescribeEndpoint", EndpointName="Pair")["ProductionVariants"]
    assert after == [before[0], {**before[1], "DesiredInstanceCount": 3}]
    assert after[1]["DesiredWeight"] == 0.25


def test_what_is_retained_and_what_is_excluded_from_it(ready: Api) -> None:
    ready.config("Two", ProductionVariants=[variant("AllTraffic", InitialInstanceCount=4, InitialVariantWeight=0.25)])
    ready.endpoint()
    ready.status(EndpointStatus.IN_SERVICE)
    live = ready("DescribeEndpoint", EndpointName="Fraud")["ProductionVariants"][0]
    now = (live["DesiredInstanceCount"], live["DesiredWeight"])

    def after(**further: Any) -> tuple[int, float]:
        ready.status(EndpointStatus.IN_SERVICE)
        ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Two", **further)
        endpoint = ready.store.endpoint("us-east-1", "Fraud")
        assert endpoint is not None
        (wanted,) = endpoint.desired.target.variants
        return wanted.instances, wanted.share_weight

    def without(kind: str) -> dict[str, Any]:
        excluded = [{"VariantPropertyType": kind}]
        return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}

    assert now != (4, 0.25)
    assert after() == after(RetainAllVariantProperties=False) == (4, 0.25)
    assert after(RetainAllVariantProperties=True) == after(**without("DataCaptureConfig")) == now
    assert after(**without("DesiredInstanceCount")) == (4, now[1])
    assert after(**without("DesiredWeight")) == (now[0], 0.25)


def test_the_last_deployment_config_counts_again_when_it_is_retained(ready: Api) -> None:
    sent = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 60,
        }
    }
    ready.endpoint(DeploymentConfig=sent)

    def after(**further: Any) -> tuple[Any, timedelta | None]:
        ready.status(EndpointStatus.IN_SERVICE)
        ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Fraud", **further)
        endpoint = ready.store.endpoint("us-east-1", "Fraud")
        assert endpoint is not None
        policy = endpoint.desired.guardrails.blue_green
        return endpoint.desired.deployment_config, policy.termination_wait if policy is not None else None

    assert after(RetainDeploymentConfig=True) == (sent, timedelta(minutes=1))
    assert after() == (None, timedelta(0))


@pytest.mark.parametrize("status", [EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE, EndpointStatus.FAILED])
def test_a_deletion_changes_what_is_desired_and_the_status_together(ready: Api, status: EndpointStatus) -> None:
    ready.endpoint()
    ready.status(status)
    ready.now = START + timedelta(minutes=5)
    assert ready("DeleteEndpoint", EndpointName="fraud") is None
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    assert (endpoint.desired.deleting, endpoint.desired.generation) == (True, 2)
    assert (endpoint.recorded.status, endpoint.recorded.modified) == (EndpointStatus.DELETING, ready.now)
    assert ready.woken == 2
    assert ready("DescribeEndpoint", EndpointName="Fraud")["EndpointStatus"] == "Deleting"
    message = ready.refusal("DeleteEndpoint", EndpointName="Fraud")
    assert message == f'Cannot update in-progress endpoint "{PREFIX}:endpoint/fraud".'


def test_a_deletion_in_progress_needs_the_setting(ready: Api) -> None:
    ready.endpoint()
    message = ready.refusal("DeleteEndpoint", EndpointName="Fraud")
    assert message == f'Cannot update in-progress endpoint "{PREFIX}:endpoint/fraud".'

    eager = Api(allow_delete_in_progress=True)
    eager.model()
    eager.config()
    eager.endpoint()
    assert eager("DeleteEndpoint", EndpointName="Fraud") is None
    message = eager.refusal("DeleteEndpoint", EndpointName="Fraud")
    assert message == f'Cannot update in-progress endpoint "{PREFIX}:endpoint/fraud".'


def test_what_has_no_effect_is_told_once_at_the_creation(api: Api) -> None:
    api.model(ExecutionRoleArn=ROLE)
    api.config(KmsKeyId="k", ProductionVariants=[variant("a", VolumeSizeInGB=8), variant("b")])
    assert api.warned == []
    api.endpoint()
    told = ("ProductionVariants.1.VolumeSizeInGB", "KmsKeyId", "ExecutionRoleArn")
    assert [(region, name, set(members)) for region, name, members in api.warned] == [("us-east-1", "Fraud", set(told))]
    assert len(api.warned[0][2]) == 3


def test_a_log_that_cannot_be_written_does_not_undo_a_creation(ready: Api) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    services = Services(
        store=ready.store,
        objects=ready.objects,
        specs=ready.specs,
        now=lambda: START,
        new_id=lambda: "u",
        wake=ready._wake,
        facts=lambda: Unknown(START),
        warn=full,
        alarms=ready.alarms,
        account="123456789012",
    )
    ready.handlers = operations(services)
    assert ready.endpoint() == {"EndpointArn": f"{PREFIX}:endpoint/fraud"}
    assert ready.woken == 1


# Tags


@pytest.fixture
def tagged(api: Api) -> Api:
    api.model(Tags=[{"Key": "a", "Value": "1"}])
    return api


ARN = f"{PREFIX}:model/fraud"


def pairs(*names: str) -> list[dict[str, str]]:
    return [{"Key": name, "Value": f"value of {name}"} for name in names]


def test_tags_are_added_replaced_and_deleted(tagged: Api) -> None:
    added = tagged("AddTags", ResourceArn=ARN, Tags=pairs("b", "a"))
    assert added == {"Tags": [{"Key": "a", "Value": "value of a"}, {"Key": "b", "Value": "value of b"}]}
    assert tagged("DeleteTags", ResourceArn=ARN, TagKeys=["a", "not there"]) == {}
    assert tagged("ListTags", ResourceArn=ARN, MaxResults=50) == {"Tags": pairs("b")}


def test_the_name_in_an_arn_is_read_without_case(tagged: Api) -> None:
    assert tagged("ListTags", ResourceArn=f"{PREFIX}:model/FRAUD") == {"Tags": [{"Key": "a", "Value": "1"}]}


def test_fifty_tags_are_the_most(tagged: Api) -> None:
    many = pairs(*(f"k{number}" for number in range(49)))
    tagged("AddTags", ResourceArn=ARN, Tags=many)
    message = tagged.refusal("AddTags", ResourceArn=ARN, Tags=pairs("one more"))
    assert message == "A resource can have at most 50 tags, not 51."
    tagged("AddTags", ResourceArn=ARN, Tags=pairs("a"))  # replaces
    assert len(tagged("ListTags", ResourceArn=ARN)["Tags"]) == 50


def test_reserved_and_repeated_keys_are_refused_everywhere(tagged: Api) -> None:
    tagged.config()
    for tags, message in [
        (pairs("aws:x"), "System prefix 'aws:' reserved for AWS usage in tag key: aws:x"),
        (pairs("AWS:x"), "System prefix 'aws:' reserved for AWS usage in tag key: AWS:x"),
        (pairs("x", "y", "x"), 'Duplicate tag keys found: "x".'),
    ]:
        container = {"Image": "i"}
        assert tagged.refusal("AddTags", ResourceArn=ARN, Tags=tags) == message
        assert tagged.refusal("CreateModel", ModelName="n", PrimaryContainer=container, Tags=tags) == message
        sent = [variant()]
        assert (
            tagged.refusal("CreateEndpointConfig", EndpointConfigName="n", ProductionVariants=sent, Tags=tags)
            == message
        )
        assert tagged.refusal("CreateEndpoint", EndpointName="n", EndpointConfigName="Fraud", Tags=tags) == message


def test_reserved_keys_are_not_deleted_and_nothing_beside_them(tagged: Api) -> None:
    message = tagged.refusal("DeleteTags", ResourceArn=ARN, TagKeys=["a", "aws:cloudformation:stack-name"])
    assert message == "System prefix 'aws:' reserved for AWS usage in tag key: aws:cloudformation:stack-name"
    assert tagged("ListTags", ResourceArn=ARN)["Tags"] == [{"Key": "a", "Value": "1"}]


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (f"{PREFIX}:model/none", "model"),
        (f"{PREFIX}:endpoint/none", "endpoint"),
        (f"{PREFIX}:endpoint-config/none", "endpoint configuration"),
        (f"{PREFIX}:training-job/none", "resource"),
        ("arn:aws:sagemaker:us-east-1:999999999999:model/fraud", "model"),
    ],
)
def test_tags_of_what_is_not_there(tagged: Api, arn: str, kind: str) -> None:
    for operation, further in [("ListTags", {}), ("AddTags", {"Tags": pairs("k")}), ("DeleteTags", {"TagKeys": ["k"]})]:
        assert tagged.refusal(operation, ResourceArn=arn, **further) == f'Could not find {kind} "{arn}".'


def test_tags_have_one_page(tagged: Api) -> None:
    assert tagged.refusal("ListTags", ResourceArn=ARN, NextToken="x") == "Invalid pagination token."


# Lists of resources


def test_lists_show_their_members_and_only_one_region(ready: Api) -> None:
    ready.endpoint()
    assert ready("ListModels") == {
        "Models": [{"ModelName": "Fraud", "ModelArn": f"{PREFIX}:model/fraud", "CreationTime": START}]
    }
    config_arn = f"{PREFIX}:endpoint-config/fraud"
    assert ready("ListEndpointConfigs") == {
        "EndpointConfigs": [{"EndpointConfigName": "Fraud", "EndpointConfigArn": config_arn, "CreationTime": START}]
    }
    assert ready("ListEndpoints", StatusEquals="Creating") == {
        "Endpoints": [
            {
                "EndpointName": "Fraud",
                "EndpointArn": f"{PREFIX}:endpoint/fraud",
                "CreationTime": START,
                "LastModifiedTime": START,
                "EndpointStatus": "Creating",
            }
        ]
    }
    ready.region = "eu-west-1"
    assert ready("ListModels") == {"Models": []}
    assert ready("ListEndpointConfigs") == {"EndpointConfigs": []}
    assert ready("ListEndpoints") == {"Endpoints": []}


def test_there_are_no_monitoring_schedules(api: Api) -> None:
    assert api("ListMonitoringSchedules", EndpointName="x") == {"MonitoringScheduleSummaries": []}


def test_every_refusal_is_an_error_of_the_caller(api: Api) -> None:
    with pytest.raises(ApiError) as raised:
        api("DescribeModel", ModelName="x")
    assert (raised.value.code, raised.value.status) == ("ValidationException", 400)
