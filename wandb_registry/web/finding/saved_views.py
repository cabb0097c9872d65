"""The menu of saved views: which one the page shows, whether it was changed, and the forms that save and remove one."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, saved_views
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import members
from wandb_registry.web import addresses, lookups
from wandb_registry.web.forms.undoing import done
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
NOT_SAVED = ("view", "own", "page", "with", "ask", "run")  # parameters of the address that no view holds


def entered(request: PageRequest, project: Row) -> Redirect | None:
    """Leads an address that only names a view to the view itself; one without any query to the project's default.

    `?view=NAME` is a view of the project, `?own=NAME` one of the viewer. `?view=` without a name means: no view, also
    if there is a default. Raises NotFound.
    """
    if set(request.query) - {"view", "own"} or request.query.get("view") == "":
        return None
    own, name = request.query.get("own"), request.query.get("view")
    if own:
        views = saved_views.own(request.db, request.viewer, project["id"])
        view = _named(views, own, f"You have no saved view '{own}'.")
    elif name:
        missing = f"'{members.path(project)}' has no saved view '{name}'."
        view = _named(saved_views.of_project(request.db, project["id"]), name, missing)
    else:
        view = saved_views.default(request.db, project["id"])
    if view is None or not view["query"]:
        return None
    return Redirect(f"{table(project)}?{view['query']}&{urlencode({'own' if own else 'view': view['name']})}")


def _named(views: list[Row], name: str, missing: str) -> Row:
    """The view of this name. Raises NotFound with the sentence `missing`, and the names that there are."""
    view = next((row for row in views if row["name"] == name), None)
    if view is None:
        raise NotFound(f"{missing}{lookups.alternatives([row['name'] for row in views])}")
    return view


def menu(request: PageRequest, project: Row) -> Row:
    """What the menu shows: all views, the current one, whether the address differs from it, and who may change it."""
    address = table(project)
    views = [
        row | {"address": f"{address}?{urlencode({kind: row['name']})}", "kind": kind}
        for kind, rows in (
            ("view", saved_views.of_project(request.db, project["id"])),
            ("own", saved_views.own(request.db, request.viewer, project["id"])),
        )
        for row in rows
    ]
    kind = "own" if request.query.get("own") else "view"
    current = next((row for row in views if row["kind"] == kind and row["name"] == request.query.get(kind)), None)
    return {
        "views": [row for row in views if row["kind"] == "view"],
        "own": [row for row in views if row["kind"] == "own"],
        "current": current,
        "changed": current is not None and sorted(parse_qsl(current["query"])) != sorted(parse_qsl(_query(request))),
        "may_change": access.project_role(request.db, request.viewer, project) >= Role.MEMBER,
        "all": f"{address}?view=",
    }


def table(project: Row) -> str:
    return addresses.join(project["entity_name"], project["name"], "runs")


def _query(request: PageRequest) -> str:
    """The part of the address that a view holds."""
    return urlencode([(key, value) for key, value in request.query.multi_items() if key not in NOT_SAVED and value])


def change(request: PageRequest, project: Row) -> Redirect:
    """Saves or removes a view, or makes it the project's default. Raises what the model refuses."""
    action, name = request.form.get("do", ""), request.form.get("view", "").strip()
    change = {"save-view": _save, "default-view": _make_default, "drop-view": _drop}.get(action)
    if change is None:
        raise BadInput(f"'{action}' is nothing that this page can do.")
    shown = "" if action == "drop-view" else name
    kept = urlencode([*parse_qsl(_query(request)), ("own" if shown and _is_own(request) else "view", shown)])
    return done(request, f"{table(project)}?{kept}", lambda: change(request, project, name))


def _is_own(request: PageRequest) -> bool:
    """Whether the form is about a view of the viewer alone."""
    return request.form.get("whose") == "own"


def _save(request: PageRequest, project: Row, name: str) -> str:
    if _is_own(request):
        if request.form.get("default"):
            raise BadInput("A project can't open with a view that you alone have. Save it for the project.")
        saved_views.save_own(request.db, request.viewer, project, name, _query(request))
        return f"View {name} saved for you alone."
    saved_views.save(request.db, request.viewer, project, name, _query(request))
    if request.form.get("default"):
        saved_views.make_default(request.db, request.viewer, project, name)
    return f"View {name} saved."


def _make_default(request: PageRequest, project: Row, name: str) -> str:
    saved_views.make_default(request.db, request.viewer, project, name or None)
    return f"{members.path(project)} opens with {name}." if name else f"{members.path(project)} opens with all runs."


def _drop(request: PageRequest, project: Row, name: str) -> str:
    own, of_project = _is_own(request), saved_views.of_project(request.db, project["id"])
    views = saved_views.own(request.db, request.viewer, project["id"]) if own else of_project
    _named(views, name, f"There is no saved view '{name}'.")
    (saved_views.save_own if own else saved_views.save)(request.db, request.viewer, project, name, None)
    return f"View {name} removed."
