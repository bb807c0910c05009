"""A model: image, data and environment of its containers, and the request that made it, for the echo."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.kit.json_value import Json


class DataLayout(enum.Enum):
    """How model data lies in the object store."""

    GZIP = "Gzip"  # one .tar.gz, extracted into the model directory
    PREFIX = "Prefix"  # every object under a prefix, names kept
    OBJECT = "Object"  # one object, under its base name


@dataclass(frozen=True, slots=True)
class ModelData:
    """Where a container's model data lies; `uri` begins with `s3://` or `https://`."""

    uri: str
    layout: DataLayout = DataLayout.GZIP


@dataclass(frozen=True, slots=True)
class Channel:
    """Further data of a container, in a directory that bears the channel's name."""

    name: str
    data: ModelData


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a model; the names of its channels differ."""

    image: str
    data: ModelData | None = None
    environment: dict[str, str] = field(default_factory=dict)
    hostname: str | None = None
    channels: tuple[Channel, ...] = ()

    @property
    def all_data(self) -> tuple[ModelData, ...]:
        """Give all that its instances fetch."""
        own = (self.data,) if self.data is not None else ()
        return (*own, *(channel.data for channel in self.channels))


@dataclass(frozen=True, slots=True)
class Model:
    """The resource that CreateModel makes. `sent` is the validated request as it came, echoed by DescribeModel."""

    region: str
    name: str
    arn: str
    container: Container
    created: datetime
    sent: dict[str, Json]
