"""Every sentence in which a violation is reported."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.errors import SerializationException, ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.wire.service_model import Shape, load_service
from hostmaker.wire.typed import read_value
from hostmaker.wire.validate import find_violations, validate

NAME = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def shape_of(operation: str, service: str = "sagemaker") -> Shape:
    wanted = load_service(service).operations[operation].input
    assert wanted is not None
    return wanted


def refused(operation: str, value: Json, service: str = "sagemaker", **more: Any) -> str:
    with pytest.raises(ValidationException) as caught:
        validate(shape_of(operation, service), value, **more)
    return caught.value.message


def variant(**members: Json) -> dict[str, Json]:
    return {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"} | members


def config(*variants: dict[str, Json]) -> dict[str, Json]:
    return {"EndpointConfigName": "c", "ProductionVariants": list(variants)}


def test_pattern() -> None:
    assert refused("DescribeEndpoint", {"EndpointName": "bad name!"}) == (
        "1 validation error detected: Value 'bad name!' at 'endpointName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME}"
    )


def test_several() -> None:
    message = refused("CreateEndpoint", {"EndpointName": "a" * 64, "EndpointConfigName": "-"})
    assert message == (
        f"3 validation errors detected: Value '{'a' * 64}' at 'endpointName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63; "
        f"Value '{'a' * 64}' at 'endpointName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME}; "
        "Value '-' at 'endpointConfigName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME}"
    )


def test_missing() -> None:
    assert refused("DeleteModel", {}) == (
        "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    )


def test_shortest_length_of_a_list() -> None:
    assert refused("CreateEndpointConfig", config()) == (
        "1 validation error detected: Value '[]' at 'productionVariants' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_longest_list() -> None:
    message = refused("CreateEndpointConfig", config(*[variant(VariantName=f"v{n}") for n in range(11)]))
    assert message.endswith(
        "at 'productionVariants' failed to satisfy constraint: Member must have length less than or equal to 10"
    )


def test_ranges() -> None:
    assert refused("CreateEndpointConfig", config(variant(VolumeSizeInGB=513, InitialVariantWeight=-0.5))) == (
        "2 validation errors detected: "
        "Value '-0.5' at 'productionVariants.1.member.initialVariantWeight' failed to satisfy constraint: "
        "Member must have value greater than or equal to 0; "
        "Value '513' at 'productionVariants.1.member.volumeSizeInGB' failed to satisfy constraint: "
        "Member must have value less than or equal to 512"
    )


def test_enum() -> None:
    deployment = {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "X", "Value": 1}, "WaitIntervalInSeconds": 0}}
    message = refused(
        "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": deployment}
    )
    assert message == (
        "1 validation error detected: Value 'X' at 'deploymentConfig.rollingUpdatePolicy.maximumBatchSize.type' "
        "failed to satisfy constraint: Member must satisfy enum value set: [INSTANCE_COUNT, CAPACITY_PERCENT]"
    )


def test_instance_type() -> None:
    message = refused("CreateEndpointConfig", config(variant(), variant(InstanceType="ml.foo.large")))
    assert message.startswith(
        "1 validation error detected: Value 'ml.foo.large' at 'productionVariants.2.member.instanceType' "
        "failed to satisfy constraint: Member must satisfy enum value set: [ml.t2.medium, "
    )


def test_mapped_instance_types() -> None:
    value = config(variant(InstanceType="ml.foo.large"))
    validate(shape_of("CreateEndpointConfig"), value, extra_instance_types=frozenset({"ml.foo.large"}))
    refused("CreateEndpointConfig", config(variant(InstanceType="big")), extra_instance_types=frozenset({"big"}))
    refused("CreateEndpointConfig", value, extra_instance_types=frozenset({"ml.bar.large"}))


def test_items_of_a_simple_list() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model/m"
    assert refused("DeleteTags", {"ResourceArn": arn, "TagKeys": ["ok", "b!d"]}) == (
        "1 validation error detected: Value '[ok, b!d]' at 'tagKeys' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must have length less than or equal to 128, "
        "Member must have length greater than or equal to 1, "
        r"Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)]"
    )


def test_keys_and_values_of_a_map() -> None:
    container: Json = {"Image": "i", "Environment": {"1": "x" * 1025}}
    message = refused("CreateModel", {"ModelName": "m", "PrimaryContainer": container})
    assert message.startswith("2 validation errors detected: Value '{1=xxx")
    assert (
        " at 'primaryContainer.environment' failed to satisfy constraint: Map keys must satisfy constraint: "
        "[Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, "
        "Member must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*]; "
    ) in message
    assert message.endswith(
        " at 'primaryContainer.environment' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, "
        r"Member must satisfy regular expression pattern: [\S\s]*]"
    )


def test_long_values_are_cut_in_the_sentence() -> None:
    assert len(refused("DescribeModel", {"ModelName": "m" * 100_000})) < 10_000


def test_sensitive_values_are_not_shown() -> None:
    shape = load_service("sagemaker-runtime").operations["InvokeEndpoint"].input
    assert shape is not None
    (found,) = find_violations(shape, {"EndpointName": "e", "Body": "", "CustomAttributes": "x" * 1025})
    assert found == (
        "Value at 'customAttributes' failed to satisfy constraint: Member must have length less than or equal to 1024"
    )


def test_valid_requests_pass() -> None:
    validate(shape_of("CreateEndpointConfig"), config(variant(), variant(VariantName="w", InitialVariantWeight=0.0)))
    validate(shape_of("ListModels"), {})
    validate(shape_of("CreateModel"), {"ModelName": "m", "Containers": []})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"ModelName": 1}, "NUMBER_VALUE can not be converted to a String at 'modelName'."),
        ({"ModelName": {}}, "Start of structure or map can not be converted to a String at 'modelName'."),
        ({"EnableNetworkIsolation": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ({"EnableNetworkIsolation": 1}, "NUMBER_VALUE can not be converted to a Boolean"),
        ({"Containers": {}}, "can not be converted to a list at 'containers'"),
        ({"PrimaryContainer": []}, "Start of list can not be converted to a structure at 'primaryContainer'"),
        ({"Containers": [{}, "x"]}, "STRING_VALUE can not be converted to a structure at 'containers.2.member'"),
        ({"Containers": [None]}, "A null value is not allowed at 'containers.1.member'"),
        ({"PrimaryContainer": {"Environment": {"A": 1}}}, "a String at 'primaryContainer.environment.a'"),
        ({"PrimaryContainer": {"Environment": {"A": None}}}, "A null value is not allowed"),
        ({"ModelName": "\ud800"}, "surrogate"),
    ],
)
def test_wrong_types(value: Json, message: str) -> None:
    with pytest.raises(SerializationException) as caught:
        read_value(shape_of("CreateModel"), value)
    assert message in caught.value.message


@pytest.mark.parametrize("count", [True, "1", 1.5, 2**31, -(2**31) - 1, 1e300])
def test_wrong_integers(count: Json) -> None:
    with pytest.raises(SerializationException):
        read_value(shape_of("ListModels"), {"MaxResults": count})


@pytest.mark.parametrize(("given_time", "seconds"), [(5, 5.0), (1.25, 1.25), ("1970-01-01T00:00:05Z", 5.0)])
def test_timestamps(given_time: Json, seconds: float) -> None:
    assert read_value(shape_of("ListModels"), {"CreationTimeAfter": given_time}) == {"CreationTimeAfter": seconds}


@pytest.mark.parametrize("given_time", ["soon", 1e300, -1e15, True, 1635195148181])
def test_wrong_timestamps(given_time: Json) -> None:
    with pytest.raises(SerializationException):
        read_value(shape_of("ListModels"), {"CreationTimeAfter": given_time})


def test_unknown_members_are_refused_by_name() -> None:
    with pytest.raises(ValidationException, match="'Framework' of 'primaryContainer' is not known"):
        read_value(shape_of("CreateModel"), {"ModelName": "m", "PrimaryContainer": {"Framework": "X"}})


@pytest.mark.parametrize("window", [{}, {"SlidingWindow": None}, {"SlidingWindow": {}, "WallClockWindow": {}}])
def test_of_a_union_exactly_one_member_is_given(window: Json) -> None:
    shape = shape_of("PutMetricAlarm", "cloudwatch")
    with pytest.raises(SerializationException, match="Exactly one of .* must be given at 'evaluationWindow'"):
        read_value(shape, {"AlarmName": "a", "EvaluationWindow": window})
    one: Json = {"AlarmName": "a", "EvaluationWindow": {"SlidingWindow": {}}}
    assert read_value(shape, one) == one


def test_null_is_absent() -> None:
    assert read_value(shape_of("CreateModel"), {"ModelName": "m", "Tags": None}) == {"ModelName": "m"}


texts = st.text("aB1.-\n\x00é\ud800😀", max_size=8)
json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(shape_of("CreateEndpointConfig").members)), json_values))
def test_any_document_is_read_or_refused(document: dict[str, Json]) -> None:
    with suppress(SerializationException, ValidationException):
        validate(shape_of("CreateEndpointConfig"), read_value(shape_of("CreateEndpointConfig"), document))
