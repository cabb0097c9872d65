"""Searches over registries, collections and versions: which fields their filters and orders may name."""

import json
from collections.abc import Callable
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.search import filters
from wandb_registry.model.search.query import Bind, Field, Query, column, document, within

Row = dict[str, Any]

REGISTRIES = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where project.entity_id = :entity and project.name like 'wandb-registry-%'
"""
COLLECTIONS = """
select collection.*, artifact_type.name as type_name,
       (select json_group_array(name) from collection_tag where collection_id = collection.id) as tag_names
  from collection
  join artifact_type on artifact_type.id = collection.type_id
 where collection.project_id in (select value from json_each(:projects))
   and (:type is null or collection.type_id = :type)
   and (:kinds is null or collection.kind in (select value from json_each(:kinds)))
"""
VERSIONS = """
select membership.*, artifact.state, artifact.digest, artifact.size, artifact.metadata, artifact.updated_at,
       artifact.created_at as artifact_created_at, artifact.description, artifact.ttl,
       (select json_group_array(name) from artifact_tag where artifact_id = artifact.id) as tag_names,
       (select json_group_array(name) from alias where membership_id = membership.id) as alias_names
  from membership
  join artifact on artifact.id = membership.artifact_id
 where membership.collection_id in (select value from json_each(:collections))
"""

# Columns of these queries by the names that clients use
TIMES = {
    "createdAt": "created_at",
    "created_at": "created_at",
    "updatedAt": "updated_at",
    "updated_at": "updated_at",
}
REGISTRY_COLUMNS = TIMES | {
    "name": "name",
    "description": "description",
    "access": "access",
    "entity_id": "entity_id",
    "entity_name": "entity_name",
}
COLLECTION_COLUMNS = TIMES | {
    "name": "name",
    "collection_name": "name",
    "artifact_collection_name": "name",
    "description": "description",
    "type": "type_name",
    "type_name": "type_name",
    "kind": "kind",
    "collection_type": "kind",
    "project_id": "project_id",
}
VERSION_COLUMNS = TIMES | {
    "createdAt": "artifact_created_at",
    "created_at": "artifact_created_at",
    "state": "state",
    "digest": "digest",
    "description": "description",
    "size": "size",
    "artifact_size": "size",
    "ttl": "ttl",
    "ttlDurationSeconds": "ttl",
    "ttl_duration_seconds": "ttl",
    "collection_id": "collection_id",
}
METADATA = document("coalesce(found.metadata, '{}')")


def registries(db: Connection, entity_id: int, wanted: str | None, order: str | None) -> list[Row]:
    """The registries of an organization's entity that pass a filter, by name unless ordered otherwise."""
    return _search(db, REGISTRIES, _registry_field, wanted, order or "name", entity=entity_id)


def collections(
    db: Connection,
    projects: list[int],
    wanted: str | None,
    order: str | None,
    type_id: int | None = None,
    kinds: list[str] | None = None,
) -> list[Row]:
    """The collections of some projects that pass a filter, newest first unless ordered otherwise."""
    parameters = {"projects": json.dumps(projects), "type": type_id, "kinds": json.dumps(kinds) if kinds else None}
    return _search(db, COLLECTIONS, _collection_field, wanted, order, **parameters)


def versions(db: Connection, collections: list[int], wanted: str | None, order: str | None) -> list[Row]:
    """The memberships of some collections whose versions pass a filter, newest first unless ordered otherwise."""
    return _search(db, VERSIONS, _version_field, wanted, order, collections=json.dumps(collections))


def _search(
    db: Connection,
    rows: str,
    field: Callable[[str, Bind], Field],
    wanted: str | None,
    order: str | None,
    **parameters: Any,
) -> list[Row]:
    """The rows of a query that pass a filter, in an order; those alike stand as they were made, or in reverse."""
    query = Query(wanted, field)
    by = "found.id desc"
    if order:
        name, descending = filters.parse_order(order)
        by = f"{query.order(name, descending)}, found.id {'desc' if descending else 'asc'}"
    return query.rows(db, rows, f"select * from found where {query.condition} order by {by}", **parameters)


# A field that clients write in several forms, such as an id, is a list of all forms: a filter matches any of them.


def _registry_field(name: str, _bind: Bind) -> Field:
    if name in ("id", "project_id"):
        return _forms("found.id", _id("Project"), _id("ProjectInternalId"))
    return _column(name, REGISTRY_COLUMNS)


def _collection_field(name: str, _bind: Bind) -> Field:
    if name in ("id", "collection_id", "artifact_collection_id"):
        return _forms(
            "found.id", f"iif(found.kind = 'SEQUENCE', {_id('ArtifactSequence')}, {_id('ArtifactPortfolio')})"
        )
    if name in ("tag", "tags"):
        return _names("found.tag_names")
    return _column(name, COLLECTION_COLUMNS)


def _version_field(name: str, bind: Bind) -> Field:
    if name in ("id", "artifact_id"):
        return _forms("found.artifact_id", _id("Artifact", "found.artifact_id"))
    if name in ("version", "version_index", "versionIndex"):
        return _forms("found.version_index", "'v' || found.version_index")
    if name in ("tag", "tags"):
        return _names("found.tag_names")
    if name in ("alias", "aliases"):
        return _names("found.alias_names")
    head, _, path = name.partition(".")
    if head in ("metadata", "artifact_metadata"):
        return within(METADATA, path, bind) if path else Field(METADATA, "'object'")
    return _column(name, VERSION_COLUMNS)


def _forms(*values: str) -> Field:
    return Field(f"json_array({', '.join(values)})", "'array'", order=values[0])


def _names(column: str) -> Field:
    return Field(column, "'array'", order=f"json_extract({column}, '$[0]')")


def _id(kind: str, number: str = "found.id") -> str:
    return f"encoded_id('{kind}', {number})"


def _column(name: str, columns: dict[str, str]) -> Field:
    if name not in columns:
        raise BadInput(f"'{name}' is not a field that this registry can filter or order by here.")
    return column(f"found.{columns[name]}")
