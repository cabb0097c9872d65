"""Finds what an address names, and adds names and addresses to the versions and runs that pages list.

What the viewer may not see raises NotFound, as if it didn't exist. The messages name what exists instead.
"""

import json
from functools import cache
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import collections, dvc_md5, memberships
from wandb_registry.model.search import overview, run_search
from wandb_registry.web import addresses
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
MOST_ALTERNATIVES = 6  # names in an error


# ---- what the address names ----


def find_project(request: PageRequest) -> Row:
    """The project of the address. Raises NotFound, which names other projects of the entity."""
    entity, name = request.path["entity"], request.path["project"]
    project = access.find_project(request.db, request.viewer, entity, name)
    if project is None:
        team = access.find_entity(request.db, request.viewer, entity)
        rows = overview.projects(request.db, [team["id"]]) if team else []
        there = alternatives([row["name"] for row in access.visible_projects(request.db, request.viewer, rows)])
        raise NotFound(
            f"Project '{entity}/{name}' was not found, or '{request.viewer.username}' may not see it.{there}"
        )
    return project


def find_run(request: PageRequest) -> tuple[Row, Row]:
    """The project and the run, which has its `address`. Raises NotFound, which names the newest runs."""
    project = find_project(request)
    run = access.find_run(request.db, project, request.path["run"])
    if run is None:
        newest = run_search.page(request.db, project["id"], None, ["-created_at"], MOST_ALTERNATIVES, 0)
        total = run_search.count(request.db, project["id"], None)
        where, there = _full_name(project), alternatives([row["name"] for row in newest], total)
        raise NotFound(f"Run '{request.path['run']}' was not found in {where}.{there}")
    return project, run | {"address": addresses.run(project["entity_name"], project["name"], run["name"])}


def find_collection(request: PageRequest) -> tuple[Row, Row]:
    """The project and the collection. The type in the address is ignored, as the SDK does. Raises NotFound."""
    project = find_project(request)
    collection = collections.find(request.db, project["id"], request.path["collection"])
    if collection is None:
        rows = overview.collections(request.db, project["id"], None, "", MOST_ALTERNATIVES, 0)
        total = project_counts(request, project)["artifacts"]
        where, there = _full_name(project), alternatives([row["name"] for row in rows], total)
        raise NotFound(f"'{request.path['collection']}' was not found in {where}.{there}")
    return project, collection


def find_membership(request: PageRequest, collection: Row, alias: str) -> Row:
    """The membership that an alias or number means. Raises NotFound, which names the newest version and the aliases."""
    membership = memberships.find(request.db, collection["id"], alias)
    if membership is not None:
        return membership
    newest = memberships.page(request.db, collection["id"], 1, 0)
    aliases = [row["name"] for row in memberships.aliases_of_collection(request.db, collection["id"])]
    shown = [name for name in aliases if not dvc_md5.is_content_alias(name)]
    there = f"Its newest version is v{newest[0]['version_index']}" if newest else "It has no version"
    named = f", its aliases are {listed(shown)}." if shown else "."
    raise NotFound(f"'{collection['name']}' has no version '{alias}'. {there}{named}")


def alternatives(names: list[str], total: int | None = None) -> str:
    """The end of an error's message: what exists instead; '' if nothing does. `names` may be the first of `total`."""
    return f" There are: {listed(names, total)}." if names else ""


def listed(names: list[str], total: int | None = None) -> str:
    """The first names, and how many more there are."""
    shown = names[:MOST_ALTERNATIVES]
    more = (len(names) if total is None else total) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _full_name(project: Row) -> str:
    return f"'{project['entity_name']}/{project['name']}'"


# ---- what pages show ----

COUNTS = """
select (select count(*) from run where project_id = :project) as runs,
       (select count(*) from sweep where project_id = :project) as sweeps,
       (select count(*) from collection where project_id = :project) as artifacts
"""


def project_counts(request: PageRequest, project: Row) -> dict[str, int]:
    """How many runs, sweeps and collections of artifacts a project has."""
    return request.db.row(COUNTS, project=project["id"])


def visible_versions(request: PageRequest, artifacts: list[Row]) -> list[Row]:
    """The versions that the viewer may see, each with `name` (mnist_model:v3), `type` and `address`."""
    project_by_id = cache(lambda number: projects.by_id(request.db, number))  # versions share these
    type_by_id = cache(lambda number: collections.type_of(request.db, {"type_id": number})["name"])
    versions = []
    for artifact in access.visible(request.db, request.viewer, artifacts):
        collection = collections.by_id(request.db, artifact["collection_id"])
        project, type_name = project_by_id(artifact["project_id"]), type_by_id(collection["type_id"])
        number = f"v{artifact['version_index']}"
        address = addresses.page_of_version(collection, project, type_name, number)
        versions.append(artifact | {"name": f"{collection['name']}:{number}", "type": type_name, "address": address})
    return versions


def visible_runs(request: PageRequest, runs: list[Row]) -> list[Row]:
    """The runs that the viewer may see, each with its `address`."""
    by_id = {run["project_id"]: projects.by_id(request.db, run["project_id"]) for run in runs}
    return [
        run | {"address": addresses.run(project["entity_name"], project["name"], run["name"])}
        for run in access.visible(request.db, request.viewer, runs)
        for project in [by_id[run["project_id"]]]
    ]


def visible_run(request: PageRequest, run: Row | None) -> Row | None:
    return next(iter(visible_runs(request, [run])), None) if run else None


def visible_version(request: PageRequest, artifact: Row | None) -> Row | None:
    return next(iter(visible_versions(request, [artifact])), None) if artifact else None


def alias_names(request: PageRequest, membership_id: int) -> list[str]:
    return [row["name"] for row in memberships.aliases(request.db, membership_id)]


def aliases_of_artifacts(request: PageRequest, ids: list[int]) -> dict[int, list[str]]:
    """The aliases of each version, in all collections that the viewer may see."""
    rows = access.visible(request.db, request.viewer, memberships.of_artifacts(request.db, ids))
    held = memberships.aliases_of(request.db, [row["id"] for row in rows])
    names: dict[int, list[str]] = {}
    for row in rows:
        names.setdefault(row["artifact_id"], []).extend(alias["name"] for alias in held.get(row["id"], []))
    return {number: list(dict.fromkeys(aliases)) for number, aliases in names.items()}


def with_dvc_names(request: PageRequest, versions: list[Row]) -> list[Row]:
    """The versions, each with `dvc`: its path in DVC, its md5, or both; '' if DVC doesn't have it."""
    aliases = aliases_of_artifacts(request, [row["id"] for row in versions])
    return [row | {"dvc": dvc_name(row, aliases.get(row["id"], []))} for row in versions]


def content_md5(aliases: list[str]) -> str:
    """DVC's md5 of a version's content, from its alias; '' if it has none."""
    return next((dvc_md5.md5_of_alias(name) for name in aliases if dvc_md5.is_content_alias(name)), "")


def dvc_name(artifact: Row, aliases: list[str]) -> str:
    """A version's path in DVC and the beginning of its md5."""
    metadata = json.loads(artifact["metadata"] or "{}") if artifact.get("metadata") else {}
    dvc = metadata.get("dvc") if isinstance(metadata, dict) else None
    path = dvc.get("path") if isinstance(dvc, dict) else None
    md5 = content_md5(aliases)
    return " ".join(filter(None, (str(path) if path else "", f"{md5[:8]}…" if md5 else "")))
