"""Accounts of people whom a provider signs in: made at the first time, up to date at each, ended by its word."""

import shlex
import time
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, IdentityRefused
from wandb_registry.model import activity_log, names
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import roster, teams, users
from wandb_registry.openid.people import Person
from wandb_registry.openid.settings import EVERYBODY, ROLES, Access, Settings

Row = dict[str, Any]
PROVIDER = Viewer(0, "sign-in provider", "", True)  # who changes accounts, in the activity log
MACHINE_SIGN_IN = "sign in"

MACHINE_SIGN_INS = """
select subject as name, at, after as who
  from event
 where id in (select max(id) from event where action = :action group by subject)
"""
ROW = """
select identity.*, account.username, account.deleted_at
  from identity
  join account on account.id = identity.user_id
 where identity.issuer = :issuer and identity.subject = :subject
"""
LINK = """
insert into identity (issuer, subject, user_id) values (:issuer, :subject, :user)
"""
NOTE = """
update identity
   set signed_in = strftime('%Y-%m-%dT%H:%M:%SZ'), valid_until = :valid_until, ended = 0,
       refresh_token = :token, asked_at = :now
 where user_id = :user
"""
IS_DUE = """
select 1 from identity
 where issuer = :issuer and refresh_token is not null and asked_at < :before and valid_until > :now
"""
TAKE_DUE = """
update identity
   set asked_at = :now
 where user_id = (
         select user_id
           from identity
          where issuer = :issuer and refresh_token is not null and asked_at < :before and valid_until > :now
          order by asked_at
          limit 1)
returning user_id, issuer, subject, refresh_token
"""
KEEP_TOKEN = """
update identity set refresh_token = :new where user_id = :user and refresh_token = :old returning user_id
"""
ORGANIZATION = "select * from organization where id = :id"
ROLE_IN_ORGANIZATION = """
select role from organization_member where organization_id = :organization and user_id = :user
"""
HAS_TEAM_IN = """
select 1
  from team_member
  join entity on entity.id = team_member.entity_id
 where entity.organization_id = :organization and team_member.user_id = :user
"""


def check(db: Connection, settings: Settings) -> None:
    """Raises NotFound and BadInput if the settings name a team or a service account that isn't there."""
    for name in settings.teams:
        teams.team_named(db, name)
    for machine in settings.machines:
        service_account(db, machine.account)


def service_account(db: Connection, name: str) -> Row:
    """Raises NotFound, and BadInput for the account of a person."""
    user = users.user_named(db, name)
    if not _is_service(db, user):
        raise BadInput(
            f"'{name}' is not a service account, and identity tokens are for those. "
            "'wandb-registry user add NAME --service TEAM' makes one."
        )
    return user


def note_machine(db: Connection, account: Row, who: str) -> None:
    """Records in the activity log that a machine was signed in, and who it is at its issuer."""
    activity_log.record(db, users.as_viewer(account), MACHINE_SIGN_IN, account["username"], None, None, who)


def machine_sign_ins(db: Connection) -> dict[str, Row]:
    """Of each service account that an identity token signed in: `at`, when it did last, and `who` it was."""
    return {row["name"]: row for row in db.all(MACHINE_SIGN_INS, action=MACHINE_SIGN_IN)}


def granted(settings: Settings, person: Person) -> list[Access]:
    """What the person's groups give. Nothing: they don't let the person in."""
    return [rule for rule in settings.access if rule.group == EVERYBODY or rule.group in person.groups]


def sign_in(db: Connection, settings: Settings, person: Person, refresh_token: str | None) -> Viewer:
    """The account of a person with groups that let in, as it is now. `refresh_token` is encrypted, if there is one.

    Raises Conflict and IdentityRefused.
    """
    assert settings.provider
    user, now = _account(db, person), int(time.time())
    update(db, settings, user, person)
    valid_until = now + settings.provider.key_days * 24 * 3600
    db.execute(NOTE, {"user": user["id"], "valid_until": valid_until, "token": refresh_token, "now": now})
    return users.as_viewer(users.by_id(db, user["id"]))


def update(db: Connection, settings: Settings, user: Row, person: Person) -> None:
    """Brings an account up to date with what the provider says of the person.

    In teams that the settings name, the groups decide alone; other memberships stay as they are.
    """
    rules = granted(settings, person)
    for name in settings.teams:
        _set_role(db, teams.team_named(db, name), user, _best_role(rules, name))
    if any(rule.admin for rule in settings.access):
        users.set_admin(db, PROVIDER, user, any(rule.admin for rule in rules))
    if person.email:
        db.execute("update user set email = :email where id = :id", {"email": person.email, "id": user["id"]})


def is_due(db: Connection, issuer: str, before: int) -> bool:
    """Whether the provider was last asked about somebody before this time, in seconds since 1970."""
    return db.one(IS_DUE, issuer=issuer, before=before, now=int(time.time())) is not None


