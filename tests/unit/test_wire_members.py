"""The table of members: complete, consistent, and obeyed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.wire.members import OPERATIONS, Treatment, check_members, document, explain, table
from hostmaker.wire.service_model import Shape, load_service

ROOT = Path(__file__).resolve().parents[2]


def inputs() -> Iterator[Shape]:
    for operation in OPERATIONS:
        wanted = load_service("sagemaker").operations[operation].input
        assert wanted is not None
        yield wanted


def reached() -> dict[str, Shape]:
    """Give the structures that lie below honoured members: those whose members need rows."""
    found: dict[str, Shape] = {}
    waiting = list(inputs())
    while waiting:
        shape = waiting.pop()
        if shape.kind == "list":
            waiting.append(shape.item.shape)
        elif shape.kind == "structure" and shape.name not in found:
            found[shape.name] = shape
            rows = table().get(shape.name, {})
            below = (member for member in shape.members.values() if member.name in rows)
            waiting += [each.shape for each in below if rows[each.name].treatment is Treatment.HONOURED]
    return found


def test_every_member_has_exactly_one_row() -> None:
    assert {name: set(shape.members) for name, shape in reached().items()} == {
        name: set(rows) for name, rows in table().items()
    }


def test_every_row_has_one_treatment_and_known_keys() -> None:
    treatments = {each.value for each in Treatment}
    rows = tomllib.loads((ROOT / "src/hostmaker/wire/members.toml").read_text())
    for structure in rows.values():
        for member, row in structure.items():
            assert len(row.keys() & treatments) == 1, member
            assert row.keys() - treatments <= {"accepts", "at_most", "needed", "otherwise"}, member
            is_limited = "honoured" in row and row.keys() & {"accepts", "at_most"}
            assert bool(is_limited) == ("otherwise" in row), member
            assert all(row[key] for key in row.keys() & treatments), member


def test_accepted_values_are_values_of_the_model() -> None:
    for name, shape in reached().items():
        for member, row in table()[name].items():
            for value in row.accepts or ():
                if enum := shape.members[member].shape.values:
                    assert value in enum


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "members.md").read_text()
    assert page == document(), "run: python tools/write_members_page.py"


def model(**members: Json) -> dict[str, Json]:
    return {"ModelName": "m", "PrimaryContainer": {"Image": "i"}} | members


def container(**members: Json) -> dict[str, Json]:
    return model(PrimaryContainer={"Image": "i"} | members)


def config(**members: Json) -> dict[str, Json]:
    return {"EndpointConfigName": "c", "ProductionVariants": [variant()]} | members


def variant(**members: Json) -> dict[str, Json]:
    return {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"} | members


def with_variant(**members: Json) -> dict[str, Json]:
    return config(ProductionVariants=[variant(), variant(**members)])


def source(**members: Json) -> dict[str, Json]:
    uri = {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix", "CompressionType": "None"}
    return container(ModelDataSource={"S3DataSource": uri | members})


REFUSED: list[tuple[str, dict[str, Json], str]] = [
    ("CreateModel", model(EnableNetworkIsolation=True), "EnableNetworkIsolation"),
    ("CreateModel", model(Containers=[{"Image": "i"}, {"Image": "j"}]), "Containers"),
    ("CreateModel", model(InferenceExecutionConfig={"Mode": "Direct"}), "InferenceExecutionConfig"),
    ("CreateModel", model(Containers=[{"Image": "i", "Mode": "MultiModel"}]), "Containers.1.Mode"),
    ("CreateModel", container(Mode="MultiModel"), "PrimaryContainer.Mode"),
    ("CreateModel", container(MultiModelConfig={"ModelCacheSetting": "Enabled"}), "PrimaryContainer.MultiModelConfig"),
    ("CreateModel", container(ModelPackageName="p"), "PrimaryContainer.ModelPackageName"),
    (
        "CreateModel",
        container(ImageConfig={"RepositoryAccessMode": "Vpc"}),
        "PrimaryContainer.ImageConfig.RepositoryAccessMode",
    ),
    (
        "CreateModel",
        container(AdditionalModelDataSources=[{"ChannelName": "c", "S3DataSource": {"ManifestS3Uri": "s3://b/m"}}]),
        "PrimaryContainer.AdditionalModelDataSources.1.S3DataSource.ManifestS3Uri",
    ),
    (
        "CreateModel",
        source(ManifestS3Uri="s3://b/m"),
        "PrimaryContainer.ModelDataSource.S3DataSource.ManifestS3Uri",
    ),
    (
        "CreateModel",
        source(HubAccessConfig={"HubContentArn": "x"}),
        "PrimaryContainer.ModelDataSource.S3DataSource.HubAccessConfig",
    ),
    (
        "CreateModel",
        source(ModelAccessConfig={"AcceptEula": True}),
        "PrimaryContainer.ModelDataSource.S3DataSource.ModelAccessConfig",
    ),
    ("CreateEndpointConfig", config(EnableNetworkIsolation=True), "EnableNetworkIsolation"),
    ("CreateEndpointConfig", config(DataCaptureConfig={"EnableCapture": True}), "DataCaptureConfig"),
    ("CreateEndpointConfig", config(DataCaptureConfig={"InitialSamplingPercentage": 1}), "DataCaptureConfig"),
    ("CreateEndpointConfig", config(AsyncInferenceConfig={"OutputConfig": {}}), "AsyncInferenceConfig"),
    ("CreateEndpointConfig", config(ShadowProductionVariants=[variant()]), "ShadowProductionVariants"),
    ("CreateEndpointConfig", config(MetricsConfig={}), "MetricsConfig"),
    ("CreateEndpointConfig", with_variant(ServerlessConfig={}), "ProductionVariants.2.ServerlessConfig"),
    (
        "CreateEndpointConfig",
        with_variant(ManagedInstanceScaling={"Status": "ENABLED"}),
        "ProductionVariants.2.ManagedInstanceScaling",
    ),
    ("CreateEndpointConfig", with_variant(AcceleratorType="ml.eia1.large"), "ProductionVariants.2.AcceleratorType"),
    ("CreateEndpointConfig", with_variant(CoreDumpConfig={}), "ProductionVariants.2.CoreDumpConfig"),
    ("CreateEndpointConfig", with_variant(EnableSSMAccess=True), "ProductionVariants.2.EnableSSMAccess"),
    (
        "CreateEndpointConfig",
        with_variant(CapacityReservationConfig={}),
        "ProductionVariants.2.CapacityReservationConfig",
    ),
    (
        "CreateEndpointConfig",
        with_variant(RoutingConfig={"RoutingStrategy": "PREFIX_AWARE"}),
        "ProductionVariants.2.RoutingConfig.RoutingStrategy",
    ),
]


@pytest.mark.parametrize(("operation", "request_input", "member"), REFUSED, ids=lambda each: str(each)[:40])
def test_refused(operation: str, request_input: dict[str, Json], member: str) -> None:
    with pytest.raises(ValidationException) as caught:
        check_members(operation, request_input)
    assert caught.value.message.startswith(f"{member} is not supported by this version of Hostmaker: ")
    assert ". Remove it from the request" in caught.value.message


def test_a_variant_needs_a_model() -> None:
    request = config(ProductionVariants=[{"VariantName": "v", "InstanceType": "ml.m5.large"}])
    with pytest.raises(
        ValidationException, match=r"^ProductionVariants\.1\.ModelName is missing: .*inference component"
    ):
        check_members("CreateEndpointConfig", request)


@pytest.mark.parametrize(
    ("operation", "request_input"),
    [
        ("CreateModel", model(EnableNetworkIsolation=False, Tags=[])),
        ("CreateModel", {"ModelName": "m", "Containers": [{"Image": "i", "ContainerHostname": "h"}]}),
        ("CreateModel", model(InferenceExecutionConfig={"Mode": "Serial"})),
        ("CreateModel", container(Mode="SingleModel", AdditionalModelDataSources=[], Environment={"A": "b"})),
        ("CreateModel", container(ImageConfig={"RepositoryAccessMode": "Platform"}, ModelDataUrl="s3://b/k")),
        ("CreateModel", source()),
        ("CreateEndpointConfig", config(EnableNetworkIsolation=False, ShadowProductionVariants=[])),
        ("CreateEndpointConfig", config(DataCaptureConfig={"EnableCapture": False, "CaptureOptions": []})),
        ("CreateEndpointConfig", with_variant(EnableSSMAccess=False, ManagedInstanceScaling={"Status": "DISABLED"})),
        ("CreateEndpointConfig", with_variant(RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"})),
        ("CreateEndpoint", {"EndpointName": "e", "DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": []}}}),
        ("UpdateEndpoint", {"EndpointName": "e"}),
    ],
)
def test_honoured(operation: str, request_input: dict[str, Json]) -> None:
    assert check_members(operation, request_input) == ()
    assert check_members(operation, request_input, strict=True) == ()


def test_declared() -> None:
    request = with_variant(VolumeSizeInGB=5, InferenceAmiVersion="al2-ami-sagemaker-inference-gpu-2")
    request |= {"KmsKeyId": "k", "VpcConfig": {"Subnets": []}, "ExecutionRoleArn": "r"}
    assert set(check_members("CreateEndpointConfig", request)) == {
        "ProductionVariants.2.VolumeSizeInGB",
        "ProductionVariants.2.InferenceAmiVersion",
        "KmsKeyId",
        "VpcConfig",
        "ExecutionRoleArn",
    }
    assert check_members("CreateModel", model(ExecutionRoleArn="r")) == ("ExecutionRoleArn",)
    assert explain("ProductionVariants.2.VolumeSizeInGB") == "instances share the disks of this machine"


def test_strict_refuses_what_is_only_declared() -> None:
    with pytest.raises(ValidationException, match=r"^ExecutionRoleArn has no effect in Hostmaker, and strict mode"):
        check_members("CreateModel", model(ExecutionRoleArn="r"), strict=True)


def test_a_number_does_not_pass_for_a_boolean() -> None:
    with pytest.raises(ValidationException):
        check_members("CreateModel", model(EnableNetworkIsolation=0))
