"""Views of a project's runs that are saved under a name: the query of the page's address, word by word.

Whoever may change the project saves, renames and removes them; whoever may see it uses them.
"""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, activity_log
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import members

Row = dict[str, Any]
SAVE, DEFAULT = "view", "default view"
LONGEST_NAME, LONGEST_QUERY, MOST = 100, 4000, 100

PUT = """
insert into saved_view (project_id, name, query, user_id) values (:project, :name, :query, :user)
    on conflict (project_id, name) do update set query = excluded.query
"""
VIEW = "select * from saved_view where project_id = :project and name = :name"
VIEWS = "select * from saved_view where project_id = :project order by name"


def of_project(db: Connection, project_id: int) -> list[Row]:
    return db.all(VIEWS, project=project_id)


def find(db: Connection, project_id: int, name: str) -> Row | None:
    return db.one(VIEW, project=project_id, name=name)


def default(db: Connection, project_id: int) -> Row | None:
    """The view that the project's page shows first."""
    return db.one("select * from saved_view where project_id = :project and is_default = 1", project=project_id)


def save(db: Connection, viewer: Viewer, project: Row, name: str, query: str | None) -> None:
    """Saves a view, or removes it if there is no query. Raises BadInput for a name or a query that is too long."""
    project = access.project_by_id(db, viewer, project["id"], Role.MEMBER)
    if not name.strip() or len(name) > LONGEST_NAME or len(query or "") > LONGEST_QUERY:
        raise BadInput(
            f"A view has a name, of at most {LONGEST_NAME} characters, and an address of at most {LONGEST_QUERY}."
        )
    before = find(db, project["id"], name)
    if before is None and len(of_project(db, project["id"])) >= MOST:
        raise BadInput(f"A project has {MOST} saved views at most. Remove one first.")
    if query is None:
        sql = "delete from saved_view where project_id = :project and name = :name"
        db.execute(sql, {"project": project["id"], "name": name})
    else:
        db.execute(PUT, {"project": project["id"], "name": name, "query": query, "user": viewer.user_id})
    if (before["query"] if before else None) != query:
        path = members.path(project)
        activity_log.record(db, viewer, SAVE, path, name, before["query"] if before else None, query)


def make_default(db: Connection, viewer: Viewer, project: Row, name: str | None) -> None:
    """Makes a view the one that the project's page shows first; None: no view is. Raises NotFound."""
    project = access.project_by_id(db, viewer, project["id"], Role.MEMBER)
    if name is not None and find(db, project["id"], name) is None:
        raise NotFound(f"'{members.path(project)}' has no saved view '{name}'.")
    before = default(db, project["id"])
    db.execute("update saved_view set is_default = 0 where project_id = :project", {"project": project["id"]})
    db.execute(
        "update saved_view set is_default = 1 where project_id = :project and name = :name",
        {"project": project["id"], "name": name},
    )
    held = before["name"] if before else None
    if held != name:
        activity_log.record(db, viewer, DEFAULT, members.path(project), None, held, name)
