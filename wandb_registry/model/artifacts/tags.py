"""Tags of versions and collections."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model import activity_log, names
from wandb_registry.model.access import Viewer

Row = dict[str, Any]
ADD, DROP = "tag", "untag"


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


def add_to_artifact(db: Connection, viewer: Viewer, artifact: Row, tags: list[str]) -> None:
    """Tags a version. What it has already, and what is said before it is committed, is no event of the log."""
    sql = "insert into artifact_tag (artifact_id, name) values (:artifact, :name) on conflict do nothing"
    for tag in tags:
        if db.execute(sql, {"artifact": artifact["id"], "name": names.tag(tag)}).rowcount:
            _record(db, viewer, ADD, artifact["collection_id"], tag, artifact)


def take_from_artifact(db: Connection, viewer: Viewer, artifact: Row, tags: list[str]) -> None:
    sql = "delete from artifact_tag where artifact_id = :artifact and name = :name"
    for tag in tags:
        if db.execute(sql, {"artifact": artifact["id"], "name": tag}).rowcount:
            _record(db, viewer, DROP, artifact["collection_id"], tag, artifact)


def of_collection(db: Connection, collection_id: int) -> list[Row]:
    return db.all(
        "select id, name from collection_tag where collection_id = :collection order by name", collection=collection_id
    )


def add_to_collection(db: Connection, viewer: Viewer, collection_id: int, tags: list[str]) -> None:
    sql = "insert into collection_tag (collection_id, name) values (:collection, :name) on conflict do nothing"
    for tag in tags:
        if db.execute(sql, {"collection": collection_id, "name": names.tag(tag)}).rowcount:
            _record(db, viewer, ADD, collection_id, tag, None)


def take_from_collection(db: Connection, viewer: Viewer, collection_id: int, tags: list[str]) -> None:
    sql = "delete from collection_tag where collection_id = :collection and name = :name"
    for tag in tags:
        if db.execute(sql, {"collection": collection_id, "name": tag}).rowcount:
            _record(db, viewer, DROP, collection_id, tag, None)


def _record(db: Connection, viewer: Viewer, action: str, collection_id: int, tag: str, artifact: Row | None) -> None:
    """Of a version the event says which one; it stands under the collection that owns it."""
    if artifact and artifact["state"] != "COMMITTED":
        return
    on = f"v{artifact['version_index']}" if artifact else None
    before, after = (None, on) if action == ADD else (on, None)
    number = artifact["id"] if artifact else None
    activity_log.record_in_collection(db, viewer, action, collection_id, tag, before, after, number)
