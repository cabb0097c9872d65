"""The forms of a run's page: its name, notes, group and tags; to stop, move or delete it."""

from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import access, projects
from wandb_registry.model.access import Role
from wandb_registry.model.runs import edits, runs
from wandb_registry.web import addresses, lookups
from wandb_registry.web.forms import run_changes
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
LONGEST_NAME = 500


def change(request: PageRequest) -> Redirect:
    """Does what the form asks for. Raises BadInput, and what the model refuses."""
    _, found = lookups.find_run(request)
    action = ACTIONS.get(request.form.get("do", ""))
    if action is None:
        raise BadInput(f"'{request.form.get('do', '')}' is nothing that this page can do.")
    return action(request, access.run_by_id(request.db, request.viewer, found["id"], Role.MEMBER))


def _edit(request: PageRequest, run: Row) -> Redirect:
    """Name, notes and group: those that the form has."""
    given = {name: request.form[name].strip() for name in ("name", "notes", "group") if name in request.form}
    if not given.get("name", run["display_name"]) or len(given.get("name", "")) > LONGEST_NAME:
        raise BadInput(f"A run needs a name, of at most {LONGEST_NAME} characters.")
    values = {edits.FIELDS[name]: text.replace("\r\n", "\n") for name, text in given.items()}
    return _done(request, lambda: run_changes.save(request, run, values), "Saved.")


def _add_tag(request: PageRequest, run: Row) -> Redirect:
    tag = request.form.get("tag", "").strip()
    return _done(request, lambda: run_changes.add_tag(request, run, tag), f"Tag {tag} added.")


def _drop_tag(request: PageRequest, run: Row) -> Redirect:
    tag = request.form.get("tag", "")
    return _done(request, lambda: run_changes.drop_tag(request, run, tag), f"Tag {tag} removed.")


def _done(request: PageRequest, change: Callable[[], None], sentence: str) -> Redirect:
    def told() -> str:
        change()
        return sentence

    return done(request, request.address, told)


def _stop(request: PageRequest, run: Row) -> Redirect:
    run_changes.stop(request, run)
    return Redirect(_address(request, run), f"{run['display_name']} is told to stop when its process next reports.")


def _move(request: PageRequest, run: Row) -> Redirect:
    own = projects.by_id(request.db, run["project_id"])
    target = run_changes.target(request, request.form.get("project", ""), own["entity_name"])

    def change() -> str:
        runs.move(request.db, request.viewer, run, target)
        return f"{run['display_name']} was moved to {target['name']}."

    return done(request, addresses.run(target["entity_name"], target["name"], run["name"]), change)


def _delete(request: PageRequest, run: Row) -> Redirect:
    project = projects.by_id(request.db, run["project_id"])
    runs.delete(request.db, request.viewer, run["id"], bool(request.form.get("with_artifacts")))
    table = addresses.join(project["entity_name"], project["name"], "runs")
    return Redirect(table, f"{run['display_name']} was deleted.")


def _undo(request: PageRequest, run: Row) -> Redirect:
    path = edits.path(request.db, run)
    sentence = undone(request, lambda event: path in (event["subject"], event["after"]))
    moved = access.run_by_id(request.db, request.viewer, run["id"], Role.VIEWER)
    stays = moved["project_id"] == run["project_id"]
    return Redirect(request.address if stays else _address(request, moved), sentence)


def _address(request: PageRequest, run: Row) -> str:
    project = projects.by_id(request.db, run["project_id"])
    return addresses.run(project["entity_name"], project["name"], run["name"])


ACTIONS: dict[str, Callable[[PageRequest, Row], Redirect]] = {
    "edit": _edit,
    "add-tag": _add_tag,
    "drop-tag": _drop_tag,
    "stop": _stop,
    "move": _move,
    "delete": _delete,
    UNDO: _undo,
}
