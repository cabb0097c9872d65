"""Who is in this registry: accounts with their keys and teams, teams with their members, as the settings list them."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.access import Viewer

Row = dict[str, Any]

ACCOUNTS = """
select account.*, user.service, identity.issuer, identity.signed_in,
       (select count(*) from api_key where user_id = account.id) as keys,
       (select max(used_at) from api_key where user_id = account.id) as used_at,
       (select json_group_array(name)
          from (select entity.name
                  from team_member
                  join entity on entity.id = team_member.entity_id
                 where team_member.user_id = account.id
                 order by entity.name) as team) as team_names
  from account
  join user on user.id = account.id
  left join identity on identity.user_id = account.id
 where account.deleted_at is null
 order by account.username
"""
KEYS = """
select api_key.*, account.username, user.service,
       (cast(strftime('%s', 'now') as integer)
         - cast(strftime('%s', coalesce(api_key.used_at, api_key.created_at)) as integer)) / 86400 as unused_days
  from api_key
  join account on account.id = api_key.user_id
  join user on user.id = account.id
 where account.deleted_at is null
   and api_key.user_id in (select value from json_each(:users))
 order by account.username, api_key.id
"""
TEAMS = "select * from entity where kind = 'team' order by name"
ROLE = "select role from team_member where entity_id = :team and user_id = :user"
MEMBERS = """
select account.id, account.username, team_member.role, user.service
  from team_member
  join account on account.id = team_member.user_id
  join user on user.id = account.id
 where team_member.entity_id = :team and account.deleted_at is null
 order by account.username
"""
MODEL_PROJECTS = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where project.name = 'model-registry' or project.name like 'wandb-registry-%'
    or exists (select 1 from protected_alias where project_id = project.id)
 order by entity.name, project.name
"""


def accounts(db: Connection) -> list[Row]:
    """All accounts by name, each with `service`, `keys`, `used_at`, `teams`, and `issuer` if a provider signs it in."""
    return [row | {"teams": json.loads(row["team_names"])} for row in db.all(ACCOUNTS)]


def keys(db: Connection, user_ids: list[int]) -> list[Row]:
    """The keys of these accounts, each with `username` and `unused_days`."""
    return db.all(KEYS, users=json.dumps(user_ids))


def teams(db: Connection, viewer: Viewer) -> list[Row]:
    """The teams that the viewer is in, or all for an admin of the registry, each with its `members`."""
    rows = [row | {"members": db.all(MEMBERS, team=row["id"])} for row in db.all(TEAMS)]
    return [row for row in rows if viewer.admin or any(one["id"] == viewer.user_id for one in row["members"])]


def model_projects(db: Connection) -> list[Row]:
    """The projects that hold registered models, and all others with protected aliases."""
    return db.all(MODEL_PROJECTS)


def role_in_team(db: Connection, team_id: int, user_id: int) -> str | None:
    return db.value(ROLE, team=team_id, user=user_id)
