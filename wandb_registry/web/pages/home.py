"""The home page, with registered models, projects and recent runs of one entity or of all; and the search."""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, memberships
from wandb_registry.model.runs import runs
from wandb_registry.model.search import overview
from wandb_registry.web import addresses
from wandb_registry.web.activity import activity_line
from wandb_registry.web.pager import beginning
from wandb_registry.web.pages import models
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
RECENT = 7  # runs, and events
PROJECTS = 50  # before somebody asks for all
MOST_HITS = 50  # of each kind


def home(request: PageRequest) -> Page:
    """The home page of the entity in the address, or of all that the viewer belongs to."""
    db, viewer, entity = request.db, request.viewer, request.path.get("entity")
    names = [entity] if entity else access.entities_of(db, viewer)
    entities = [row for row in (access.find_entity(db, viewer, name) for name in names) if row]
    if not entities:
        raise NotFound(f"'{entity}' was not found, or '{viewer.username}' doesn't belong to it.")
    visible = access.visible_projects(db, viewer, overview.projects(db, [row["id"] for row in entities]))
    ids = [row["id"] for row in visible]
    with_runs = [row for row in visible if not _is_registry(row)]
    some = beginning(request, "projects", len(with_runs), PROJECTS)
    shown = with_runs[: some.shown]
    last_runs = {row["id"]: _run(row) for row in overview.runs_by_id(db, [row["last_run_id"] for row in shown])}
    return Page(
        "home.html",
        {
            "title": entity or "Projects",
            "models": models.registered_models(request, ids),
            "projects": [row | {"last": last_runs.get(row["last_run_id"])} for row in shown],
            "all_projects": some,
            "runs": [_run(row) for row in overview.recent_runs(db, ids, RECENT)],
            "activity": [activity_line(request, row) for row in overview.recent_events(db, ids, RECENT)],
        },
    )


def _is_registry(project: Row) -> bool:
    """Whether a project is a registry, which has registered models and no runs."""
    return project["name"] == addresses.MODEL_REGISTRY or project["name"].startswith(projects.REGISTRY_PREFIX)


def _run(row: Row) -> Row:
    return row | {
        "state": runs.state(row),
        "seconds": runs.seconds(row),
        "address": addresses.run(row["entity_name"], row["project_name"], row["name"]),
    }


# ---- search ----


def search(request: PageRequest) -> Page | Redirect:
    """Searches for a name, a run id or an md5. One hit leads to its page; several are listed."""
    text = request.query.get("q", "").strip()
    hits = _hits(request, text) if text else []
    if len(hits) == 1:
        return Redirect(hits[0]["address"])
    return Page("search.html", {"title": "Search", "text": text, "hits": hits})


def _hits(request: PageRequest, text: str) -> list[Row]:
    db, viewer = request.db, request.viewer
    digest = dvc_md5.md5_of_alias(text)
    hits = []
    for row in access.visible(db, viewer, overview.runs_named(db, text, MOST_HITS)):
        hits.append({"kind": "run", "name": row["display_name"], "address": _run(row)["address"], "where": row["name"]})
    for row in access.visible(db, viewer, overview.collections_named(db, text, MOST_HITS)):
        project, type_name = projects.by_id(db, row["project_id"]), collections.type_of(db, row)["name"]
        kind = "registered model" if row["kind"] == "PORTFOLIO" else type_name
        address = addresses.page_of_collection(row, project, type_name)
        hits.append({"kind": kind, "name": row["name"], "address": address, "where": project["name"]})
    for number in overview.versions_with_digest(db, digest, MOST_HITS):
        row = access.find_artifact(db, viewer, number)
        if row is None or not access.readable(db, viewer, row["project_id"]):
            continue
        collection = collections.by_id(db, row["collection_id"])
        project, type_name = projects.by_id(db, row["project_id"]), collections.type_of(db, collection)["name"]
        version = memberships.version(memberships.own(db, artifacts.by_id(db, number)))
        address = addresses.page_of_version(collection, project, type_name, version)
        hits.append({"kind": type_name, "name": f"{collection['name']}:{version}", "address": address, "where": digest})
    return hits
