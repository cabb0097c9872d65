"""What several pages show: projects, versions and runs, each with its names and its address.

An unreadable thing and a missing one look alike.
"""

import json
from functools import cache
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import collections, dvc_md5, memberships
from wandb_registry.model.search import overview, run_search
from wandb_registry.web import addresses
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
NAMED = 6  # of what is there instead


def project(visit: Visit) -> Row:
    """The project of the address."""
    entity, name = visit.path["entity"], visit.path["project"]
    found = access.find_project(visit.db, visit.who, entity, name)
    if found is None:
        team = access.find_entity(visit.db, visit.who, entity)
        rows = overview.projects(visit.db, [team["id"]]) if team else []
        there = said([row["name"] for row in access.visible_projects(visit.db, visit.who, rows)])
        raise NotFound(f"Project '{entity}/{name}' was not found, or '{visit.who.username}' may not see it.{there}")
    return found


def said(names: list[str]) -> str:
    """What an error says of what is there instead."""
    return f" There are: {', '.join(names[:NAMED])}{' and others' if len(names) > NAMED else ''}." if names else ""


def counts(visit: Visit, place: Row) -> dict[str, int]:
    """How many runs and collections of artifacts a project has."""
    return visit.db.row(COUNTS, project=place["id"])


COUNTS = """
select (select count(*) from run where project_id = :project) as runs,
       (select count(*) from collection where project_id = :project) as artifacts
"""


def run(visit: Visit) -> tuple[Row, Row]:
    """The project and the run of the address, with its `address`."""
    place = project(visit)
    found = access.find_run(visit.db, place, visit.path["run"])
    if found is None:
        newest = run_search.page(visit.db, place["id"], None, "-created_at", NAMED + 1, 0)
        where = f"'{place['entity_name']}/{place['name']}'"
        raise NotFound(f"Run '{visit.path['run']}' was not found in {where}.{said([row['name'] for row in newest])}")
    return place, found | {"address": addresses.run(place["entity_name"], place["name"], found["name"])}


def versions(visit: Visit, rows: list[Row]) -> list[Row]:
    """Versions, each with `name` (mnist_model:v3), `type` and `address`; those that may be seen."""
    place_of = cache(lambda number: projects.by_id(visit.db, number))  # many versions share these
    type_of = cache(lambda number: collections.type_of(visit.db, {"type_id": number})["name"])
    found = []
    for row in access.visible(visit.db, visit.who, rows):
        collection = collections.by_id(visit.db, row["collection_id"])
        place = place_of(row["project_id"])
        kind = type_of(collection["type_id"])
        number = f"v{row['version_index']}"
        found.append(
            row
            | {
                "name": f"{collection['name']}:{number}",
                "type": kind,
                "address": addresses.of_version(collection, place, kind, number),
            }
        )
    return found


def runs(visit: Visit, rows: list[Row]) -> list[Row]:
    """Runs, each with its `address`; those that may be seen."""
    places = {row["project_id"]: projects.by_id(visit.db, row["project_id"]) for row in rows}
    return [
        row | {"address": addresses.run(place["entity_name"], place["name"], row["name"])}
        for row in access.visible(visit.db, visit.who, rows)
        for place in [places[row["project_id"]]]
    ]


def alias_names(visit: Visit, membership_id: int) -> list[str]:
    return [row["name"] for row in memberships.aliases(visit.db, membership_id)]


def with_dvc(visit: Visit, found: list[Row]) -> list[Row]:
    """Versions with what DVC calls each, as `dvc`: its path, md5, or both; '' where DVC doesn't know it."""
    aliases = aliases_of(visit, [row["id"] for row in found])
    return [row | {"dvc": dvc_name(row, aliases.get(row["id"], []))} for row in found]


def aliases_of(visit: Visit, ids: list[int]) -> dict[int, list[str]]:
    """The aliases of versions, wherever these are linked to as far as the account may see it."""
    places = access.visible(visit.db, visit.who, memberships.of_artifacts(visit.db, ids))
    held = memberships.aliases_of(visit.db, [place["id"] for place in places])
    found: dict[int, list[str]] = {}
    for place in places:
        found.setdefault(place["artifact_id"], []).extend(row["name"] for row in held.get(place["id"], []))
    return {number: list(dict.fromkeys(names)) for number, names in found.items()}


def md5_among(aliases: list[str]) -> str:
    """DVC's md5 of a version's bytes, by the alias of its content; '' where it has none."""
    return next((dvc_md5.md5_of_alias(name) for name in aliases if dvc_md5.is_content_alias(name)), "")


def dvc_name(row: Row, aliases: list[str]) -> str:
    """DVC's name of a version's bytes: its path and the beginning of its md5."""
    metadata = json.loads(row["metadata"] or "{}") if row.get("metadata") else {}
    dvc = metadata.get("dvc") if isinstance(metadata, dict) else None
    path = dvc.get("path") if isinstance(dvc, dict) else None
    md5 = md5_among(aliases)
    return " ".join(filter(None, (str(path) if path else "", f"{md5[:8]}…" if md5 else "")))
