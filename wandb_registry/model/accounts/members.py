"""Members of registries and projects: users and whole teams, with a role each."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, activity_log
from wandb_registry.model.access import Viewer

Row = dict[str, Any]
FIRST_ROLE = "member"  # of a member who is added without a role

USERS = """
select account.id, account.username, account.username as name, account.email, project_member.role
  from project_member
  join account on account.id = project_member.user_id
 where project_member.project_id = :project
 order by account.username
"""
TEAMS = """
select entity.*, project_team.role
  from project_team
  join entity on entity.id = project_team.entity_id
 where project_team.project_id = :project
 order by entity.name
"""
# Whoever any rule of access.py gives a role
PEOPLE = """
select account.*
  from account
 where account.deleted_at is null
   and (account.admin = 1
     or account.entity_id = :entity
     or account.id in (select user_id from team_member where entity_id = :entity)
     or account.id in (select organization_member.user_id
                         from organization_member
                         join entity on entity.organization_id = organization_member.organization_id
                        where entity.id = :entity)
     or account.id in (select user_id from project_member where project_id = :project)
     or account.id in (select team_member.user_id
                         from project_team
                         join team_member on team_member.entity_id = project_team.entity_id
                        where project_team.project_id = :project))
 order by account.username
"""
SET_USER = """
insert into project_member (project_id, user_id, role) values (:project, :member, :role)
    on conflict (project_id, user_id) do update set role = excluded.role
"""
SET_TEAM = """
insert into project_team (project_id, entity_id, role) values (:project, :member, :role)
    on conflict (project_id, entity_id) do update set role = excluded.role
"""
DROP_USER = "delete from project_member where project_id = :project and user_id = :member"
DROP_TEAM = "delete from project_team where project_id = :project and entity_id = :member"


def users(db: Connection, project_id: int) -> list[Row]:
    """The users who have a role of their own in a project, by name, each with `role`."""
    return db.all(USERS, project=project_id)


def teams(db: Connection, project_id: int) -> list[Row]:
    """The teams that have a role in a project, by name, each with `role`."""
    return db.all(TEAMS, project=project_id)


def people(db: Connection, project: Row) -> list[Row]:
    """The accounts that may have a role in a project, by name; `access.project_role` says which."""
    return db.all(PEOPLE, entity=project["entity_id"], project=project["id"])


def set_user(db: Connection, viewer: Viewer, project: Row, user_id: int, role: str | None) -> None:
    """Sets a user's role in the project; None removes the user. Raises NotFound, or BadInput for an unknown role."""
    user = db.one("select id, username as name from account where id = :id and deleted_at is null", id=user_id)
    held = {row["id"]: row["role"] for row in users(db, project["id"])}
    _set(db, viewer, project, user, held, role, (SET_USER, DROP_USER))


def set_team(db: Connection, viewer: Viewer, project: Row, team_id: int, role: str | None) -> None:
    """Sets the role of all members of a team in the project; None removes the team. Raises as `set_user`."""
    team = db.one("select id, name from entity where id = :id and kind = 'team'", id=team_id)
    held = {row["id"]: row["role"] for row in teams(db, project["id"])}
    _set(db, viewer, project, team, held, role, (SET_TEAM, DROP_TEAM))


def add(db: Connection, viewer: Viewer, project: Row, user_ids: list[int], team_ids: list[int]) -> None:
    """Adds users and teams by their ids, with FIRST_ROLE. Those who are members already keep their role."""
    known_users = {row["id"] for row in users(db, project["id"])}
    known_teams = {row["id"] for row in teams(db, project["id"])}
    for number in user_ids:
        if number not in known_users:
            set_user(db, viewer, project, number, FIRST_ROLE)
    for number in team_ids:
        if number not in known_teams:
            set_team(db, viewer, project, number, FIRST_ROLE)


def _set(
    db: Connection, viewer: Viewer, project: Row, member: Row | None, held: dict, role: str | None, sql: tuple[str, str]
) -> None:
    if member is None:
        raise NotFound("There is no such user or team.")
    if role is not None and role not in access.ROLES:
        raise BadInput(f"'{role}' is not a role. Roles are admin, member, viewer and restricted_viewer.")
    before = held.get(member["id"])
    if before == role:
        return
    parameters = {"project": project["id"], "member": member["id"]}
    db.execute(*((sql[0], parameters | {"role": role}) if role else (sql[1], parameters)))
    activity_log.record(db, viewer, "member", path(project), member["name"], before, role)


def path(project: Row) -> str:
    """ENTITY/PROJECT: how the activity log names a project."""
    return f"{project['entity_name']}/{project['name']}"
