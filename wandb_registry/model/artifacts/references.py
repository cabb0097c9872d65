"""References between versions: the entry `wandb-artifact://HEX/PATH` is the file PATH of the version with that id.

The files that a version refers to stay when their own version is deleted: whatever is listed can be downloaded. Only
versions of the same entity hold them, or any stranger could.
"""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Conflict
from wandb_registry.model import ids
from wandb_registry.model.artifacts import memberships

Row = dict[str, Any]

# Behind the slash of an address comes a path, and '0' is the character that follows '/'.
REFERRING = """
select distinct artifact.id, artifact.state, collection.name || ':v' || artifact.version_index as version
  from entry
  join artifact on artifact.id = entry.artifact_id
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
 where entry.ref >= :address || '/' and entry.ref < :address || '0'
   and collection.id not in (select value from json_each(:besides))
   and project.entity_id = (select own_project.entity_id
                              from artifact target
                              join collection own on own.id = target.collection_id
                              join project own_project on own_project.id = own.project_id
                             where target.id = :target)
"""
KEPT = """
select id
  from artifact
 where state = 'DELETED' and exists (select 1 from entry where entry.artifact_id = artifact.id)
"""
MEMBERSHIP_OF_DELETED = """
select -id as id, collection_id, id as artifact_id, version_index, created_at
  from artifact
 where collection_id = :collection and version_index = :number and state = 'DELETED'
   and exists (select 1 from entry where entry.artifact_id = artifact.id)
"""
IN_COLLECTIONS = "select id from artifact where collection_id in (select value from json_each(:collections))"


def release(db: Connection, artifact_id: int) -> None:
    """Lets go of a deleted version's files, unless a version refers to them."""
    if not _referring(db, artifact_id, []):
        db.execute("delete from entry where artifact_id = :id", {"id": artifact_id})


def release_unreferred(db: Connection) -> None:
    """Lets go of the files of deleted versions that nothing refers to any more."""
    for row in db.all(KEPT):
        release(db, row["id"])


def membership_of_deleted(db: Connection, collection_id: int, name: str) -> Row | None:
    """Where a deleted version was, if its files are kept: the SDK follows a reference to them by number."""
    number = memberships.NUMBER.fullmatch(name)
    return db.one(MEMBERSHIP_OF_DELETED, collection=collection_id, number=int(number[1])) if number else None


def refuse_if_referred(db: Connection, collection_ids: list[int]) -> None:
    """Refuses to remove these collections while a version of another one refers to files of theirs."""
    for row in db.all(IN_COLLECTIONS, collections=json.dumps(collection_ids)):
        referring = _referring(db, row["id"], collection_ids)
        if referring:
            raise Conflict(
                f"'{referring}' refers to files in what would be deleted. Delete that version first, or delete the "
                "versions here one by one: the files that are referred to are kept then."
            )


def needed_by(db: Connection, artifact_id: int) -> str | None:
    """A version that needs files of this one, as NAME:vN."""
    return _referring(db, artifact_id, [])


def _referring(db: Connection, artifact_id: int, besides: list[int]) -> str | None:
    """A version that needs files of this one: it refers to them, or a deleted one that it needs does."""
    address = f"wandb-artifact://{ids.to_hex('Artifact', artifact_id)}"
    for row in db.all(REFERRING, address=address, target=artifact_id, besides=json.dumps(besides)):
        needed_by = row["version"] if row["state"] == "COMMITTED" else _referring(db, row["id"], besides)
        if needed_by:
            return needed_by
    return None
