"""What temporary credentials may do."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.permissions import (
    AccessDenied,
    Caller,
    ObjectAccessDenied,
    check_objects,
    check_operation,
    object_action,
    role_name,
)

CALLER = Caller("Role", "123456789012", "eu-west-1")
USER = "User: arn:aws:sts::123456789012:assumed-role/Role/SageMaker is not authorized to perform: "


@pytest.mark.parametrize(
    ("method", "path", "parameters", "action"),
    [
        ("GET", "/", (), "ListAllMyBuckets"),
        ("GET", "/b", ("list-type", "prefix"), "ListBucket"),
        ("GET", "/b/", ("delimiter", "X-Amz-Signature"), "ListBucket"),
        ("HEAD", "/b", (), "ListBucket"),
        ("GET", "/b", ("location",), "GetBucketLocation"),
        ("GET", "/b", ("uploads",), "ListBucketMultipartUploads"),
        ("POST", "/b", ("delete",), "DeleteObject"),
        ("GET", "/b/k", ("response-content-type", "versionId", "x-id"), "GetObject"),
        ("HEAD", "/b/k", (), "GetObject"),
        ("PUT", "/b/a/b//c", (), "PutObject"),
        ("DELETE", "/b/k", (), "DeleteObject"),
        ("POST", "/b/k", ("uploads",), "PutObject"),
        ("PUT", "/b/k", ("partNumber", "uploadId"), "PutObject"),
        ("POST", "/b/k", ("uploadId",), "PutObject"),
        ("GET", "/b/k", ("uploadId",), "ListMultipartUploadParts"),
        ("DELETE", "/b/k", ("uploadId",), "AbortMultipartUpload"),
        ("PUT", "/b/k", ("tagging",), "PutObjectTagging"),
    ],
)
def test_objects_are_read_and_written(method: str, path: str, parameters: tuple[str, ...], action: str) -> None:
    assert object_action(method, path, parameters)[0] == action
    check_objects(CALLER, method, path, parameters)


@pytest.mark.parametrize(
    ("method", "path", "parameters", "action"),
    [
        ("PUT", "/b", (), "CreateBucket"),
        ("PUT", "/b/", (), "CreateBucket"),
        ("DELETE", "/b", (), "DeleteBucket"),
        ("PUT", "/b", ("policy",), "PutBucketPolicy"),
        ("GET", "/b", ("acl",), "GetBucketAcl"),
        ("PUT", "/b/k", ("acl",), "PutObjectAcl"),
        ("PUT", "/b/k", ("retention", "versionId"), "PutObjectRetention"),
        ("PUT", "/b/k", ("uploadId", "acl"), "PutObjectAcl"),
        ("POST", "/b", (), "PutBucket"),
        ("PUT", "/", (), "PutBucket"),
        ("POST", "/", ("delete",), "PutBucket"),
        ("PATCH", "/b/k", (), "PATCHObject"),
    ],
)
def test_buckets_are_not_managed(method: str, path: str, parameters: tuple[str, ...], action: str) -> None:
    with pytest.raises(ObjectAccessDenied) as caught:
        check_objects(CALLER, method, path, parameters)
    why = f"because no identity-based policy allows the s3:{action} action"
    resource = object_action(method, path, parameters)[1]
    assert caught.value.message == f'{USER}s3:{action} on resource: "arn:aws:s3:::{resource}" {why}'


pieces = st.sampled_from(["/", "//", "/.", "/..", "/%2e", "/%2E%2e", "%2F", "/b", "/k", "b", "."])


@given(st.sampled_from(["PUT", "DELETE"]), st.lists(pieces, max_size=6).map(lambda parts: "/" + "".join(parts)))
def test_no_path_makes_a_bucket_look_like_an_object(method: str, path: str) -> None:
    """A store that cleans paths must not find a bucket where an object was allowed."""
    for cleaned in (path, unquote(path), posixpath.normpath(path), posixpath.normpath(unquote(path))):
        if len([part for part in cleaned.split("/") if part]) < 2:
            with pytest.raises(ObjectAccessDenied):
                check_objects(CALLER, method, path, ())


def test_what_is_called_without_a_resource() -> None:
    check_operation(CALLER, "sts", "GetCallerIdentity", {})
    check_operation(CALLER, "cloudwatch", "PutMetricData", {})
    for service, operation, resource in (
        ("sagemaker", "ListModels", " on resource: *"),
        ("cloudwatch", "GetMetricData", ""),
    ):
        with pytest.raises(AccessDenied) as caught:
            check_operation(CALLER, service, operation, {})
        action = f"{service}:{operation}"
        why = f"because no identity-based policy allows the {action} action"
        assert caught.value.message == f"{USER}{action}{resource} {why}"


def test_input_of_any_type_is_denied() -> None:
    for name in (None, 7, ["a"], {"a": 1}, "{weird} %s"):
        with pytest.raises(AccessDenied):
            check_operation(CALLER, "sagemaker", "CreateModel", {"ModelName": name})


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:role/Role", "Role"),
        ("arn:aws:iam::123456789012:role/service-role/a/Role", "Role"),
        ("", ""),
    ],
)
def test_the_name_of_a_role_has_no_path(arn: str, name: str) -> None:
    assert role_name(arn) == name
