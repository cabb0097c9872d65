"""Takes back changes that the activity log tells of, while what they changed is still as they left it.

Taking back is a change too: it is checked by the same rules, and logged.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Conflict, NotFound
from wandb_registry.model import access, activity_log, saved_views
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import roster, teams, users
from wandb_registry.model.artifacts import artifacts, collections, links, memberships, protected_aliases, tags
from wandb_registry.model.runs import edits, runs
from wandb_registry.model.sweeps import sweeps

Row = dict[str, Any]


@dataclass(frozen=True)
class Reversal:
    """How an event is taken back: what its subject says now, and what makes it say `before` again."""

    now: Callable[[Connection, Row], str | None]
    undo: Callable[[Connection, Viewer, Row], object]


def is_possible(db: Connection, event: Row) -> bool:
    """Whether the event can be taken back: nothing has changed what it changed since."""
    reversal = REVERSALS.get(event["action"])
    try:
        return reversal is not None and reversal.now(db, event) == event["after"]
    except NotFound:
        return False


def undo(db: Connection, viewer: Viewer, number: int) -> Row:
    """Takes an event back and returns it. Raises Conflict if that is impossible by now, and what the rules refuse."""
    event = activity_log.by_id(db, number)
    if not is_possible(db, event):
        raise Conflict("This can't be undone any more: it was changed again since, or is gone.")
    REVERSALS[event["action"]].undo(db, viewer, event)
    return event


# ---- runs ----


def _run(db: Connection, event: Row) -> Row:
    entity, project, name = (event["after"] if event["action"] == edits.MOVE else event["subject"]).split("/", 2)
    found = db.one(access.PROJECT_BY_NAME, entity=entity, name=project)
    run = access.find_run(db, found, name) if found else None
    if run is None:
        raise NotFound("The run is not there any more.")
    return run


def _field(db: Connection, event: Row) -> str | None:
    return edits.shown(_run(db, event), event["name"])


def _edit_back(db: Connection, viewer: Viewer, event: Row) -> None:
    text = event["before"]
    value = json.loads(text or "[]") if event["name"] == "tags" else text or ""
    runs.upsert(db, viewer, _run(db, event)["id"], {edits.FIELDS[event["name"]]: value})


def _place(db: Connection, event: Row) -> str | None:
    return edits.path(db, _run(db, event))


def _move_back(db: Connection, viewer: Viewer, event: Row) -> None:
    run = access.run_by_id(db, viewer, _run(db, event)["id"], Role.MEMBER)
    entity, project, _ = event["before"].split("/", 2)
    runs.move(db, viewer, run, access.project(db, viewer, entity, project, Role.MEMBER))


# ---- versions and collections ----


def _version(db: Connection, event: Row, name: str | None) -> Row:
    """The membership of a version in the event's collection."""
    found = memberships.find(db, event["collection_id"], name) if name else None
    if found is None:
        raise NotFound("The version is not there any more.")
    return found


def _writable(db: Connection, viewer: Viewer, event: Row) -> Row:
    return access.collection_by_id(db, viewer, event["collection_id"], Role.MEMBER)


def _holder(db: Connection, event: Row) -> str | None:
    if protected_aliases.rule(db, event["collection_id"], event["name"]):
        raise NotFound("Two people decided this, so it takes two to decide otherwise.")
    if event["before"]:
        _version(db, event, event["before"])  # it could not be given back to a version that is gone
    held = memberships.find(db, event["collection_id"], event["name"])
    return memberships.version(held) if held else None


def _alias_back(db: Connection, viewer: Viewer, event: Row) -> None:
    _writable(db, viewer, event)
    if event["before"]:
        memberships.move_alias(db, viewer, _version(db, event, event["before"]), event["name"])
    else:
        memberships.drop_alias(db, viewer, _version(db, event, event["after"]), event["name"])


def _described(db: Connection, event: Row) -> Row:
    return artifacts.by_id(db, _version(db, event, event["name"])["artifact_id"])


def _description(db: Connection, event: Row) -> str | None:
    return _described(db, event)["description"] or None


def _description_back(db: Connection, viewer: Viewer, event: Row) -> None:
    _writable(db, viewer, event)
    artifacts.update(db, viewer, _described(db, event), {"description": event["before"] or ""})


def _tagged(db: Connection, event: Row) -> Row | None:
    """The version that was tagged; None if it was the collection."""
    name = event["after"] or event["before"]
    return artifacts.by_id(db, _version(db, event, name)["artifact_id"]) if name else None


def _tag(db: Connection, event: Row) -> str | None:
    """`after` if the tag is as the event left it; else something else."""
    artifact = _tagged(db, event)
    held = tags.of_artifact(db, artifact["id"]) if artifact else tags.of_collection(db, event["collection_id"])
    as_left = (event["name"] in [tag["name"] for tag in held]) == (event["action"] == tags.ADD)
    return event["after"] if as_left else "changed"


