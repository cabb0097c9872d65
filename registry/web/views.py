"""What each page shows: the model's rows, as one dict a template. An unreadable thing and a missing one look alike."""

import json
from typing import Any

from registry.db.connect import Connection
from registry.errors import NotFound
from registry.model import (
    access,
    artifacts,
    collections,
    lineage,
    manifests,
    memberships,
    projects,
    registries,
    runs,
    runsearch,
)
from registry.model.access import Who

Row = dict[str, Any]
RECENT = 50


def home(db: Connection, who: Who, entity: str | None = None) -> Row:
    """Projects and registered models of one entity, or of all that the account belongs to."""
    entities = [entity] if entity else access.entities_of(db, who)
    found = [row for row in (access.find_entity(db, who, name) for name in entities) if row]
    if not found:
        raise NotFound(f"'{entity}' was not found, or '{who.username}' doesn't belong to it.")
    rows = [project for row in found for project in projects.page(db, row["id"], RECENT, 0)]
    return {
        "title": entity or "Registry",
        "projects": [row for row in access.visible_projects(db, who, rows) if row["name"] != "model-registry"],
        "models": _models(db, who, [row["name"] for row in found]),
    }


def models(db: Connection, who: Who, entity: str | None = None, org: str | None = None, name: str | None = None) -> Row:
    """Registered models: of an entity, of an organization's registry, or all."""
    if org:
        organization = registries.find_organization(db, who, org)
        names = [registries.entity_of(db, organization)["name"]] if organization else []
    else:
        names = [entity] if entity else access.entities_of(db, who)
    return {"title": f"Registry {name}" if name else "Registered models", "models": _models(db, who, names)}


def project(db: Connection, who: Who, entity: str, project: str, tab: str | None = None) -> Row:
    """A project's runs and artifacts."""
    found = _project(db, who, entity, project)
    return {
        "title": project,
        "project": found,
        "runs": [
            row | {"state": runs.state(row)} for row in runsearch.page(db, found["id"], None, "-created_at", RECENT, 0)
        ],
        "collections": [
            _collection(db, found, row) for row in collections.page(db, found["id"], None, None, RECENT, 0)
        ],
    }


def run(db: Connection, who: Who, entity: str, project: str, run: str) -> Row:
    """A run: its config, its summary, what it used and made."""
    found = access.find_run(db, _project(db, who, entity, project), run)
    if found is None:
        raise NotFound(f"Run '{run}' was not found in '{entity}/{project}'.")
    config = {key: entry.get("value") for key, entry in runs.loads(found["config"]).items() if key != "_wandb"}
    return {
        "title": found["display_name"],
        "project": projects.by_id(db, found["project_id"]),
        "run": found | {"state": runs.state(found)},
        "config": config,
        "summary": {key: value for key, value in runs.loads(found["summary"]).items() if not key.startswith("_")},
        "inputs": _versions(db, access.visible(db, who, lineage.inputs(db, found["id"]))),
        "outputs": _versions(db, access.visible(db, who, lineage.outputs(db, found["id"]))),
    }


def artifact(
    db: Connection, who: Who, entity: str, project: str, type: str, collection: str, version: str | None = None
) -> Row:
    """A version, or the newest: its aliases, files and lineage, and the other versions of its collection."""
    row = collections.find(db, _project(db, who, entity, project)["id"], collection)
    newest = memberships.page(db, row["id"], 1, 0) if row and version is None else []
    membership = memberships.find(db, row["id"], version) if row and version else next(iter(newest), None)
    if row is None or membership is None:
        raise NotFound(f"'{collection}:{version or 'latest'}' was not found in '{entity}/{project}'.")
    shown = artifacts.by_id(db, membership["artifact_id"])
    maker = lineage.maker(db, shown)
    return {
        "title": f"{collection}:v{membership['version_index']}",
        "project": projects.by_id(db, row["project_id"]),
        "type": type,
        "collection": _collection(db, projects.by_id(db, row["project_id"]), row),
        "artifact": shown,
        "metadata": json.loads(shown["metadata"] or "{}"),
        "files": manifests.entry_page(db, shown["id"], None, RECENT, 0),
        "maker": _placed(db, access.visible(db, who, [maker] if maker else [])),
        "users": _placed(db, access.visible(db, who, lineage.users(db, shown["id"]))),
    }


# ---- parts ----


def _project(db: Connection, who: Who, entity: str, name: str) -> Row:
    found = access.find_project(db, who, entity, name)
    if found is None:
        raise NotFound(f"Project '{entity}/{name}' was not found, or '{who.username}' may not see it.")
    return found


def _models(db: Connection, who: Who, entities: list[str]) -> list[Row]:
    rows = collections.portfolios(db, entities)
    return [_collection(db, projects.by_id(db, row["project_id"]), row) for row in access.visible(db, who, rows)]


def _collection(db: Connection, project: Row, row: Row) -> Row:
    """A collection with its newest versions and their aliases."""
    versions = [
        place | {"aliases": [alias["name"] for alias in memberships.aliases(db, place["id"])]}
        for place in memberships.page(db, row["id"], RECENT, 0)
    ]
    kind = collections.type_of(db, row)["name"]
    address = f"/{project['entity_name']}/{project['name']}/artifacts/{kind}/{row['name']}"
    return row | {"versions": versions, "type": kind, "address": address, "project": project}


def _versions(db: Connection, rows: list[Row]) -> list[Row]:
    """Versions with the name and address of each."""
    found = []
    for row in rows:
        collection = collections.by_id(db, row["collection_id"])
        project = projects.by_id(db, row["project_id"])
        kind = collections.type_of(db, collection)["name"]
        version = f"v{row['version_index']}"
        address = f"/{project['entity_name']}/{project['name']}/artifacts/{kind}/{collection['name']}/{version}"
        found.append({"name": f"{collection['name']}:{version}", "type": kind, "address": address})
    return found


def _placed(db: Connection, rows: list[Row]) -> list[Row]:
    """Runs with the address of each."""
    places = {row["project_id"]: projects.by_id(db, row["project_id"]) for row in rows}
    return [
        row | {"address": f"/{place['entity_name']}/{place['name']}/runs/{row['name']}"}
        for row in rows
        for place in [places[row["project_id"]]]
    ]
