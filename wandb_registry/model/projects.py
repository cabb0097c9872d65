"""Projects of an entity. A registry is one too, of an organization's entity: see registries.py."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, names
from wandb_registry.model.access import Role, Viewer

Row = dict[str, Any]
UNNAMED = "uncategorized"
LOST_IN_ADDRESSES = ("runs", "sweeps")
REGISTRY_PREFIX = "wandb-registry-"


def ensure(db: Connection, viewer: Viewer, entity_name: str | None, name: str | None) -> Row:
    """The project to write to, made at its first use; registries are only made on purpose."""
    entity = access.entity(db, viewer, entity_name, Role.VIEWER)
    name = names.project(name or UNNAMED)
    if not db.one("select 1 from project where entity_id = :entity and name = :name", entity=entity["id"], name=name):
        access.entity(db, viewer, entity_name, Role.MEMBER)
        if entity["kind"] == "organization" or name.startswith(REGISTRY_PREFIX):
            raise NotFound(f"There is no registry '{name}' in '{entity['name']}'.")
        create(db, viewer, entity, name)
    return access.project(db, viewer, entity["name"], name, Role.MEMBER)


def create(db: Connection, viewer: Viewer, entity: Row, name: str, description: str | None = None) -> Row:
    """A new, empty project. Raises BadInput for a name by which nobody would find it."""
    if name in LOST_IN_ADDRESSES:
        raise BadInput(f"Project can't be '{name}': the SDK leaves this word out of addresses. Choose another one.")
    return db.row(
        """
        insert into project (entity_id, name, description, user_id)
        values (:entity, :name, :description, :user)
        returning *
        """,
        entity=entity["id"],
        name=names.project(name),
        description=description,
        user=viewer.user_id,
    )


def page(db: Connection, entity_id: int, limit: int, offset: int) -> list[Row]:
    """An entity's projects without its registries, newest first. Whoever calls this has checked the entity."""
    return db.all(
        """
        select project.*, entity.name as entity_name
          from project
          join entity on entity.id = project.entity_id
         where project.entity_id = :entity and project.name not like 'wandb-registry-%'
         order by project.id desc
         limit :limit offset :offset
        """,
        entity=entity_id,
        limit=limit,
        offset=offset,
    )


def by_id(db: Connection, number: int) -> Row:
    """A project that is reached from a row the account may see."""
    return db.row(access.PROJECT, id=number)
