"""AddTags, ListTags, DeleteTags, and the tags that come with a creation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from hostmaker.control.services import Services
from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, Output

MOST_TAGS = 50
KINDS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


class Tags:
    """The operations on tags."""

    def __init__(self, services: Services) -> None:
        self._store = services.store

    def add(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """AddTags: values of keys that exist are replaced."""
        arn, there = self._find(request)
        tags = read_tags(request["Tags"])
        together = {**there, **dict(tags)}
        _check_number(together)
        self._store.put_tags(arn, tags)
        return {"Tags": _shown(together)}

    def list(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """ListTags: all on one page, since MaxResults is at least as many as a resource can have."""
        if request.get("NextToken") is not None:
            raise ValidationException("Invalid pagination token.")
        return {"Tags": _shown(self._find(request)[1])}

    def delete(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteTags: keys that are not there are no error; with a reserved one, none is deleted."""
        arn, _ = self._find(request)
        keys = [str(key) for key in cast(Sequence[Json], request["TagKeys"])]
        _check_reserved(keys)
        self._store.delete_tags(arn, keys)
        return {}

    def _find(self, request: Mapping[str, Json]) -> tuple[str, dict[str, str]]:
        """Give the ARN as it is kept, its name in lower case, and the tags; raises ValidationException."""
        asked = str(request["ResourceArn"])
        arn = asked.lower()
        tags = self._store.tags(arn)
        if tags is None:
            kind = KINDS.get(arn.split(":", 5)[5].partition("/")[0], "resource")
            raise ValidationException(f'Could not find {kind} "{asked}".')
        return arn, tags


def read_tags(sent: Json) -> list[tuple[str, str]]:
    """Read a Tags member; raises ValidationException for reserved or repeated keys, and for too many."""
    items = cast(Sequence[Mapping[str, str]], sent or ())
    tags = [(item["Key"], item["Value"]) for item in items]
    keys = [key for key, _ in tags]
    _check_reserved(keys)
    if repeated := [key for key in keys if keys.count(key) > 1]:
        raise ValidationException(f'Duplicate tag keys found: "{repeated[0]}".')
    _check_number(dict(tags))
    return tags


def _check_reserved(keys: Sequence[str]) -> None:
    """Refuse keys of AWS's own, in any case, with the service's sentence."""
    for key in keys:
        if key.lower().startswith("aws:"):
            raise ValidationException(f"System prefix 'aws:' reserved for AWS usage in tag key: {key}")


def _check_number(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise ValidationException(f"A resource can have at most {MOST_TAGS} tags, not {len(tags)}.")


def _shown(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
