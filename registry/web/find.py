"""What several pages show: projects, versions and runs, each with its names and its address.

An unreadable thing and a missing one look alike.
"""

from functools import cache
from typing import Any

from registry.errors import NotFound
from registry.model import access, collections, memberships, projects
from registry.web import addresses
from registry.web.shell import Visit

Row = dict[str, Any]


def project(visit: Visit) -> Row:
    """The project of the address."""
    entity, name = visit.path["entity"], visit.path["project"]
    found = access.find_project(visit.db, visit.who, entity, name)
    if found is None:
        raise NotFound(f"Project '{entity}/{name}' was not found, or '{visit.who.username}' may not see it.")
    return found


def run(visit: Visit) -> tuple[Row, Row]:
    """The project and the run of the address."""
    place = project(visit)
    found = access.find_run(visit.db, place, visit.path["run"])
    if found is None:
        raise NotFound(f"Run '{visit.path['run']}' was not found in '{place['entity_name']}/{place['name']}'.")
    return place, found


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
