"""The menu of saved views: which one the page shows, whether it was changed, and the forms that save and remove one."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, saved_views
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import members
from wandb_registry.web import addresses, lookups
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
NOT_SAVED = ("view", "page", "with")  # parameters of the address that no view holds


def entered(request: PageRequest, project: Row) -> Redirect | None:
    """Leads an address that only names a view to the view itself; one without any query to the project's default.

    `?view=` without a name means: no view, also if there is a default. Raises NotFound.
    """
    if set(request.query) - {"view"}:
        return None
    name = request.query.get("view")
    if name == "":
        return None
    view = saved_views.find(request.db, project["id"], name) if name else saved_views.default(request.db, project["id"])
    if name and view is None:
        there = lookups.alternatives([row["name"] for row in saved_views.of_project(request.db, project["id"])])
        raise NotFound(f"'{members.path(project)}' has no saved view '{name}'.{there}")
    if view is None or not view["query"]:
        return None
    return Redirect(f"{table(project)}?{view['query']}&{urlencode({'view': view['name']})}")


def menu(request: PageRequest, project: Row) -> Row:
    """What the menu shows: all views, the current one, whether the address differs from it, and who may change it."""
    rows = saved_views.of_project(request.db, project["id"])
    current = next((row for row in rows if row["name"] == request.query.get("view")), None)
    return {
        "views": [row | {"address": f"{table(project)}?{urlencode({'view': row['name']})}"} for row in rows],
        "current": current,
        "changed": current is not None and sorted(parse_qsl(current["query"])) != sorted(parse_qsl(_query(request))),
        "may_change": access.project_role(request.db, request.viewer, project) >= Role.MEMBER,
        "all": f"{table(project)}?view=",
    }


def table(project: Row) -> str:
    return addresses.join(project["entity_name"], project["name"], "runs")


def _query(request: PageRequest) -> str:
    """The part of the address that a view holds."""
    return urlencode([(key, value) for key, value in request.query.multi_items() if key not in NOT_SAVED and value])


def change(request: PageRequest) -> Redirect:
    """Saves or removes a view, or makes it the project's default. Raises what the model refuses."""
    project = lookups.find_project(request)
    action, name = request.form.get("do", ""), request.form.get("view", "").strip()
    if action == UNDO:
        path = members.path(project)
        return Redirect(request.address, undone(request, lambda event: event["subject"] == path))
    change = {"save-view": _save, "default-view": _make_default, "drop-view": _drop}.get(action)
    if change is None:
        raise BadInput(f"'{action}' is nothing that this page can do.")
    shown = "" if action == "drop-view" else name
    kept = urlencode([*parse_qsl(_query(request)), ("view", shown)])
    return done(request, f"{table(project)}?{kept}", lambda: change(request, project, name))


def _save(request: PageRequest, project: Row, name: str) -> str:
    saved_views.save(request.db, request.viewer, project, name, _query(request))
    if request.form.get("default"):
        saved_views.make_default(request.db, request.viewer, project, name)
    return f"View {name} saved."


def _make_default(request: PageRequest, project: Row, name: str) -> str:
    saved_views.make_default(request.db, request.viewer, project, name or None)
    return f"{members.path(project)} opens with {name}." if name else f"{members.path(project)} opens with all runs."


def _drop(request: PageRequest, project: Row, name: str) -> str:
    if saved_views.find(request.db, project["id"], name) is None:
        raise NotFound(f"There is no saved view '{name}'.")
    saved_views.save(request.db, request.viewer, project, name, None)
    return f"View {name} removed."
