"""Tags of versions and collections."""

from typing import Any

from registry.db.connect import Connection
from registry.model import names

Row = dict[str, Any]


def of_artifact(db: Connection, artifact_id: int) -> list[Row]:
    return db.all("select id, name from artifact_tag where artifact_id = :artifact order by name", artifact=artifact_id)


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
