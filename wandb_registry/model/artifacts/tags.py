"""Tags of versions and collections."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model import names

Row = dict[str, Any]


def of_artifact(db: Connection, artifact_id: int) -> list[Row]:
    return of_artifacts(db, [artifact_id]).get(artifact_id, [])


def of_artifacts(db: Connection, artifact_ids: list[int]) -> dict[int, list[Row]]:
    """The tags of each of these versions that has any."""
    by_artifact: dict[int, list[Row]] = {}
    for row in db.all(
        """
        select id, name, artifact_id
          from artifact_tag
         where artifact_id in (select value from json_each(:artifacts))
         order by name
        """,
        artifacts=json.dumps(artifact_ids),
    ):
        by_artifact.setdefault(row["artifact_id"], []).append(row)
    return by_artifact


def add_to_artifact(db: Connection, artifact_id: int, tags: list[str]) -> None:
    db.executemany(
        "insert into artifact_tag (artifact_id, name) values (:artifact, :name) on conflict do nothing",
        [{"artifact": artifact_id, "name": names.tag(tag)} for tag in tags],
    )


def take_from_artifact(db: Connection, artifact_id: int, tags: list[str]) -> None:
    db.executemany(
        "delete from artifact_tag where artifact_id = :artifact and name = :name",
        [{"artifact": artifact_id, "name": tag} for tag in tags],
    )


def of_collection(db: Connection, collection_id: int) -> list[Row]:
    return db.all(
        "select id, name from collection_tag where collection_id = :collection order by name", collection=collection_id
    )


def add_to_collection(db: Connection, collection_id: int, tags: list[str]) -> None:
    db.executemany(
        "insert into collection_tag (collection_id, name) values (:collection, :name) on conflict do nothing",
        [{"collection": collection_id, "name": names.tag(tag)} for tag in tags],
    )


def take_from_collection(db: Connection, collection_id: int, tags: list[str]) -> None:
    db.executemany(
        "delete from collection_tag where collection_id = :collection and name = :name",
        [{"collection": collection_id, "name": tag} for tag in tags],
    )
