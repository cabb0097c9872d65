"""Organizations and their registries: projects named wandb-registry-NAME of the organization's entity."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import access, activity_log, names, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import members
from wandb_registry.model.artifacts import collections

Row = dict[str, Any]
ACCESS = ("PRIVATE", "RESTRICTED")  # whoever belongs to the entity; members alone

ORGANIZATION_BY_NAME = """
select *
  from organization
 where name = :name
    or id = (select organization_id from entity where name = :name and kind = 'organization')
"""


def find_organization(db: Connection, viewer: Viewer, name: str) -> Row | None:
    """The organization by its own name or that of its entity, if the account belongs to it."""
    organization = db.one(ORGANIZATION_BY_NAME, name=name)
    if organization is None or not access.shares_organization(db, viewer, organization["id"]):
        return None
    return organization


def organization_of(db: Connection, entity: Row) -> Row | None:
    return db.one("select * from organization where id = :id", id=entity["organization_id"])


def entity_of(db: Connection, organization: Row) -> Row:
    return db.row("select * from entity where organization_id = :id and kind = 'organization'", id=organization["id"])


def organizations_of_user(db: Connection, user_id: int) -> list[Row]:
    return db.all(
        """
        select organization.*
          from organization_member member
          join organization on organization.id = member.organization_id
         where member.user_id = :user
         order by organization.name
        """,
        user=user_id,
    )


def upsert(db: Connection, viewer: Viewer, given: dict[str, Any]) -> tuple[Row, bool]:
    """Makes or changes a project or registry. Says whether it is new. Whoever makes a registry is its admin."""
    if not given.get("name"):
        raise BadInput("A project needs a name.")
    if given.get("access") not in (None, *ACCESS):
        raise BadInput(
            f"'{given['access']}' is no access of a project here: use {' or '.join(ACCESS)}. Nobody sees a project "
            "without an account."
        )
    entity = access.entity(db, viewer, given.get("entity_name"), Role.VIEWER)
    name = names.project(given["name"])
    is_registry = name.startswith(projects.REGISTRY_PREFIX)
    if is_registry and entity["kind"] != "organization":
        raise NotFound(f"'{entity['name']}' is not the entity of an organization: registries live there.")
    project = access.find_project(db, viewer, entity["name"], name)
    if project is None:
        access.entity(db, viewer, entity["name"], Role.MEMBER)
        if db.one("select 1 from project where entity_id = :entity and name = :name", entity=entity["id"], name=name):
            raise Conflict(f"The name '{name}' is taken in '{entity['name']}'. Choose another.")
    new = project is None
    if project is None:
        project = projects.by_id(db, projects.create(db, viewer, entity, name)["id"])
        activity_log.record(db, viewer, "create", members.path(project), None, None, None)
        if is_registry:
            members.set_user(db, viewer, project, viewer.user_id, "admin")
    access.project(db, viewer, entity["name"], name, Role.ADMIN if is_registry else Role.MEMBER)
    _change(db, project, given, new)
    for kind in given.get("artifact_types") or []:
        _add_type(db, project, kind["name"], kind.get("description"))
    return projects.by_id(db, project["id"]), new


def _change(db: Connection, project: Row, given: dict[str, Any], new: bool) -> None:
    db.execute(
        """
        update project
           set description = coalesce(:description, description),
               access = coalesce(:access, access),
               repo = coalesce(:repo, repo),
               allow_all_types = coalesce(:allow_all_types, allow_all_types),
               updated_at = case when :new then updated_at else strftime('%Y-%m-%dT%H:%M:%SZ') end
         where id = :id
        """,
        {
            "id": project["id"],
            "description": given.get("description"),
            "access": given.get("access"),
            "repo": given.get("repo"),
            "allow_all_types": given.get("allow_all_artifact_types_in_registry"),
            "new": new,
        },
    )


def _add_type(db: Connection, project: Row, name: str, description: str | None) -> None:
    db.execute(
        """
        insert into artifact_type (project_id, name, description) values (:project, :name, :description)
            on conflict do nothing
        """,
        {"project": project["id"], "name": names.artifact_type(name), "description": description},
    )


def rename(db: Connection, viewer: Viewer, entity: str, old: str, new: str) -> Row:
    """Gives a project or registry another name."""
    project = access.project(db, viewer, entity, old, Role.ADMIN)
    if old.startswith(projects.REGISTRY_PREFIX) != names.project(new).startswith(projects.REGISTRY_PREFIX):
        raise BadInput(f"A registry's name begins with '{projects.REGISTRY_PREFIX}', and no other project's does.")
    if db.one(
        "select 1 from project where entity_id = :entity and name = :name", entity=project["entity_id"], name=new
    ):
        raise Conflict(f"There is a project '{new}' in '{entity}' already.")
    db.execute(
        "update project set name = :name, updated_at = strftime('%Y-%m-%dT%H:%M:%SZ') where id = :id",
        {"name": new, "id": project["id"]},
    )
    renamed = projects.by_id(db, project["id"])
    activity_log.record(db, viewer, "rename", members.path(renamed), None, old, new)
    return renamed


def delete(db: Connection, viewer: Viewer, number: int) -> None:
    """Removes a project or registry with all that lies in it, unless something of that is in production."""
    project = access.project_by_id(db, viewer, number, Role.ADMIN)
    inside = db.all("select * from collection where project_id = :project", project=project["id"])
    collections.delete(db, viewer, inside)
    activity_log.record(db, viewer, "delete", members.path(project), None, None, None)
    db.execute("delete from project where id = :id", {"id": project["id"]})
