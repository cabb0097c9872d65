"""Who may see and change what. Every name or id that comes from outside becomes a row here, or not at all.

Everything is private by default. What a viewer may not read raises NotFound, exactly as if it didn't exist.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Forbidden, NotFound

Row = dict[str, Any]


class Role(IntEnum):
    NONE = 0
    VIEWER = 1
    MEMBER = 2
    ADMIN = 3


ROLES = {
    None: Role.NONE,
    "restricted_viewer": Role.VIEWER,
    "viewer": Role.VIEWER,
    "member": Role.MEMBER,
    "admin": Role.ADMIN,
}


@dataclass(frozen=True)
class Viewer:
    """The account that sends a request, as W&B calls it."""

    user_id: int
    username: str
    default_entity: str
    admin: bool
    short_lived: bool = False  # signed in by a token that ends soon: it makes nothing that signs in later
    until: int | None = None  # seconds since 1970 when the key ends that signed in; what it begins ends with it


ENTITY_ROLE = """
select case entity.kind
         when 'user' then (select 'admin' from user where user.id = :user and user.entity_id = entity.id)
         when 'organization' then (
           select role from organization_member
            where organization_id = entity.organization_id and user_id = :user)
         else coalesce(
           (select role from team_member where entity_id = entity.id and user_id = :user),
           (select role from organization_member
             where organization_id = entity.organization_id and user_id = :user and role = 'admin'))
       end as role
  from entity
 where entity.id = :entity
"""

PROJECT_ROLES = f"""
select role, 1 as is_inherited from ({ENTITY_ROLE}) as inherited
 union all
select role, 0 from project_member where project_id = :project and user_id = :user
 union all
select project_team.role, 0
  from project_team
  join team_member on team_member.entity_id = project_team.entity_id
 where project_team.project_id = :project and team_member.user_id = :user
"""


def entity_role(db: Connection, viewer: Viewer, entity_id: int) -> Role:
    """The viewer's role in an entity. An admin of the registry is an admin everywhere."""
    if viewer.admin:
        return Role.ADMIN
    return ROLES[db.value(ENTITY_ROLE, entity=entity_id, user=viewer.user_id)]


def project_role(db: Connection, viewer: Viewer, project: Row) -> Role:
    """The higher of the roles in the entity and in the project; a restricted project ignores roles in the entity.

    Admins of the entity are admins of all its projects.
    """
    if viewer.admin:
        return Role.ADMIN
    rows = db.all(PROJECT_ROLES, project=project["id"], entity=project["entity_id"], user=viewer.user_id)
    inherited = max(ROLES[row["role"]] for row in rows if row["is_inherited"])
    if project["access"] == "RESTRICTED" and inherited < Role.ADMIN:
        inherited = Role.NONE
    return max(inherited, *(ROLES[row["role"]] for row in rows if not row["is_inherited"]), Role.NONE)


def needs_lasting(viewer: Viewer) -> None:
    """Raises Forbidden for a request by a short-lived token."""
    if viewer.short_lived:
        raise Forbidden(
            f"'{viewer.username}' is signed in by a short-lived token, which makes nothing that outlives it."
        )


def needs_registry_admin(viewer: Viewer) -> None:
    """Raises Forbidden unless the account is an admin of the whole registry."""
    if not viewer.admin:
        raise Forbidden(f"'{viewer.username}' is not an admin of this registry, so it can't make or change accounts.")


# ---- entities ----


def find_entity(db: Connection, viewer: Viewer, name: str | None) -> Row | None:
    """The entity; None if the viewer doesn't belong to it. Without a name it is the viewer's default entity."""
    entity = db.one("select * from entity where name = :name", name=name or viewer.default_entity)
    return entity if entity and entity_role(db, viewer, entity["id"]) else None


def entity(db: Connection, viewer: Viewer, name: str | None, need: Role) -> Row:
    """The entity. Raises NotFound, or Forbidden if the viewer's role is below `need`."""
    entity = find_entity(db, viewer, name)
    if entity is None:
        raise NotFound(f"Entity '{name}' was not found, or '{viewer.username}' doesn't belong to it.")
    if entity_role(db, viewer, entity["id"]) < need:
        raise Forbidden(
            f"'{viewer.username}' may not do this in '{entity['name']}': it takes the role {need.name.lower()}."
        )
    return entity


def entities_of(db: Connection, viewer: Viewer) -> list[str]:
    """The names of all entities that the viewer belongs to."""
    rows = db.all("select id, name from entity order by name")
    return [row["name"] for row in rows if entity_role(db, viewer, row["id"])]


def entity_by_id(db: Connection, number: int) -> Row:
    """The entity of a row that the viewer may see."""
    return db.row("select * from entity where id = :id", id=number)


def shares_organization(db: Connection, viewer: Viewer, organization_id: int) -> bool:
    """Whether the viewer belongs to the organization or to one of its teams."""
    return viewer.admin or bool(db.value(BELONGS_TO_ORGANIZATION, organization=organization_id, user=viewer.user_id))


BELONGS_TO_ORGANIZATION = """
select exists (select 1 from organization_member where organization_id = :organization and user_id = :user)
    or exists (select 1
                 from team_member
                 join entity on entity.id = team_member.entity_id
                where entity.organization_id = :organization and team_member.user_id = :user)
"""


# ---- projects and what lies in them ----

PROJECT = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where project.id = :id
"""

PROJECT_BY_NAME = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where entity.name = :entity and project.name = :name
"""


