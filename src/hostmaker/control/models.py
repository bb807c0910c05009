"""CreateModel, DescribeModel, DeleteModel, ListModels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from hostmaker.control.lists import Listing, summaries
from hostmaker.control.model_data import is_there
from hostmaker.control.services import Services
from hostmaker.control.tags import read_tags
from hostmaker.domain.errors import InternalFailure, ValidationException
from hostmaker.domain.location import parse_location
from hostmaker.domain.model import Channel, Container, DataLayout, Model, ModelData
from hostmaker.domain.names import arn
from hostmaker.kit.json_value import Json
from hostmaker.ports import (
    CallContext,
    NameTakenError,
    ObjectForbiddenError,
    ObjectKeyError,
    ObjectsUnavailableError,
    Output,
)
from hostmaker.wire.members import check_members


class Models:
    """The operations on models."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """CreateModel; checks that the model data is there, as the service does."""
        check_members("CreateModel", request, self._services.strict)
        tags = read_tags(request.get("Tags"))
        name = str(request["ModelName"])
        container = _container(request)
        model_arn = arn(ctx.region, ctx.account, "model", name)
        taken = f'Cannot create already existing model "{model_arn}".'
        if self._services.store.model(ctx.region, name) is not None:
            raise ValidationException(taken)
        for data in container.all_data:
            await self._check_data(data, request.get("ExecutionRoleArn"), ctx.region)
        sent = {key: value for key, value in request.items() if key != "Tags"}
        model = Model(ctx.region, name, model_arn, container, self._services.now(), sent)
        try:
            self._services.store.add_model(model, tags)
        except NameTakenError:
            raise ValidationException(taken) from None  # by another request, during the check of the data
        return {"ModelArn": model_arn}

    def describe(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeModel: what was sent, and nothing that was not."""
        model = self._find(ctx, str(request["ModelName"]))
        return {**model.sent, "ModelArn": model.arn, "CreationTime": model.created}

    def delete(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteModel: the record alone, whether or not an endpoint uses it."""
        model = self._find(ctx, str(request["ModelName"]))
        self._services.store.delete_model(ctx.region, model.name)
        return None

    def list(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """ListModels."""
        rows = [
            Listing(model.name, model.created, {"ModelName": model.name, "ModelArn": model.arn})
            for model in self._services.store.models(ctx.region)
        ]
        return summaries("Models", rows, request)

    def _find(self, ctx: CallContext, name: str) -> Model:
        model = self._services.store.model(ctx.region, name)
        if model is None:
            raise ValidationException(f'Could not find model "{arn(ctx.region, ctx.account, "model", name)}".')
        return model

    async def _check_data(self, data: ModelData, role: Json, region: str) -> None:
        key = parse_location(data.uri).key
        if data.layout is DataLayout.PREFIX and key and not key.endswith("/"):
            raise ValidationException(f'S3Uri "{data.uri}" of S3DataType S3Prefix must end with "/".')
        if data.layout is not DataLayout.PREFIX and (not key or key.endswith("/")):
            raise ValidationException(_not_found(data.uri))  # a prefix is no object
        try:
            found = await is_there(self._services.objects, data)
        except ObjectForbiddenError as error:
            raise ValidationException(_no_access(data.uri, role, region)) from error
        except ObjectKeyError as error:
            raise ValidationException(f"Could not access model data at {data.uri}. {error}") from error
        except ObjectsUnavailableError as error:
            raise InternalFailure(f"Request to service failed. {error}") from error
        if not found:
            raise ValidationException(_not_found(data.uri))


def _not_found(uri: str) -> str:
    """Return the service's sentence for model data that is not there."""
    return f"Could not find model data at {uri}."


def _no_access(uri: str, role: Json, region: str) -> str:
    """Return the service's sentences for model data that may not be read; those about a role only when one is named."""
    ensure = (
        f'Please ensure that the role "{role}" exists and that its trust relationship policy allows the action '
        '"sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure that the role has '
        f'"s3:GetObject" permissions and that the object is located in {region}. If your Model uses multiple models or '
        'uncompressed models, please ensure that the role has "s3:ListBucket" permission.'
        if role
        else f"Please ensure that the object is located in {region}."
    )
    return f"Could not access model data at {uri}. {ensure}"


def _container(request: Mapping[str, Json]) -> Container:
    """Read the one container; checks what the shapes cannot say."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if (primary is None) == (not several):
        raise ValidationException("Exactly one of PrimaryContainer and Containers must be provided.")
    sent = cast(Mapping[str, Json], primary if primary is not None else cast(list[Json], several)[0])
    image = sent.get("Image")
    if not image:
        raise ValidationException("A container must have an Image.")
    environment = cast(Mapping[str, str], sent.get("Environment") or {})
    for name, value in environment.items():
        if "\0" in value or "=" in name:
            raise ValidationException(f"Environment variable {name!r} cannot be given to a process.")
    hostname = sent.get("ContainerHostname")
    named = str(hostname) if hostname else None
    return Container(str(image), _data(sent), dict(environment), named, _channels(sent))


def _data(sent: Mapping[str, Json]) -> ModelData | None:
    url, source = sent.get("ModelDataUrl"), sent.get("ModelDataSource")
    if url is not None and source is not None:
        raise ValidationException("ModelDataUrl and ModelDataSource cannot both be specified for a container.")
    if url is not None:
        return ModelData(str(url), DataLayout.GZIP)
    if source is None:
        return None
    s3 = cast(Mapping[str, Mapping[str, Json]], source).get("S3DataSource")
    if s3 is None:
        raise ValidationException("ModelDataSource must have an S3DataSource.")
    return _s3_data(s3)


def _channels(sent: Mapping[str, Json]) -> tuple[Channel, ...]:
    """Read AdditionalModelDataSources; each channel becomes a directory, so its name must be one."""
    channels: dict[str, Channel] = {}
    for source in cast(list[Mapping[str, Json]], sent.get("AdditionalModelDataSources") or []):
        name = str(source["ChannelName"])
        if name in (".", ".."):
            raise ValidationException(f'ChannelName "{name}" of AdditionalModelDataSources cannot name a directory.')
        if name in channels:
            raise ValidationException(f'AdditionalModelDataSources has ChannelName "{name}" twice.')
        channels[name] = Channel(name, _s3_data(cast(Mapping[str, Json], source["S3DataSource"])))
    return tuple(channels.values())


def _s3_data(s3: Mapping[str, Json]) -> ModelData:
    match s3["S3DataType"], s3["CompressionType"]:
        case "S3Object", "Gzip":
            layout = DataLayout.GZIP
        case "S3Prefix", "None":
            layout = DataLayout.PREFIX
        case "S3Object", "None":
            layout = DataLayout.OBJECT
        case kind, compression:
            raise ValidationException(
                f"S3DataType {kind} with CompressionType {compression} is not possible. "
                "Possible: S3Object with Gzip or None, S3Prefix with None."
            )
    return ModelData(str(s3["S3Uri"]), layout)
