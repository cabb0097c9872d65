"""The first page: registered models, projects and recent runs, of one entity or of all; and the search."""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, memberships
from wandb_registry.model.runs import runs
from wandb_registry.model.search import overview
from wandb_registry.web import activity, addresses
from wandb_registry.web.pages import models
from wandb_registry.web.shell import Page, Redirect, Visit

Row = dict[str, Any]
RECENT = 7
MOST = 50


def home(visit: Visit) -> Page:
    """Everything of the entity in the address, or of all that the account belongs to."""
    entity = visit.path.get("entity")
    names = [entity] if entity else access.entities_of(visit.db, visit.who)
    found = [row for row in (access.find_entity(visit.db, visit.who, name) for name in names) if row]
    if not found:
        raise NotFound(f"'{entity}' was not found, or '{visit.who.username}' doesn't belong to it.")
    seen = access.visible_projects(visit.db, visit.who, overview.projects(visit.db, [row["id"] for row in found]))
    numbers = [row["id"] for row in seen]
    shown = [row for row in seen if not is_registry(row)]
    last = {row["id"]: _run(row) for row in overview.runs_by_id(visit.db, [row["last_run_id"] for row in shown[:MOST]])}
    return Page(
        "home.html",
        {
            "title": entity or "Projects",
            "models": models.rows(visit, numbers),
            "projects": [row | {"last": last.get(row["last_run_id"])} for row in shown[:MOST]],
            "more": len(shown) - MOST,
            "runs": [_run(row) for row in overview.recent_runs(visit.db, numbers, RECENT)],
            "activity": [activity.told(visit, row) for row in overview.recent_events(visit.db, numbers, RECENT)],
        },
    )


def is_registry(project: Row) -> bool:
    """Whether a project only holds registered models: it is shown among these."""
    return project["name"] == addresses.MODEL_REGISTRY or project["name"].startswith(projects.REGISTRY_PREFIX)


def _run(row: Row) -> Row:
    return row | {
        "state": runs.state(row),
        "seconds": runs.seconds(row),
        "address": addresses.run(row["entity_name"], row["project_name"], row["name"]),
    }


# ---- search ----


def search(visit: Visit) -> Page | Redirect:
    """What a name, a run id or an md5 means: the page itself if it is one thing, else the list."""
    text = visit.query.get("q", "").strip()
    found = _found(visit, text) if text else []
    if len(found) == 1:
        return Redirect(found[0]["address"])
    return Page("search.html", {"title": "Search", "text": text, "found": found})


def _found(visit: Visit, text: str) -> list[Row]:
    db, who = visit.db, visit.who
    wanted = dvc_md5.md5_of_alias(text)
    hits = []
    for row in access.visible(db, who, overview.runs_named(db, text, MOST)):
        hits.append({"what": "run", "name": row["display_name"], "address": _run(row)["address"], "more": row["name"]})
    for row in access.visible(db, who, overview.collections_named(db, text, MOST)):
        place, kind = projects.by_id(db, row["project_id"]), collections.type_of(db, row)["name"]
        what = "registered model" if row["kind"] == "PORTFOLIO" else kind
        address = addresses.of_collection(row, place, kind)
        hits.append({"what": what, "name": row["name"], "address": address, "more": place["name"]})
    for number in overview.versions_with_digest(db, wanted, MOST):
        row = access.find_artifact(db, who, number)
        if row is None or not access.readable(db, who, row["project_id"]):
            continue
        collection = collections.by_id(db, row["collection_id"])
        place, kind = projects.by_id(db, row["project_id"]), collections.type_of(db, collection)["name"]
        version = memberships.version(memberships.own(db, artifacts.by_id(db, number)))
        address = addresses.of_version(collection, place, kind, version)
        hits.append({"what": kind, "name": f"{collection['name']}:{version}", "address": address, "more": wanted})
    return hits
