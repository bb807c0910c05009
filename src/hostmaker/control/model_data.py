"""Whether the data of a model are there."""

from __future__ import annotations

from hostmaker.domain.endpoint import Snapshot
from hostmaker.domain.location import parse_location
from hostmaker.domain.model import ModelData
from hostmaker.ports import Objects, ObjectsUnavailableError


async def is_there(objects: Objects, data: ModelData) -> bool:
    """Ask the object store; raises ObjectsUnavailableError."""
    location = parse_location(data.uri)
    return await objects.exists(location.bucket, location.key)


async def missing_data(objects: Objects, target: Snapshot) -> tuple[list[str], list[str]]:
    """Give what a new fleet could not start for, and of what that cannot be told now; a sentence each."""
    missing, unknown = [], []
    for variant in target.variants:
        for data in variant.model.container.all_data:
            try:
                if not await is_there(objects, data):
                    missing.append(
                        f'Model data of variant {variant.name} (model "{variant.model.name}") are not at {data.uri}: '
                        "its instances would fail to start, and it would be rolled back."
                    )
            except ObjectsUnavailableError as error:
                unknown.append(f"Whether the model data of variant {variant.name} are there is not known: {error}")
    return missing, unknown
