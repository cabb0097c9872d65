"""Memberships and aliases: which versions a collection has, by number and by name.

An alias names one version of a collection at a time; numbers are never given twice.
"""

import json
import re
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Conflict
from wandb_registry.model import activity_log, names
from wandb_registry.model.access import Viewer
from wandb_registry.model.artifacts import protected_aliases

Row = dict[str, Any]
NUMBER = re.compile(r"v(\d{1,18})")
LATEST = "latest"

BY_ALIAS = """
select membership.*
  from alias
  join membership on membership.id = alias.membership_id
 where alias.collection_id = :collection and alias.name = :alias
"""
BY_NUMBER = "select * from membership where collection_id = :collection and version_index = :number"
OF_ARTIFACT = "select * from membership where collection_id = :collection and artifact_id = :artifact"
BY_DIGEST = """
select membership.*
  from membership
  join artifact on artifact.id = membership.artifact_id
 where membership.collection_id = :collection and artifact.digest = :digest
 order by membership.version_index desc
"""


def find(db: Connection, collection_id: int, alias: str) -> Row | None:
    """The version that an alias, a number such as v3, or a digest means in this collection."""
    if number := NUMBER.fullmatch(alias):
        return db.one(BY_NUMBER, collection=collection_id, number=int(number[1]))
    return db.one(BY_ALIAS, collection=collection_id, alias=alias) or db.one(
        BY_DIGEST, collection=collection_id, digest=alias
    )


def of(db: Connection, collection_id: int, artifact_id: int) -> Row | None:
    return db.one(OF_ARTIFACT, collection=collection_id, artifact=artifact_id)


def own(db: Connection, artifact: Row) -> Row:
    """The membership of a committed version in its own sequence."""
    return db.row(OF_ARTIFACT, collection=artifact["collection_id"], artifact=artifact["id"])


def of_artifact(db: Connection, artifact_id: int) -> list[Row]:
    """All memberships of a version, with the project of each."""
    return of_artifacts(db, [artifact_id])


def of_artifacts(db: Connection, artifact_ids: list[int]) -> list[Row]:
    """All memberships of these versions, with the project of each."""
    return db.all(
        """
        select membership.*, collection.project_id, collection.kind
          from membership
          join collection on collection.id = membership.collection_id
         where membership.artifact_id in (select value from json_each(:artifacts))
         order by membership.id
        """,
        artifacts=json.dumps(artifact_ids),
    )


def page(db: Connection, collection_id: int, limit: int, offset: int, oldest_first: bool = False) -> list[Row]:
    """A collection's versions, newest first unless told otherwise."""
    return db.all(
        """
        select *
          from membership
         where collection_id = :collection
         order by case when :oldest_first then version_index else -version_index end
         limit :limit offset :offset
        """,
        collection=collection_id,
        oldest_first=oldest_first,
        limit=limit,
        offset=offset,
    )


def count(db: Connection, collection_id: int) -> int:
    return db.value("select count(*) from membership where collection_id = :collection", collection=collection_id)


def add(db: Connection, viewer: Viewer, collection_id: int, artifact_id: int, action: str) -> Row:
    """Gives the version the next number of the collection. The action is what the log calls it: 'log' or 'link'."""
    index = db.value(
        "update collection set next_index = next_index + 1 where id = :id returning next_index - 1", id=collection_id
    )
    membership = db.row(
        """
        insert into membership (collection_id, artifact_id, version_index)
        values (:collection, :artifact, :number)
        returning *
        """,
        collection=collection_id,
        artifact=artifact_id,
        number=index,
    )
    if action == "link":  # a version that is just being logged has no number yet: `artifacts.commit` records it
        record(db, viewer, action, membership)
    return membership


def remove(db: Connection, viewer: Viewer, membership: Row, action: str) -> None:
    """Takes the version out of the collection; if it was `latest`, the newest that is left becomes it."""
    held = [alias["name"] for alias in aliases(db, membership["id"])]
    for name in held:
        drop_alias(db, viewer, membership, name)
    record(db, viewer, action, membership)
    db.execute("delete from membership where id = :id", {"id": membership["id"]})
    newest = page(db, membership["collection_id"], 1, 0)
    if LATEST in held and newest:
        move_alias(db, viewer, newest[0], LATEST)


