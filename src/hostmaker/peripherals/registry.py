"""ECR: the repositories of the runtime catalog, so that clients find the images that can be deployed here.

An image has a digest here from the moment that an endpoint has resolved it; until then none is shown, since what a tag
stands for is not decided yet.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from hostmaker.domain.endpoint import ResolvedImage
from hostmaker.domain.errors import ApiError
from hostmaker.domain.names import partition
from hostmaker.kit.json_value import Json
from hostmaker.peripherals.pages import BadTokenError, page
from hostmaker.ports import CallContext, Handler, Output


class RepositoryNotFoundException(ApiError):
    """No runtime stands for this repository."""

    code, status = "RepositoryNotFoundException", 400


class ImageNotFoundException(ApiError):
    """No runtime stands for this tag."""

    code, status = "ImageNotFoundException", 400


class InvalidParameterException(ApiError):
    """A parameter that the operation cannot take."""

    code, status = "InvalidParameterException", 400


class Registry:
    """The operations of ECR over a fixed list of repositories and their tags, in whatever account is asked for."""

    def __init__(
        self,
        tags: Mapping[str, Sequence[str]],
        now: Callable[[], datetime],
        since: datetime,
        resolved: Callable[[], Iterable[ResolvedImage]] = tuple,
    ) -> None:
        """`tags` by repository; `now` is real time; `since` is when the catalog came; `resolved`: known digests."""
        self._tags = tags
        self._now = now
        self._since = since
        self._resolved = resolved

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
        registry = _registry(ctx, request)
        asked = cast(Sequence[str], request.get("repositoryNames") or ())
        for name in asked:
            self._known(registry, name)
        names, more = _page(asked or tuple(self._tags), request)
        return {"repositories": [self._repository(ctx, registry, name) for name in names], "nextToken": more}

    def describe_images(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeImages."""
        registry, name = _registry(ctx, request), str(request["repositoryName"])
        idents = cast(Sequence[Mapping[str, str]], request.get("imageIds") or ())
        digests = self._digests(registry, name)
        found = [self._found(ident, digests) for ident in idents]
        for ident, tag in zip(idents, found, strict=True):
            if tag is None:
                raise ImageNotFoundException(
                    f"The image with imageId {_shown(ident)} does not exist within the repository with name '{name}' "
                    f"in the registry with id '{registry}'. Tags here: {', '.join(digests)}."
                )
        wanted = cast(Mapping[str, str], request.get("filter") or {})
        every = tuple(tag for tag in found if tag is not None) or tuple(digests)
        is_shown = wanted.get("tagStatus", "ANY") != "UNTAGGED" and wanted.get("imageStatus", "ANY") in (
            "ANY",
            "ACTIVE",
        )
        tags, more = _page(every if is_shown else (), request)
        return {
            "imageDetails": [
                {
                    "registryId": registry,
                    "repositoryName": name,
                    "imageDigest": digests[tag],
                    "imageTags": [tag],
                    "imagePushedAt": self._since,
                }
                for tag in tags
            ],
            "nextToken": more,
        }

    def batch_get_image(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """BatchGetImage: without manifests, since there are none; images that are not there are told as failures."""
        registry, name = _registry(ctx, request), str(request["repositoryName"])
        digests = self._digests(registry, name)
        images, failures = [], []
        for ident in cast(Sequence[Mapping[str, str]], request["imageIds"]):
            tag = self._found(ident, digests)
            if tag is None:
                reason = "Requested image not found"
                failures.append({"imageId": dict(ident), "failureCode": "ImageNotFound", "failureReason": reason})
            else:
                found = {"imageTag": tag, "imageDigest": digests[tag]}
                images.append({"registryId": registry, "repositoryName": name, "imageId": found})
        return {"images": images, "failures": failures}

    def get_authorization_token(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """GetAuthorizationToken: a token of the right form; no registry stands behind it."""
        token = base64.b64encode(b"AWS:no-registry-here").decode()
        registries = cast(Sequence[str], request.get("registryIds") or (ctx.account,))
        expires = self._now() + timedelta(hours=12)
        return {
            "authorizationData": [
                {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": f"https://{_host(ctx, registry)}"}
                for registry in registries
            ]
        }

    def _known(self, registry: str, name: str) -> Sequence[str]:
        if name not in self._tags:
            raise RepositoryNotFoundException(
                f"The repository with name '{name}' does not exist in the registry with id '{registry}'. "
                f"Repositories here: {', '.join(sorted(self._tags))}."
            )
        return self._tags[name]

    def _digests(self, registry: str, name: str) -> dict[str, str | None]:
        """Give the newest digest by tag, None while there is none; raises RepositoryNotFoundException."""
        digests: dict[str, str | None] = dict.fromkeys(self._known(registry, name))
        for image in sorted(self._resolved(), key=lambda image: image.at):
            tag = image.specified.rpartition(":")[2]
            if tag in digests and f"/{image.specified}".endswith(f"/{name}:{tag}"):
                digests[tag] = image.resolved.rpartition("@")[2]
        return digests

    def _found(self, ident: Mapping[str, str], digests: Mapping[str, str | None]) -> str | None:
        """Give the tag of an image that is named by tag, by digest, or by both."""
        tag, digest = ident.get("imageTag"), ident.get("imageDigest")
        fits = (t for t, d in digests.items() if tag in (None, t) and digest in (None, d))
        return next(fits, None) if tag or digest else None

    def _repository(self, ctx: CallContext, registry: str, name: str) -> Mapping[str, object]:
        return {
            "repositoryArn": f"arn:{partition(ctx.region)}:ecr:{ctx.region}:{registry}:repository/{name}",
            "registryId": registry,
            "repositoryName": name,
            "repositoryUri": f"{_host(ctx, registry)}/{name}",
            "createdAt": self._since,
        }


def _registry(ctx: CallContext, request: Mapping[str, Json]) -> str:
    """Name the registry that is asked: the framework images are looked for in AWS's own accounts."""
    return str(request.get("registryId") or ctx.account)


def _host(ctx: CallContext, registry: str) -> str:
    suffix = ".cn" if partition(ctx.region) == "aws-cn" else ""
    return f"{registry}.dkr.ecr.{ctx.region}.amazonaws.com{suffix}"


def _page(items: Sequence[str], request: Mapping[str, Json]) -> tuple[Sequence[str], str | None]:
    try:
        return page(items, request.get("maxResults", 100), request.get("nextToken"))
    except BadTokenError:
        raise InvalidParameterException("Invalid parameter at 'nextToken': it is not one of this list.") from None


def _shown(ident: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}:'{value}'" for key, value in sorted(ident.items(), reverse=True)) + "}"
