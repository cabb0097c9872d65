"""Views of a project's runs that are saved under a name: the query of the page's address, word by word.

Whoever may change the project saves and removes its views; whoever may see it uses them, and keeps views of the own
beside them, which nobody else sees.
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
PUT_OWN = """
insert into own_view (project_id, user_id, name, query) values (:project, :user, :name, :query)
    on conflict (project_id, user_id, name) do update set query = excluded.query
"""
OWN_VIEWS = "select * from own_view where project_id = :project and user_id = :user order by name"
DROP_OWN = "delete from own_view where project_id = :project and user_id = :user and name = :name"


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
    _check(name, query)
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


def own(db: Connection, viewer: Viewer, project_id: int) -> list[Row]:
    """The viewer's own views of a project."""
    return db.all(OWN_VIEWS, project=project_id, user=viewer.user_id)


def save_own(db: Connection, viewer: Viewer, project: Row, name: str, query: str | None) -> None:
    """Saves a view for the viewer alone, or removes it if there is no query. Raises BadInput as `save`."""
    project = access.project_by_id(db, viewer, project["id"], Role.VIEWER)
    _check(name, query)
    views = {row["name"] for row in own(db, viewer, project["id"])}
    if query is not None and name not in views and len(views) >= MOST:
        raise BadInput(f"You have {MOST} saved views of this project, which is the most. Remove one first.")
    owned = {"project": project["id"], "user": viewer.user_id, "name": name}
    if query is None:
        db.execute(DROP_OWN, owned)
    else:
        db.execute(PUT_OWN, owned | {"query": query})


def _check(name: str, query: str | None) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or len(query or "") > LONGEST_QUERY:
        raise BadInput(
            f"A view has a name, of at most {LONGEST_NAME} characters, and an address of at most {LONGEST_QUERY}."
        )
