"""Searches over registries, collections and versions: which fields their filters and orders may name."""

import json
from collections.abc import Callable
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model import ids, nested_keys
from wandb_registry.model.search import filters

Row = dict[str, Any]
Reader = Callable[[str], Any]

REGISTRIES = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where project.entity_id = :entity and project.name like 'wandb-registry-%'
 order by project.id desc
"""
COLLECTIONS = """
select collection.*, artifact_type.name as type_name,
       (select json_group_array(name) from collection_tag where collection_id = collection.id) as tag_names
  from collection
  join artifact_type on artifact_type.id = collection.type_id
 where collection.project_id in (select value from json_each(:projects))
   and (:type is null or collection.type_id = :type)
   and (:kinds is null or collection.kind in (select value from json_each(:kinds)))
 order by collection.id desc
"""
VERSIONS = """
select membership.*, artifact.state, artifact.digest, artifact.size, artifact.metadata, artifact.updated_at,
       artifact.created_at as artifact_created_at, artifact.description, artifact.ttl,
       (select json_group_array(name) from artifact_tag where artifact_id = artifact.id) as tag_names,
       (select json_group_array(name) from alias where membership_id = membership.id) as alias_names
  from membership
  join artifact on artifact.id = membership.artifact_id
 where membership.collection_id in (select value from json_each(:collections))
 order by membership.id desc
"""


def registries(db: Connection, entity_id: int, wanted: str | None, order: str | None) -> list[Row]:
    """The registries of an organization's entity that pass a filter, by name unless ordered otherwise."""
    return _search(db.all(REGISTRIES, entity=entity_id), _registry_field, wanted, order or "name")


def collections(
    db: Connection,
    projects: list[int],
    wanted: str | None,
    order: str | None,
    type_id: int | None = None,
    kinds: list[str] | None = None,
) -> list[Row]:
    """The collections of some projects that pass a filter, newest first unless ordered otherwise."""
    rows = db.all(COLLECTIONS, projects=json.dumps(projects), type=type_id, kinds=json.dumps(kinds) if kinds else None)
    return _search(rows, _collection_field, wanted, order)


def versions(db: Connection, collections: list[int], wanted: str | None, order: str | None) -> list[Row]:
    """The memberships of some collections whose versions pass a filter, newest first unless ordered otherwise."""
    return _search(db.all(VERSIONS, collections=json.dumps(collections)), _version_field, wanted, order)


def _search(rows: list[Row], field: Callable[[Row, str], Any], wanted: str | None, order: str | None) -> list[Row]:
    accepts = filters.compile_filter(wanted)
    if accepts:
        rows = [row for row in rows if accepts(lambda key, row=row: field(row, key))]
    if order:
        key, descending = filters.sort_key(order, "")
        rows = rows if descending else rows[::-1]  # of the same second, the newest is last
        rows = filters.ordered(rows, lambda row: _first(field(row, key)), descending)
    return rows


# A field that goes by several forms, such as an id, answers with all of them: a filter matches any.


def _registry_field(row: Row, key: str) -> Any:
    if key in ("id", "project_id"):
        return [row["id"], ids.encode("Project", row["id"]), ids.encode("ProjectInternalId", row["id"])]
    return _column(row, key, {"createdAt": "created_at", "updatedAt": "updated_at"})


def _collection_field(row: Row, key: str) -> Any:
    if key in ("id", "collection_id", "artifact_collection_id"):
        kind = "ArtifactSequence" if row["kind"] == "SEQUENCE" else "ArtifactPortfolio"
        return [row["id"], ids.encode(kind, row["id"])]
    if key in ("tag", "tags"):
        return json.loads(row["tag_names"])
    names = {"createdAt": "created_at", "updatedAt": "updated_at", "type": "type_name"}
    names |= {"collection_name": "name", "artifact_collection_name": "name", "collection_type": "kind"}
    return _column(row, key, names)


def _version_field(row: Row, key: str) -> Any:
    if key in ("id", "artifact_id"):
        return [row["artifact_id"], ids.encode("Artifact", row["artifact_id"])]
    if key in ("version", "version_index", "versionIndex"):
        return [row["version_index"], f"v{row['version_index']}"]
    if key in ("tag", "tags"):
        return json.loads(row["tag_names"])
    if key in ("alias", "aliases"):
        return json.loads(row["alias_names"])
    head, _, path = key.partition(".")
    if head in ("metadata", "artifact_metadata"):
        return nested_keys.within(json.loads(row["metadata"] or "{}"), path)
    names = {"created_at": "artifact_created_at", "createdAt": "artifact_created_at", "updatedAt": "updated_at"}
    names |= {"artifact_size": "size", "ttlDurationSeconds": "ttl", "ttl_duration_seconds": "ttl"}
    return _column(row, key, names)


def _column(row: Row, key: str, names: dict[str, str]) -> Any:
    column = names.get(key, key)
    if column not in row:
        raise BadInput(f"'{key}' is not a field that this registry can filter or order by here.")
    return row[column]


def _first(value: Any) -> Any:
    return next(iter(value), None) if isinstance(value, list) else value
