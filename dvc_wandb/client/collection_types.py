"""The types of collections. All versions of a collection have its type, and W&B refuses one of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.client.queries import Queries

if TYPE_CHECKING:
    import wandb


def read(run: wandb.Run, names: Sequence[str]) -> dict[str, str]:
    """The type of each of the collections `names` in the project of `run`, as far as they exist."""
    url = str(run.settings.base_url)
    return Queries(RegistryConnection(url, run.entity, run.project, embedded=False)).collection_types(names)


def change(run: wandb.Run, name: str, before: str, after: str) -> None:
    """Give the collection `name` another type, with all of its versions."""
    collection = public_api().artifact_collection(before, f"{run.entity}/{run.project}/{name}")
    collection.type = after
    collection.save()