def take_due(db: Connection, issuer: str, before: int) -> Row | None:
    """Somebody to ask the provider about: the caller alone, since many providers take a refresh token once."""
    return db.one(TAKE_DUE, issuer=issuer, before=before, now=int(time.time()))


def keep_token(db: Connection, asked: Row, new: str | None) -> bool:
    """Keeps what the provider gave for the next time. False: the person has signed in anew meanwhile."""
    return db.one(KEEP_TOKEN, user=asked["user_id"], old=asked["refresh_token"], new=new) is not None


def suspend(db: Connection, user_id: int, with_keys: bool) -> None:
    """Ends the sessions of somebody for whom the provider doesn't vouch any more. Keys wait for the next sign-in."""
    users.end_sessions(db, user_id)
    if with_keys:
        db.execute(
            "update identity set valid_until = :past where user_id = :user",
            {"past": int(time.time()) - 1, "user": user_id},
        )


def end(db: Connection, person: Person) -> None:
    """Ends the account of a person whom the provider's groups let in no more, if there is one."""
    row = _row(db, person)
    if row and row["deleted_at"] is None:
        users.remove_user(db, PROVIDER, row["username"])
        db.execute("update identity set ended = 1 where user_id = :user", {"user": row["user_id"]})


def end_sessions(db: Connection, issuer: str, subject: str) -> None:
    """Ends the sessions of somebody who signed out at the provider."""
    row = db.one(ROW, issuer=issuer, subject=subject)
    if row:
        users.end_sessions(db, row["user_id"])


def link(db: Connection, name: str, issuer: str, subject: str) -> None:
    """Lets a provider's subject sign in as an account that was made here. Raises Conflict and NotFound."""
    user = users.user_named(db, name)
    if user["id"] == users.operator(db):
        raise Conflict(f"'{name}' runs this registry, and signs in by the key in the store's file 'api-key' alone.")
    taken = db.one(ROW, issuer=issuer, subject=subject)
    if taken:
        raise Conflict(f"'{subject}' of {issuer} signs in as '{taken['username']}'.")
    if of_account(db, user["id"]):
        raise Conflict(f"'{name}' is signed in by a provider already.")
    if _is_service(db, user):
        raise Conflict(f"'{name}' is a service account: no person signs in as one.")
    db.execute(LINK, {"issuer": issuer, "subject": subject, "user": user["id"]})


def of_account(db: Connection, user_id: int) -> Row | None:
    """By which issuer and subject an account signs in; None if by keys alone."""
    return db.one("select * from identity where user_id = :user", user=user_id)


def _is_service(db: Connection, user: Row) -> bool:
    return bool(db.value("select service from user where id = :id", id=user["id"]))


def _row(db: Connection, person: Person) -> Row | None:
    return db.one(ROW, issuer=person.issuer, subject=person.subject)


def _account(db: Connection, person: Person) -> Row:
    row = _row(db, person)
    if row is None:
        return _new_account(db, person)
    if row["deleted_at"] and not row["ended"]:
        raise IdentityRefused(f"An admin of this registry ended the account '{row['username']}'.")
    if row["deleted_at"]:
        users.restore_user(db, PROVIDER, row["user_id"])
    return users.by_id(db, row["user_id"])


def _new_account(db: Connection, person: Person) -> Row:
    name = names.slug(person.username.partition("@")[0][: names.LONGEST], "")
    if not name:
        raise IdentityRefused(f"'{person.username[:80]}' can't be the name of an account: it has no plain letter.")
    if db.one("select 1 from entity where name = :name", name=name):
        raise Conflict(
            f"The name '{name}' is taken here, by an account that isn't yours at {person.issuer}. "
            f"If it is you, whoever runs this registry types: wandb-registry user link {name} "
            f"--issuer {shlex.quote(person.issuer)} --subject {shlex.quote(person.subject)}"
        )
    user = users.add_user(db, PROVIDER, name, None, email=person.email)
    db.execute(LINK, {"issuer": person.issuer, "subject": person.subject, "user": user["id"]})
    return user


def _best_role(rules: list[Access], team: str) -> str | None:
    return min((rule.role for rule in rules if rule.team == team), key=ROLES.index, default=None)


def _set_role(db: Connection, team: Row, user: Row, role: str | None) -> None:
    """Sets a role in a team. With the last team of an organization a member leaves that too; its admin stays."""
    before = roster.role_in_team(db, team["id"], user["id"])
    if before == role:
        return
    teams.set_team_role(db, PROVIDER, team, user, role)
    where = {"organization": team["organization_id"], "user": user["id"]}
    if role is None and db.value(ROLE_IN_ORGANIZATION, **where) != "admin" and not db.one(HAS_TEAM_IN, **where):
        owner = db.row(ORGANIZATION, id=team["organization_id"])
        teams.remove_organization_member(db, PROVIDER, owner["name"], user["username"])
