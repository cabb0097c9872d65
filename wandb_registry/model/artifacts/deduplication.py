"""The same content twice in one collection is one version, whenever its second writer learns of the first.

Who announces content that is there already is given that version. Who announces it while the first writer is still
sending learns of it at the commit: then the announcement is folded into the version, and its id goes on to name it.
"""

from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]

COMMITTED = """
select *
  from artifact
 where collection_id = :collection and digest = :digest and state = 'COMMITTED'
 order by id desc
"""
FOLD = (
    """
    update run_output
       set artifact_id = :twin
     where artifact_id = :id and run_id not in (select run_id from run_output where artifact_id = :twin)
    """,
    """
    update run_input
       set artifact_id = :twin
     where artifact_id = :id and run_id not in (select run_id from run_input where artifact_id = :twin)
    """,
    """
    update artifact_tag
       set artifact_id = :twin
     where artifact_id = :id and name not in (select name from artifact_tag where artifact_id = :twin)
    """,
    "update client_id set artifact_id = :twin where artifact_id = :id",
    # which members of the entity may have the content is told by the version that it came for
    """
    update holding
       set artifact_id = :twin
     where artifact_id = :id
       and md5 in (select md5 from entry where artifact_id = :twin)
       and entity_id = (select project.entity_id
                          from artifact
                          join collection on collection.id = artifact.collection_id
                          join project on project.id = collection.project_id
                         where artifact.id = :twin)
    """,
    "delete from artifact where id = :id",
    "insert into twin (id, artifact_id) values (:id, :twin)",
)


def find(db: Connection, collection_id: int, digest: str) -> Row | None:
    """The version of a collection that has this content."""
    return db.one(COMMITTED, collection=collection_id, digest=digest)


def fold(db: Connection, announced: Row, twin: Row) -> None:
    """Makes an announcement one with the version that has its content: edges, tags and ids go over to it."""
    for statement in FOLD:
        db.execute(statement, {"id": announced["id"], "twin": twin["id"]})