def find_project(db: Connection, viewer: Viewer, entity_name: str | None, name: str | None) -> Row | None:
    """The project; None if the viewer may not read it. Without an entity it is one of the default entity."""
    project = db.one(PROJECT_BY_NAME, entity=entity_name or viewer.default_entity, name=name or "")
    return project if project and project_role(db, viewer, project) else None


def project(db: Connection, viewer: Viewer, entity_name: str | None, name: str | None, need: Role) -> Row:
    """The project. Raises NotFound, or Forbidden if the viewer's role is below `need`."""
    project = db.one(PROJECT_BY_NAME, entity=entity_name or viewer.default_entity, name=name or "")
    role = project_role(db, viewer, project) if project else Role.NONE
    if project is None or not role:
        where = entity_name or viewer.default_entity
        raise NotFound(f"Project '{name}' of '{where}' was not found, or '{viewer.username}' may not see it.")
    return _at_least(viewer, project, role, need)


def project_by_id(db: Connection, viewer: Viewer, number: int, need: Role) -> Row:
    """The project of this id. Raises as `project`."""
    project = db.one(PROJECT, id=number)
    role = project_role(db, viewer, project) if project else Role.NONE
    if project is None or not role:
        raise NotFound(f"The project was not found, or '{viewer.username}' may not see it.")
    return _at_least(viewer, project, role, need)


def readable(db: Connection, viewer: Viewer, project_id: int) -> bool:
    """Whether the viewer may read a project."""
    project = db.one(PROJECT, id=project_id)
    return project is not None and project_role(db, viewer, project) > Role.NONE


def visible(db: Connection, viewer: Viewer, rows: list[Row]) -> list[Row]:
    """The rows whose `project_id` is a project that the viewer may read."""
    allowed = {number: readable(db, viewer, number) for number in {row["project_id"] for row in rows}}
    return [row for row in rows if allowed[row["project_id"]]]


def visible_projects(db: Connection, viewer: Viewer, rows: list[Row]) -> list[Row]:
    """The rows of projects that the viewer may read."""
    return [row for row in rows if project_role(db, viewer, row)]


RUN = "select * from run where id = :id"
COLLECTION = "select * from collection where id = :id"
ARTIFACT = """
select artifact.*, collection.project_id
  from artifact
  join collection on collection.id = artifact.collection_id
 where artifact.id = coalesce((select artifact_id from twin where id = :id), :id)
"""
ARTIFACTS = """
select artifact.*, collection.project_id
  from artifact
  join collection on collection.id = artifact.collection_id
 where artifact.id in (select value from json_each(:ids))
"""
PROJECTS_OF_ARTIFACT = """
select distinct collection.project_id
  from membership
  join collection on collection.id = membership.collection_id
 where membership.artifact_id = :id
"""


def find_run(db: Connection, project: Row, name: str) -> Row | None:
    """The run of this name. The caller has checked that the viewer may read the project."""
    return db.one("select * from run where project_id = :project and name = :name", project=project["id"], name=name)


def run(
    db: Connection, viewer: Viewer, entity_name: str | None, project_name: str | None, name: str, need: Role
) -> Row:
    """The run at this address. Raises NotFound, or Forbidden if the viewer's role is below `need`."""
    run = find_run(db, project(db, viewer, entity_name, project_name, need), name)
    if run is None:
        raise NotFound(f"Run '{name}' was not found in '{entity_name or viewer.default_entity}/{project_name}'.")
    return run


def run_by_id(db: Connection, viewer: Viewer, number: int, need: Role) -> Row:
    return _in_project(db, viewer, db.one(RUN, id=number), "run", need)


def collection_by_id(db: Connection, viewer: Viewer, number: int, need: Role) -> Row:
    return _in_project(db, viewer, db.one(COLLECTION, id=number), "artifact collection", need)


def find_artifact(db: Connection, viewer: Viewer, number: int) -> Row | None:
    """The version; None unless the viewer may read its project or one that it is linked to."""
    artifact = db.one(ARTIFACT, id=number)
    if artifact is None:
        return None
    if readable(db, viewer, artifact["project_id"]):
        return artifact
    linked_to = db.all(PROJECTS_OF_ARTIFACT, id=number)
    return artifact if any(readable(db, viewer, row["project_id"]) for row in linked_to) else None


def artifact(db: Connection, viewer: Viewer, number: int, need: Role) -> Row:
    """The version. Raises NotFound, Forbidden. To read it, a role in a project that it is linked to is enough."""
    artifact = find_artifact(db, viewer, number)
    if artifact is None:
        raise NotFound("The artifact was not found, or you may not see it.")
    return artifact if need == Role.VIEWER else _in_project(db, viewer, artifact, "artifact", need)


def _in_project(db: Connection, viewer: Viewer, row: Row | None, what: str, need: Role) -> Row:
    project = db.one(PROJECT, id=row["project_id"]) if row else None
    role = project_role(db, viewer, project) if project else Role.NONE
    if row is None or project is None or not role:
        raise NotFound(f"The {what} was not found, or '{viewer.username}' may not see it.")
    _at_least(viewer, project, role, need)
    return row


def _at_least(viewer: Viewer, project: Row, role: Role, need: Role) -> Row:
    if role < need:
        raise Forbidden(
            f"'{viewer.username}' may not do this in '{project['entity_name']}/{project['name']}': "
            f"it takes the role {need.name.lower()}, and this account is a {role.name.lower()}."
        )
    return project
