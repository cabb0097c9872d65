"""Organizations, which own registries, and teams, which own projects."""

import getpass
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.defaults import TEAM
from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import access, activity_log, names
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import users

Row = dict[str, Any]
ORGANIZATION = "local-org"
CORE_REGISTRY = "wandb-registry-model"

REMOVE_MEMBER = (
    "delete from organization_member where organization_id = :organization and user_id = :user",
    """
    delete from team_member
     where user_id = :user
       and entity_id in (select id from entity where organization_id = :organization)
    """,
    """
    delete from project_member
     where user_id = :user
       and project_id in (select project.id
                            from project
                            join entity on entity.id = project.entity_id
                           where entity.organization_id = :organization)
    """,
)


def make_first(db: Connection, key: str) -> None:
    """Fills a new store: the operator's account with this API key, an organization, a team, the core registry."""
    if db.value("select count(*) from user"):
        return
    activity_log.seal_end(db)  # a new log is empty, and sealed as such
    name = names.slug(_login_name(), "me")
    taken = {TEAM, ORGANIZATION, *names.ADDRESSES}
    user = users.add_user(db, users.OPERATOR, f"{name}-user" if name in taken else name, key, admin=True)
    add_organization(db, users.OPERATOR, ORGANIZATION, user["username"])
    team = add_team(db, users.OPERATOR, TEAM, ORGANIZATION, user["username"])
    db.execute("update user set default_entity_id = :team where id = :id", {"team": team["id"], "id": user["id"]})
    db.execute(
        """
        insert into project (entity_id, name, description, user_id)
        select id, :name, 'Models that are ready to be used', :user
          from entity
         where kind = 'organization' and organization_id = :organization
        """,
        {"name": CORE_REGISTRY, "user": user["id"], "organization": team["organization_id"]},
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return ""


# ---- organizations ----


def add_organization(db: Connection, viewer: Viewer, name: str, admin: str) -> Row:
    """Makes an organization with an entity for its registries. Raises Conflict if the name is taken."""
    user = users.user_named(db, admin)
    if db.one("select 1 from organization where name = :name", name=names.entity(name)):
        raise Conflict(f"There is an organization '{name}' already.")
    organization = db.row("insert into organization (name) values (:name) returning *", name=name)
    users.add_entity(db, f"{name}_registry", "organization", organization["id"])
    activity_log.record(db, viewer, "add organization", name, None, None, None)
    _set_member(db, viewer, organization, user, "admin")
    return organization


def add_organization_member(db: Connection, viewer: Viewer, organization: str, user: str, role: str) -> None:
    """Adds the user, or changes the role that the user has."""
    _set_member(db, viewer, organization_named(db, organization), users.user_named(db, user), role)


def remove_organization_member(db: Connection, viewer: Viewer, organization: str, user: str) -> None:
    """Takes the user out of the organization, its teams and its registries."""
    owner, account = organization_named(db, organization), users.user_named(db, user)
    before = _role_in(db, owner["id"], account["id"])
    for statement in REMOVE_MEMBER:
        db.execute(statement, {"organization": owner["id"], "user": account["id"]})
    activity_log.record(db, viewer, "member", organization, user, before, None)


def team_named(db: Connection, name: str) -> Row:
    team = db.one("select * from entity where name = :name and kind = 'team'", name=name)
    if team is None:
        raise NotFound(f"There is no team '{name}'. 'wandb-registry team list' names them.")
    return team


def organization_named(db: Connection, name: str) -> Row:
    organization = db.one("select * from organization where name = :name", name=name)
    if organization is None:
        raise NotFound(f"There is no organization '{name}'. 'wandb-registry org list' names them.")
    return organization


def remove_organization(db: Connection, viewer: Viewer, name: str) -> None:
    """Removes an organization and its teams. Raises Conflict if their projects hold runs or artifacts."""
    organization = organization_named(db, name)
    if name == ORGANIZATION:
        raise Conflict(f"'{name}' is the registry's own organization: its team '{TEAM}' is where runs go by default.")
    held = db.value(
        """
        select count(*)
          from project
          join entity on entity.id = project.entity_id
         where entity.organization_id = :organization
           and (exists (select 1 from run where run.project_id = project.id)
             or exists (select 1 from collection where collection.project_id = project.id))
        """,
        organization=organization["id"],
    )
    if held:
        raise Conflict(f"Organization '{name}' holds runs or artifacts in {held} projects. Delete those first.")
    db.execute("delete from organization where id = :id", {"id": organization["id"]})
    activity_log.record(db, viewer, "remove organization", name, None, None, None)


def organizations(db: Connection) -> list[Row]:
    """All organizations by name; `members` is a text such as 'ada admin, ben member'."""
    return db.all(
        """
        select organization.name, group_concat(entity.name || ' ' || member.role, ', ') as members
          from organization
          left join organization_member member on member.organization_id = organization.id
          left join user on user.id = member.user_id
          left join entity on entity.id = user.entity_id
         group by organization.id
         order by organization.name
        """
    )


def _set_member(db: Connection, viewer: Viewer, organization: Row, user: Row, role: str) -> None:
    before = _role_in(db, organization["id"], user["id"])
    db.execute(
        """
        insert into organization_member (organization_id, user_id, role) values (:organization, :user, :role)
            on conflict (organization_id, user_id) do update set role = excluded.role
        """,
        {"organization": organization["id"], "user": user["id"], "role": role},
    )
    if before != role:
        activity_log.record(db, viewer, "member", organization["name"], user["username"], before, role)


def _role_in(db: Connection, organization_id: int, user_id: int) -> str | None:
    return db.value(
        "select role from organization_member where organization_id = :organization and user_id = :user",
        organization=organization_id,
        user=user_id,
    )


# ---- teams ----


def add_team(db: Connection, viewer: Viewer, name: str, organization: str, member: str) -> Row:
    """Makes the user an admin of the team, and makes the team if there is none. Raises Conflict for a taken name."""
    owner = organization_named(db, organization)
    user = users.user_named(db, member)
    team = db.one("select * from entity where name = :name", name=name)
    if team is None:
        team = users.add_entity(db, name, "team", owner["id"])
        activity_log.record(db, viewer, "add team", name, None, None, None)
    elif team["kind"] != "team" or team["organization_id"] != owner["id"]:
        raise Conflict(f"'{name}' is taken, and is not a team of '{organization}'.")
    set_team_role(db, viewer, team, user, "admin")
    return team


def teams(db: Connection) -> list[Row]:
    """All teams by name; `members` is a text of their users' names."""
    return db.all(
        """
        select team.name, organization.name as organization, group_concat(own.name, ', ') as members
          from entity team
          join organization on organization.id = team.organization_id
          left join team_member on team_member.entity_id = team.id
          left join user on user.id = team_member.user_id
          left join entity own on own.id = user.entity_id
         where team.kind = 'team'
         group by team.id, organization.id
         order by team.name
        """
    )


def teams_of(db: Connection, user_id: int) -> list[Row]:
    """The teams that a user is in."""
    return db.all(
        """
        select entity.*
          from team_member
          join entity on entity.id = team_member.entity_id
         where team_member.user_id = :user
         order by entity.name
        """,
        user=user_id,
    )


def members_of(db: Connection, entity_id: int) -> list[Row]:
    """A team's members as `api.team` reads them, oldest first: the SDK takes the last one for the one it just made."""
    return db.all(
        """
        select account.id, account.username, account.username as name, account.email, account.admin,
               team_member.role, false as pending,
               case when user.service = 1 then 'SERVICE' else 'MEMBER' end as account_type
          from team_member
          join user on user.id = team_member.user_id
          join account on account.id = team_member.user_id
         where team_member.entity_id = :entity
         order by account.id
        """,
        entity=entity_id,
    )


def add_service_account(db: Connection, viewer: Viewer, name: str, key: str | None, team: str) -> Row:
    """Makes an account for a machine. Its runs go to this team if they name no entity."""
    owner = team_named(db, team)
    user = users.add_user(db, viewer, name, key, service=True)
    set_team_role(db, viewer, owner, user, "member")
    users.set_default_entity(db, user["id"], owner["id"])
    return user


def create_team(db: Connection, viewer: Viewer, name: str, admin: str | None) -> Row:
    """Makes a team in the viewer's organization. Raises Conflict for a taken name, BadInput if there is none.

    Of several that the viewer is an admin of, it is that of the default entity, else the newest.
    """
    if db.one("select 1 from entity where name = :name", name=names.entity(name)):
        raise Conflict(f"The name '{name}' is taken.")
    organization = db.one(OWN_ORGANIZATION, user=viewer.user_id)
    if organization is None:
        raise BadInput(f"'{viewer.username}' is not an admin of an organization that could have the team '{name}'.")
    return add_team(db, viewer, name, organization["name"], admin or viewer.username)


OWN_ORGANIZATION = """
select organization.*
  from organization_member member
  join organization on organization.id = member.organization_id
 where member.user_id = :user and member.role = 'admin'
 order by organization.id = (select entity.organization_id
                               from user
                               join entity on entity.id = user.default_entity_id
                              where user.id = :user) desc,
          organization.id desc
"""
INVITED = "select * from account where deleted_at is null and (username = :name or email = :email)"


def invite(db: Connection, viewer: Viewer, team: Row, name: str | None, email: str | None, admin: bool) -> Row:
    """Adds a user to a team. It happens at once: users of one registry needn't accept."""
    user = db.one(INVITED, name=name, email=email)
    if user is None:
        raise NotFound(f"There is no user '{name or email}'.")
    if team["kind"] != "team":
        raise BadInput(f"'{team['name']}' is not a team.")
    set_team_role(db, viewer, team, user, "admin" if admin else "member")
    return user


def set_team_role(db: Connection, viewer: Viewer, team: Row, user: Row, role: str | None) -> None:
    """Sets a user's role in a team and adds the user to its organization; None removes the user from the team."""
    before = db.value(
        "select role from team_member where entity_id = :team and user_id = :user", team=team["id"], user=user["id"]
    )
    if role is None:
        db.execute(
            "delete from team_member where entity_id = :team and user_id = :user",
            {"team": team["id"], "user": user["id"]},
        )
    else:
        db.execute(
            """
            insert into team_member (entity_id, user_id, role) values (:team, :user, :role)
                on conflict (entity_id, user_id) do update set role = excluded.role
            """,
            {"team": team["id"], "user": user["id"], "role": role},
        )
        organization = db.row("select * from organization where id = :id", id=team["organization_id"])
        if _role_in(db, organization["id"], user["id"]) is None:
            _set_member(db, viewer, organization, user, "member")
    if before != role:
        activity_log.record(db, viewer, "member", team["name"], user["username"], before, role)


def needs_admin(db: Connection, viewer: Viewer, name: str) -> Row:
    """A team whose members the viewer may change. Raises NotFound or Forbidden."""
    return access.entity(db, viewer, name, Role.ADMIN)