def _tag_back(db: Connection, viewer: Viewer, event: Row) -> None:
    collection, artifact, added = _writable(db, viewer, event), _tagged(db, event), event["action"] == tags.ADD
    if artifact:
        (tags.take_from_artifact if added else tags.add_to_artifact)(db, viewer, artifact, [event["name"]])
    else:
        (tags.take_from_collection if added else tags.add_to_collection)(db, viewer, collection["id"], [event["name"]])


def _link(db: Connection, event: Row) -> str | None:
    """`after`, which is None, if the version is still linked."""
    _version(db, event, event["name"])
    return event["after"] if collections.by_id(db, event["collection_id"])["kind"] == "PORTFOLIO" else "changed"


def _link_back(db: Connection, viewer: Viewer, event: Row) -> None:
    links.unlink(db, viewer, _writable(db, viewer, event), _version(db, event, event["name"])["artifact_id"])


# ---- saved views ----


def _of_project(db: Connection, event: Row) -> Row:
    entity, project = event["subject"].split("/", 1)
    found = db.one(access.PROJECT_BY_NAME, entity=entity, name=project)
    if found is None:
        raise NotFound("The project is not there any more.")
    return found


def _view(db: Connection, event: Row) -> str | None:
    view = saved_views.find(db, _of_project(db, event)["id"], event["name"])
    return view["query"] if view else None


def _view_back(db: Connection, viewer: Viewer, event: Row) -> None:
    saved_views.save(db, viewer, _of_project(db, event), event["name"], event["before"])


def _default_view(db: Connection, event: Row) -> str | None:
    view = saved_views.default(db, _of_project(db, event)["id"])
    return view["name"] if view else None


def _default_back(db: Connection, viewer: Viewer, event: Row) -> None:
    saved_views.make_default(db, viewer, _of_project(db, event), event["before"])


# ---- accounts ----


def _team(db: Connection, event: Row) -> Row:
    team = db.one("select * from entity where name = :name and kind = 'team'", name=event["subject"])
    if team is None:
        raise NotFound("This is about no team.")
    return team


def _role(db: Connection, event: Row) -> str | None:
    return roster.role_in_team(db, _team(db, event)["id"], users.user_named(db, event["name"])["id"])


def _role_back(db: Connection, viewer: Viewer, event: Row) -> None:
    team, user = teams.needs_admin(db, viewer, event["subject"]), users.user_named(db, event["name"])
    teams.set_team_role(db, viewer, team, user, event["before"])


def _is_admin(db: Connection, event: Row) -> str | None:
    return "admin" if users.user_named(db, event["subject"])["admin"] else None


def _admin_back(db: Connection, viewer: Viewer, event: Row) -> None:
    access.needs_registry_admin(viewer)
    users.set_admin(db, viewer, users.user_named(db, event["subject"]), event["before"] == "admin")


def _protected(db: Connection, event: Row) -> str | None:
    return ", ".join(protected_aliases.of_project(db, _of_project(db, event)["id"])) or None


def _protection_back(db: Connection, viewer: Viewer, event: Row) -> None:
    entity, _, name = event["subject"].partition("/")
    project = access.project(db, viewer, entity, name, Role.ADMIN)
    before: str = event["before"] or ""
    protected_aliases.replace(db, viewer, project, before.split(", ") if before else [])


# ---- sweeps ----


def _sweep(db: Connection, event: Row) -> Row:
    sweep = sweeps.find(db, _of_project(db, event), event["name"])
    if sweep is None or event["after"] == sweeps.CANCELED:
        raise NotFound("The sweep is not there any more, or its runs were killed.")
    return sweep


def _sweep_back(db: Connection, viewer: Viewer, event: Row) -> None:
    sweeps.upsert(db, viewer, _sweep(db, event)["id"], {"state": event["before"]})


REVERSALS = {
    sweeps.SET_STATE: Reversal(lambda db, event: _sweep(db, event)["state"], _sweep_back),
    edits.EDIT: Reversal(_field, _edit_back),
    edits.MOVE: Reversal(_place, _move_back),
    "alias": Reversal(_holder, _alias_back),
    artifacts.DESCRIBE: Reversal(_description, _description_back),
    tags.ADD: Reversal(_tag, _tag_back),
    tags.DROP: Reversal(_tag, _tag_back),
    "link": Reversal(_link, _link_back),
    "member": Reversal(_role, _role_back),
    users.SET_ADMIN: Reversal(_is_admin, _admin_back),
    "protect": Reversal(_protected, _protection_back),
    saved_views.SAVE: Reversal(_view, _view_back),
    saved_views.DEFAULT: Reversal(_default_view, _default_back),
}