def record(db: Connection, viewer: Viewer, action: str, membership: Row) -> None:
    collection, artifact = membership["collection_id"], membership["artifact_id"]
    activity_log.record_in_collection(db, viewer, action, collection, name=version(membership), artifact_id=artifact)


def version(membership: Row) -> str:
    return f"v{membership['version_index']}"


IN_PRODUCTION = """
select collection.name || ':v' || membership.version_index as version, alias.name as alias
  from alias
  join membership on membership.id = alias.membership_id
  join collection on collection.id = alias.collection_id
 where membership.artifact_id = :artifact
   and (:collection is null or collection.id = :collection)
   and (alias.name = 'production'
        or exists (select 1
                     from protected_alias
                    where project_id = collection.project_id and name = alias.name))
"""


def in_production(db: Connection, artifact_id: int, collection_id: int | None = None) -> Row | None:
    """By which version and alias it is in production, anywhere or in one collection."""
    return db.one(IN_PRODUCTION, artifact=artifact_id, collection=collection_id)


def refuse_in_production(db: Connection, artifact_id: int, collection_id: int | None = None) -> None:
    """Refuses to take away what is in production by a request that doesn't name it."""
    if holder := in_production(db, artifact_id, collection_id):
        raise Conflict(
            f"'{holder['version']}' is '{holder['alias']}'. Take this alias from it first, or delete the version "
            "itself with delete_aliases=True."
        )


# ---- aliases ----


def aliases(db: Connection, membership_id: int) -> list[Row]:
    return aliases_of(db, [membership_id]).get(membership_id, [])


def aliases_of(db: Connection, membership_ids: list[int]) -> dict[int, list[Row]]:
    """The aliases of each of these memberships that has any."""
    by_membership: dict[int, list[Row]] = {}
    for row in db.all(
        "select * from alias where membership_id in (select value from json_each(:memberships)) order by name",
        memberships=json.dumps(membership_ids),
    ):
        by_membership.setdefault(row["membership_id"], []).append(row)
    return by_membership


def aliases_of_collection(db: Connection, collection_id: int) -> list[Row]:
    return db.all("select * from alias where collection_id = :collection order by name", collection=collection_id)


def move_alias(db: Connection, viewer: Viewer, membership: Row, name: str, approved: bool = False) -> None:
    """Puts the alias on this version, and so takes it from any other of the collection.

    Two people have decided so if it is `approved`.
    """
    holder = db.one(BY_ALIAS, collection=membership["collection_id"], alias=names.alias(name))
    if holder and holder["id"] == membership["id"]:
        return
    check = protected_aliases.check_right if approved else protected_aliases.check
    check(db, viewer, membership["collection_id"], name)
    db.execute(
        """
        insert into alias (collection_id, name, membership_id)
        values (:collection, :name, :membership)
            on conflict (collection_id, name) do update set membership_id = excluded.membership_id
        """,
        {"collection": membership["collection_id"], "name": name, "membership": membership["id"]},
    )
    _record_alias(db, viewer, membership, name, version(holder) if holder else None, version(membership))


def drop_alias(db: Connection, viewer: Viewer, membership: Row, name: str) -> None:
    """Takes the alias from this version; no matter if it hasn't got it."""
    if name not in (alias["name"] for alias in aliases(db, membership["id"])):
        return
    protected_aliases.check(db, viewer, membership["collection_id"], name)
    db.execute(
        "delete from alias where membership_id = :membership and name = :name",
        {"membership": membership["id"], "name": name},
    )
    _record_alias(db, viewer, membership, name, version(membership), None)


def _record_alias(
    db: Connection, viewer: Viewer, membership: Row, name: str, before: str | None, after: str | None
) -> None:
    collection, artifact = membership["collection_id"], membership["artifact_id"]
    activity_log.record_in_collection(db, viewer, "alias", collection, name, before, after, artifact)
