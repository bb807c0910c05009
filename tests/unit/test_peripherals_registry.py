"""ECR over the runtime catalog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hostmaker.domain.endpoint import ResolvedImage
from hostmaker.peripherals.pages import page
from hostmaker.peripherals.registry import (
    ImageNotFoundException,
    InvalidParameterException,
    Registry,
    RepositoryNotFoundException,
)
from hostmaker.ports import CallContext

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CALLER = CallContext("us-east-1", "123456789012", "AKIA", "r-1")
TAGS = {"sagemaker-scikit-learn": ["1.0-1-cpu-py3", "1.2-1-cpu-py3"], "hostmaker/echo": ["1"], "other": ["1"]}
URI = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
RESOLVED = [
    ResolvedImage(URI, f"repo@{NEW}", SINCE + timedelta(hours=1)),
    ResolvedImage(URI, f"repo@{OLD}", SINCE),
    ResolvedImage("x/not-hostmaker/echo-like/other:2", f"repo@{OLD}", SINCE),
]


def call(operation: str, **request: Any) -> Any:
    registry = Registry(TAGS, lambda: SINCE, SINCE, lambda: RESOLVED)
    return registry.handlers()["ecr", operation](CALLER, request)


def test_repositories_in_whatever_registry_is_asked() -> None:
    given = call("DescribeRepositories")
    assert [item["repositoryName"] for item in given["repositories"]] == sorted(TAGS)
    (echo,) = call("DescribeRepositories", repositoryNames=["hostmaker/echo"], registryId="683313688378")[
        "repositories"
    ]
    assert echo == {
        "repositoryArn": "arn:aws:ecr:us-east-1:683313688378:repository/hostmaker/echo",
        "registryId": "683313688378",
        "repositoryName": "hostmaker/echo",
        "repositoryUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/hostmaker/echo",
        "createdAt": SINCE,
    }


def test_a_missing_repository() -> None:
    for operation, further in [
        ("DescribeRepositories", {"repositoryNames": ["none"]}),
        ("DescribeImages", {"repositoryName": "none"}),
        ("BatchGetImage", {"repositoryName": "none", "imageIds": [{"imageTag": "1"}]}),
    ]:
        with pytest.raises(RepositoryNotFoundException, match="^The repository with name 'none' does not exist in the"):
            call(operation, **further)


def test_an_image_has_a_digest_once_it_was_resolved() -> None:
    first, second = call("DescribeImages", repositoryName="sagemaker-scikit-learn")["imageDetails"]
    assert (first["imageTags"], first["imageDigest"]) == (["1.0-1-cpu-py3"], None)
    assert (second["imageTags"], second["imageDigest"]) == (["1.2-1-cpu-py3"], NEW)
    assert call("DescribeImages", repositoryName="other")["imageDetails"][0]["imageDigest"] is None


@pytest.mark.parametrize("ident", [{"imageTag": "1.2-1-cpu-py3"}, {"imageDigest": NEW}])
def test_images_are_found_by_tag_and_by_digest(ident: dict[str, str]) -> None:
    given = call("DescribeImages", repositoryName="sagemaker-scikit-learn", imageIds=[ident])
    assert [item["imageTags"] for item in given["imageDetails"]] == [["1.2-1-cpu-py3"]]
    given = call("BatchGetImage", repositoryName="sagemaker-scikit-learn", imageIds=[ident])
    assert given["images"][0]["imageId"] == {"imageTag": "1.2-1-cpu-py3", "imageDigest": NEW}
    assert given["failures"] == []


@pytest.mark.parametrize(
    "ident", [{"imageTag": "9"}, {"imageDigest": OLD}, {"imageTag": "1.0-1-cpu-py3", "imageDigest": NEW}, {}]
)
def test_images_that_are_not_there(ident: dict[str, str]) -> None:
    with pytest.raises(ImageNotFoundException, match="Tags here: 1.0-1-cpu-py3, 1.2-1-cpu-py3"):
        call("DescribeImages", repositoryName="sagemaker-scikit-learn", imageIds=[ident])
    given = call("BatchGetImage", repositoryName="sagemaker-scikit-learn", imageIds=[ident])
    assert given["images"] == []
    failure = {"imageId": ident, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
    assert given["failures"] == [failure]


def test_filters() -> None:
    for wanted, number in [
        ({"tagStatus": "UNTAGGED"}, 0),
        ({"tagStatus": "TAGGED"}, 1),
        ({"imageStatus": "ARCHIVED"}, 0),
    ]:
        assert len(call("DescribeImages", repositoryName="other", filter=wanted)["imageDetails"]) == number


def test_pages() -> None:
    first = call("DescribeRepositories", maxResults=2)
    assert [item["repositoryName"] for item in first["repositories"]] == ["hostmaker/echo", "other"]
    second = call("DescribeRepositories", maxResults=2, nextToken=first["nextToken"])
    assert [item["repositoryName"] for item in second["repositories"]] == ["sagemaker-scikit-learn"]
    assert second["nextToken"] is None
    for token in ("ü", "x", "////"):
        with pytest.raises(InvalidParameterException):
            call("DescribeImages", repositoryName="other", nextToken=token)


def test_a_page_goes_on_after_the_last_item_even_when_that_is_gone() -> None:
    first, token = page(["a", "b", "c", "d"], 2, None)
    assert list(first) == ["a", "b"]
    assert page(["a", "aa", "c", "d"], 2, token) == (["c", "d"], None)


def test_a_token_of_the_right_form() -> None:
    (given,) = call("GetAuthorizationToken")["authorizationData"]
    assert given["proxyEndpoint"] == "https://123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert given["expiresAt"] == SINCE + timedelta(hours=12)
    assert len(call("GetAuthorizationToken", registryIds=["1" * 12, "2" * 12])["authorizationData"]) == 2
