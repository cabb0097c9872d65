"""Artifact collections: sequences, which own versions, and portfolios, which link to versions of sequences."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import access, activity_log, names
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.artifacts import memberships, protected_aliases, references

Row = dict[str, Any]
KINDS = {"SEQUENCE": "an artifact", "PORTFOLIO": "a registered collection of links"}


def find(db: Connection, project_id: int, name: str) -> Row | None:
    return db.one(
        "select * from collection where project_id = :project and name = :name", project=project_id, name=name
    )


def writable(db: Connection, viewer: Viewer, entity_name: str, project_name: str, name: str) -> Row:
    """The collection to change, by its address, or a refusal."""
    project = access.project(db, viewer, entity_name, project_name, Role.MEMBER)
    collection = find(db, project["id"], name)
    if collection is None:
        raise NotFound(f"Collection '{name}' was not found in '{entity_name}/{project_name}'.")
    return collection


def by_id(db: Connection, number: int) -> Row:
    return db.row("select * from collection where id = :id", id=number)


def ensure(db: Connection, project: Row, name: str, type_name: str, kind: str, client_id: str | None = None) -> Row:
    """The collection to add to, made at its first use. One of another type or kind by this name is refused."""
    collection = find(db, project["id"], name)
    if collection is None:
        return db.row(
            """
            insert into collection (project_id, type_id, kind, name, client_id)
            values (:project, :type, :kind, :name, :client_id)
            returning *
            """,
            project=project["id"],
            type=ensure_type(db, project, type_name)["id"],
            kind=kind,
            name=names.collection(name),
            client_id=client_id,
        )
    if collection["kind"] != kind:
        raise Conflict(f"'{name}' is already {KINDS[collection['kind']]} in this project. Choose another name.")
    existing_type = type_of(db, collection)["name"]
    if existing_type != type_name:
        raise Conflict(
            f"Artifact {name} already exists with type '{existing_type}'; cannot create another with type '{type_name}'"
        )
    return collection


# ---- types ----


def ensure_type(db: Connection, project: Row, name: str, description: str | None = None) -> Row:
    """The project's artifact type of this name; a registry may refuse types that it wasn't made for."""
    existing = find_type(db, project["id"], name)
    if existing:
        return existing
    if not project["allow_all_types"]:
        raise BadInput(f"'{project['name']}' doesn't take artifacts of type '{name}'.")
    return db.row(
        "insert into artifact_type (project_id, name, description) values (:project, :name, :description) returning *",
        project=project["id"],
        name=names.artifact_type(name),
        description=description,
    )


def find_type(db: Connection, project_id: int, name: str) -> Row | None:
    return db.one(
        "select * from artifact_type where project_id = :project and name = :name", project=project_id, name=name
    )


def type_of(db: Connection, collection: Row) -> Row:
    return db.row("select * from artifact_type where id = :id", id=collection["type_id"])


def types(db: Connection, project_id: int) -> list[Row]:
    return db.all("select * from artifact_type where project_id = :project order by name", project=project_id)


# ---- listings ----


def page(db: Connection, project_id: int, type_id: int | None, kind: str | None, limit: int, offset: int) -> list[Row]:
    """A project's collections by name, of one type and kind or of all."""
    return db.all(
        """
        select *
          from collection
         where project_id = :project
           and (:type is null or type_id = :type)
           and (:kind is null or kind = :kind)
         order by name
         limit :limit offset :offset
        """,
        project=project_id,
        type=type_id,
        kind=kind,
        limit=limit,
        offset=offset,
    )


def named_anywhere(db: Connection, name: str) -> list[tuple[str, int]]:
    """The address and id of every collection by this name or address."""
    rows = db.all(ADDRESSES, name=name)
    return [(row["address"], row["id"]) for row in rows]


ADDRESSES = """
select entity.name || '/' || project.name || '/' || collection.name as address, collection.id
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where :name in (collection.name, entity.name || '/' || project.name || '/' || collection.name)
 order by address
"""


# ---- changes ----

LINKS_TO_VERSIONS = """
select membership.*
  from artifact
  join membership on membership.artifact_id = artifact.id
 where artifact.collection_id = :collection and membership.collection_id <> :collection
"""


def update(db: Connection, viewer: Viewer, collection: Row, name: str | None, description: str | None) -> Row:
    if name and name != collection["name"] and find(db, collection["project_id"], names.collection(name)):
        raise Conflict(f"There is a collection '{name}' in this project already.")
    if name and name != collection["name"]:
        protected_aliases.check_keeps_rules(db, viewer, collection)
    changed = db.row(
        """
        update collection
           set name = coalesce(:name, name),
               description = coalesce(:description, description),
               updated_at = strftime('%Y-%m-%dT%H:%M:%SZ')
         where id = :id
        returning *
        """,
        id=collection["id"],
        name=name or None,
        description=description,
    )
    if changed["name"] != collection["name"]:
        activity_log.record_in_collection(
            db, viewer, "rename", collection["id"], None, collection["name"], changed["name"]
        )
    return changed


def change_type(db: Connection, viewer: Viewer, collection: Row, name: str) -> Row:
    """Gives a sequence another type. Types that the SDK itself logs stay what they are."""
    if collection["kind"] != "SEQUENCE":
        raise BadInput("The type of a registered collection can't be changed.")
    before = type_of(db, collection)["name"]
    if before == name:
        return collection
    if names.is_internal_type(before):
        raise BadInput(f"Type '{before}' is an internal type and cannot be changed.")
    if names.is_internal_type(name):
        raise BadInput(f"Artifact type '{name}' is reserved for internal use. Choose another.")
    project = db.row("select * from project where id = :id", id=collection["project_id"])
    activity_log.record_in_collection(db, viewer, "type", collection["id"], None, before, name)
    return db.row(
        """
        update collection set type_id = :type, updated_at = strftime('%Y-%m-%dT%H:%M:%SZ') where id = :id returning *
        """,
        id=collection["id"],
        type=ensure_type(db, project, name)["id"],
    )


def delete(db: Connection, viewer: Viewer, doomed: list[Row]) -> None:
    """Removes portfolios with their links, and sequences with their versions and all links to them."""
    references.refuse_if_referred(db, [collection["id"] for collection in doomed])
    for collection in doomed:
        _delete(db, viewer, collection)


def _delete(db: Connection, viewer: Viewer, collection: Row) -> None:
    protected_aliases.check_keeps_rules(db, viewer, collection)
    only_here = collection["id"] if collection["kind"] == "PORTFOLIO" else None
    rows = db.all("select * from membership where collection_id = :id order by id", id=collection["id"])
    for membership in rows:
        memberships.refuse_in_production(db, membership["artifact_id"], only_here)
    for link in db.all(LINKS_TO_VERSIONS, collection=collection["id"]):
        memberships.remove(db, viewer, link, "unlink")
    for membership in rows:
        for alias in memberships.aliases(db, membership["id"]):
            memberships.drop_alias(db, viewer, membership, alias["name"])
        memberships.record(db, viewer, "delete" if only_here is None else "unlink", membership)
    activity_log.record_in_collection(db, viewer, "delete collection", collection["id"])
    db.execute("delete from collection where id = :id", {"id": collection["id"]})
