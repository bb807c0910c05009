"""ECR: the repositories of the runtime catalog, so that clients find the images that can be deployed here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from hostmaker.domain.errors import ApiError
from hostmaker.domain.names import partition
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, Handler, Output


class RepositoryNotFoundException(ApiError):
    """No runtime stands for this repository."""

    code, status = "RepositoryNotFoundException", 400


class ImageNotFoundException(ApiError):
    """No runtime stands for this tag."""

    code, status = "ImageNotFoundException", 400


class Registry:
    """The operations of ECR over a fixed list of repositories and their tags."""

    def __init__(self, tags: Mapping[str, Sequence[str]], now: Callable[[], datetime], since: datetime) -> None:
        self._tags = tags
        self._now = now
        self._since = since

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the handlers by service and operation."""
        return {
            ("ecr", "DescribeRepositories"): self.describe_repositories,
            ("ecr", "DescribeImages"): self.describe_images,
            ("ecr", "BatchGetImage"): self.batch_get_image,
            ("ecr", "GetAuthorizationToken"): self.get_authorization_token,
        }

    def describe_repositories(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeRepositories."""
        names = cast(Sequence[str], request.get("repositoryNames") or sorted(self._tags))
        for name in names:
            self._known(ctx, name)
        return {"repositories": [self._repository(ctx, name) for name in names]}

    def describe_images(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeImages."""
        name = str(request["repositoryName"])
        tags = self._chosen(ctx, name, cast(Sequence[Mapping[str, str]] | None, request.get("imageIds")))
        return {
            "imageDetails": [
                {
                    "registryId": ctx.account,
                    "repositoryName": name,
                    "imageDigest": _digest(name, tag),
                    "imageTags": [tag],
                    "imagePushedAt": self._since,
                }
                for tag in tags
            ]
        }

    def batch_get_image(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """BatchGetImage: images that are not there are told as failures."""
        name = str(request["repositoryName"])
        known = self._known(ctx, name)
        images, failures = [], []
        for ident in cast(Sequence[Mapping[str, str]], request["imageIds"]):
            tag = ident.get("imageTag")
            if tag in known:
                found = {"imageTag": tag, "imageDigest": _digest(name, str(tag))}
                images.append({"registryId": ctx.account, "repositoryName": name, "imageId": found})
            else:
                reason = "Requested image not found"
                failures.append({"imageId": dict(ident), "failureCode": "ImageNotFound", "failureReason": reason})
        return {"images": images, "failures": failures}

    def get_authorization_token(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """GetAuthorizationToken: a token that fits the form; no registry stands behind it."""
        token = base64.b64encode(b"AWS:no-registry-here").decode()
        endpoint = f"https://{ctx.account}.dkr.ecr.{ctx.region}.amazonaws.com"
        expires = self._now() + timedelta(hours=12)
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": endpoint}]}

    def _known(self, ctx: CallContext, name: str) -> Sequence[str]:
        if name not in self._tags:
            raise RepositoryNotFoundException(
                f"The repository with name '{name}' does not exist in the registry with id '{ctx.account}'. "
                f"Repositories here: {', '.join(sorted(self._tags))}."
            )
        return self._tags[name]

    def _chosen(self, ctx: CallContext, name: str, idents: Sequence[Mapping[str, str]] | None) -> Sequence[str]:
        known = self._known(ctx, name)
        if not idents:
            return known
        tags = [ident.get("imageTag", "") for ident in idents]
        for tag in tags:
            if tag not in known:
                raise ImageNotFoundException(
                    f"The image with imageId {{imageTag:'{tag}'}} does not exist within the repository with name "
                    f"'{name}'. Tags here: {', '.join(known)}."
                )
        return tags

    def _repository(self, ctx: CallContext, name: str) -> Mapping[str, object]:
        return {
            "repositoryArn": f"arn:{partition(ctx.region)}:ecr:{ctx.region}:{ctx.account}:repository/{name}",
            "registryId": ctx.account,
            "repositoryName": name,
            "repositoryUri": f"{ctx.account}.dkr.ecr.{ctx.region}.amazonaws.com/{name}",
            "createdAt": self._since,
        }


def _digest(name: str, tag: str) -> str:
    return "sha256:" + hashlib.sha256(f"{name}:{tag}".encode()).hexdigest()
