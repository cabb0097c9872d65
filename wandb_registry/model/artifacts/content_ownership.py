"""Which contents an entity has proved to have. Contents are shared on disk, never between those who may not share them:
who only knows an md5 must send the bytes like anybody else.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import NotFound
from wandb_registry.model import access
from wandb_registry.model.access import Viewer
from wandb_registry.model.artifacts import manifests

Row = dict[str, Any]
Content = tuple[str, int | None]  # an md5, and the version that its client has it from

ENTITY_OF_ARTIFACT = """
select project.entity_id
  from artifact
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
 where artifact.id = :artifact
"""
HELD = """
select holding.*, exists (select 1 from artifact where artifact.id = holding.artifact_id) as known
  from holding
 where entity_id = :entity and md5 in (select value from json_each(:md5s))
"""


def find(db: Connection, viewer: Viewer, entity_id: int, md5s: list[str]) -> dict[str, Row]:
    """Which of these contents the entity has, but for those that were sent for a version that the account may not read:
    a project can be closed to members of its entity.
    """
    rows = db.all(HELD, entity=entity_id, md5s=json.dumps(md5s))
    known = {row["artifact_id"] for row in rows if row["known"]}
    closed = {number for number in known if access.find_artifact(db, viewer, number) is None}
    return {row["md5"]: row for row in rows if row["artifact_id"] not in closed}


def add(db: Connection, artifact_id: int, md5: str, size: int) -> None:
    """Notes that the content arrived whole for this version."""
    entity_id = db.value(ENTITY_OF_ARTIFACT, artifact=artifact_id)
    if entity_id is None:
        raise NotFound("The artifact was deleted while this file was on its way. Nothing was stored.")
    db.execute(
        """
        insert into holding (entity_id, md5, size, artifact_id) values (:entity, :md5, :size, :artifact)
            on conflict (entity_id, md5) do update set artifact_id = excluded.artifact_id
        """,
        {"entity": entity_id, "md5": md5, "size": size, "artifact": artifact_id},
    )


def entity_of(db: Connection, artifact_id: int) -> int:
    return db.value(ENTITY_OF_ARTIFACT, artifact=artifact_id)


def checker(
    db: Connection, viewer: Viewer, artifact_id: int, is_there: Callable[[str, int], bool]
) -> Callable[[list[Content]], Iterator[int | None]]:
    """Answers the sizes of contents that this version may have: its entity's own, or of a version one may read."""
    entity_id = entity_of(db, artifact_id)

    def sizes_of(contents: list[Content]) -> Iterator[int | None]:
        own = find(db, viewer, entity_id, [md5 for md5, _ in contents])
        for md5, birth_id in contents:
            held = own.get(md5)
            if (
                held is None
                and birth_id
                and manifests.has_content(db, birth_id, md5)
                and access.find_artifact(db, viewer, birth_id)
            ):
                held = find(db, viewer, entity_of(db, birth_id), [md5]).get(md5)
            yield held["size"] if held and is_there(md5, held["size"]) else None

    return sizes_of
