"""What people change of a run afterwards: its name, notes, group and tags; and how the log tells of it."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model import activity_log, projects
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import members

Row = dict[str, Any]
FIELDS = {"name": "display_name", "notes": "notes", "group": "group_name", "tags": "tags"}
EDIT, MOVE = "edit run", "move run"


def path(db: Connection, run: Row) -> str:
    """ENTITY/PROJECT/RUN: how the activity log names a run."""
    return f"{members.path(projects.by_id(db, run['project_id']))}/{run['name']}"


def record(db: Connection, viewer: Viewer, before: Row, after: Row) -> None:
    """Records which of FIELDS were changed."""
    for name, column in FIELDS.items():
        if before[column] != after[column]:
            activity_log.record(db, viewer, EDIT, path(db, after), name, shown(before, name), shown(after, name))


def shown(run: Row, name: str) -> str | None:
    """One of FIELDS as the log holds it, tags as their JSON; None if it is empty."""
    value = run[FIELDS[name]]
    return None if value in ("", "[]") else value
