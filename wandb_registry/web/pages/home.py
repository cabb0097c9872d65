"""The home page, with registered models, projects and recent runs of one entity or of all."""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.runs import runs
from wandb_registry.model.search import overview
from wandb_registry.web import addresses
from wandb_registry.web.activity import activity_line
from wandb_registry.web.pager import beginning, paged_or_first
from wandb_registry.web.pages import models
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
RECENT = 7  # runs, and events, before somebody asks for all
PAGE = 50  # of all of them
PROJECTS = 50  # before somebody asks for all


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
    runs_shown = paged_or_first(request, "runs", overview.run_count(db, ids), RECENT, PAGE)
    events_shown = paged_or_first(request, "activity", overview.recent_event_count(db, ids), RECENT, PAGE)
    events = overview.recent_events(db, ids, events_shown.size, events_shown.offset)
    return Page(
        "home.html",
        {
            "title": entity or "Projects",
            "asked": set(request.query),
            "models": models.registered_models(request, ids),
            "projects": [row | {"last": last_runs.get(row["last_run_id"])} for row in shown],
            "all_projects": some,
            "runs": [_run(row) for row in overview.recent_runs(db, ids, runs_shown.size, runs_shown.offset)],
            "all_runs": runs_shown,
            "activity": [activity_line(request, row) for row in events],
            "all_activity": events_shown,
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
