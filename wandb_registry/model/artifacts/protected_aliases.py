"""Protected aliases: which aliases of a project only its admins may move, such as `production`."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Forbidden
from wandb_registry.model import access, activity_log, names
from wandb_registry.model.access import Role, Viewer

Row = dict[str, Any]
PROTECTS = """
select project.*, entity.name as entity_name
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
  join protected_alias on protected_alias.project_id = project.id and protected_alias.name = :alias
 where collection.id = :collection
"""


def check(db: Connection, viewer: Viewer, collection_id: int, alias: str) -> None:
    """Refuses to move an alias that is protected, unless an admin does it."""
    project = db.one(PROTECTS, collection=collection_id, alias=alias)
    if project and access.project_role(db, viewer, project) < Role.ADMIN:
        raise Forbidden(
            f"Alias '{alias}' is protected in '{project['entity_name']}/{project['name']}': only its admins move it."
        )


def of_project(db: Connection, project_id: int) -> list[str]:
    rows = db.all("select name from protected_alias where project_id = :project order by name", project=project_id)
    return [row["name"] for row in rows]


def replace(db: Connection, viewer: Viewer, project: Row, aliases: list[str]) -> None:
    """Protects these aliases of a project or registry, and no others."""
    wanted, before = sorted({names.alias(alias) for alias in aliases}), of_project(db, project["id"])
    if "latest" in wanted:
        raise BadInput("Alias 'latest' moves with every version: it can't be protected.")
    db.execute("delete from protected_alias where project_id = :project", {"project": project["id"]})
    db.executemany(
        "insert into protected_alias (project_id, name) values (:project, :name)",
        [{"project": project["id"], "name": name} for name in wanted],
    )
    subject = f"{project['entity_name']}/{project['name']}"
    activity_log.record(db, viewer, "protect", subject, None, ", ".join(before) or None, ", ".join(wanted) or None)
