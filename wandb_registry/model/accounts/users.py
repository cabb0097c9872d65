"""Users and their keys."""

import hashlib
import hmac
import secrets
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import BadInput, Conflict, KeyEnded, NotFound, NotSignedIn
from wandb_registry.model import activity_log, names
from wandb_registry.model.access import Viewer

Row = dict[str, Any]
SHORTEST_KEY = 40  # the SDK refuses shorter ones
LOGIN_TOKEN_SECONDS = 3600
HINT = 4  # characters of a key that lists show
OPERATOR = Viewer(0, "command line", "", True)  # whoever can run commands on the store's folder

SET_ADMIN = "set admin"
NOTED_EVERY_SECONDS = 300
NOTE_USE = """
update api_key set used_at = strftime('%Y-%m-%dT%H:%M:%SZ'), used_from = :host where hash = :hash
"""

ACCOUNT_OF_KEY = """
select account.*, api_key.hash, api_key.hint, api_key.last_day, identity.issuer, identity.valid_until,
       api_key.used_at is null or api_key.used_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :age) as is_news
  from api_key
  join account on account.id = api_key.user_id
  left join identity on identity.user_id = account.id
 where api_key.hash = :hash and account.deleted_at is null
"""

ACCOUNT_OF_SESSION = """
select account.*
  from account
  join user on user.id = account.id
 where account.id = :id and account.deleted_at is null and user.sessions_since < :since
   and not exists (select 1 from identity where user_id = account.id and valid_until < :now)
"""

REMOVE_USER = (
    "delete from api_key where user_id = :user",
    "delete from login_token where user_id = :user",
    "delete from organization_member where user_id = :user",
    "delete from team_member where user_id = :user",
    "delete from project_member where user_id = :user",
    "update identity set refresh_token = null where user_id = :user",
    "update user set deleted_at = strftime('%Y-%m-%dT%H:%M:%SZ') where id = :user",
)


# ---- keys ----


def sign_in(db: Connection, key: str) -> Viewer:
    """The account of an API key. Raises NotSignedIn if there is none, KeyEnded if its last day is over."""
    return use_key(db, key)[0]


def use_key(db: Connection | Database, key: str) -> tuple[Viewer, bool]:
    """The account of an API key, and whether the key's last use was noted so long ago that this one is worth a write.

    Raises as `sign_in`.
    """
    account = _of_key(db, key)
    if account is None:
        raise NotSignedIn("No account of this registry has this API key. Check WANDB_API_KEY and WANDB_BASE_URL.")
    if has_ended(account):
        raise KeyEnded(
            f"The API key {account['hint']}… of '{account['username']}' worked until {account['last_day']}. "
            f"Make a new one in the settings, or ask an admin: 'wandb-registry user key {account['username']}'."
        )
    if account["valid_until"] is not None and account["valid_until"] < time.time():
        raise NotSignedIn(
            f"'{account['username']}' hasn't signed in at {account['issuer']} for too long, so its API keys wait. "
            "Sign in on this registry's page once, and they work again."
        )
    return replace(as_viewer(account), until=_end_of(account["last_day"])), bool(account["is_news"])


def _end_of(day: str | None) -> int | None:
    """Seconds since 1970 when a day is over, in UTC."""
    if day is None:
        return None
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)).timestamp())


def has_ended(key: Row) -> bool:
    """Whether the last day of a key is over, in UTC."""
    return key["last_day"] is not None and key["last_day"] < _today()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def is_key(db: Connection, key: str) -> bool:
    """Whether any account has this key."""
    return _of_key(db, key) is not None


def _of_key(db: Connection | Database, key: str) -> Row | None:
    hashed = _hash(key)
    account = db.one(ACCOUNT_OF_KEY, hash=hashed, age=f"-{NOTED_EVERY_SECONDS} seconds")
    return account if account and hmac.compare_digest(account["hash"], hashed) else None


def as_viewer(account: Row) -> Viewer:
    return Viewer(account["id"], account["username"], account["default_entity"], bool(account["admin"]))


def viewer_since(db: Connection, user_id: int, since: int) -> Viewer | None:
    """The account of a session that began at `since` (ns since 1970); None if either has ended."""
    account = db.one(ACCOUNT_OF_SESSION, id=user_id, since=since, now=int(time.time()))
    return as_viewer(account) if account else None


def new_key() -> str:
    return secrets.token_hex(20)


def add_key(db: Connection, user_id: int, key: str, description: str | None = None, last_day: str | None = None) -> Row:
    """Adds an API key, of which only the hash is stored. Raises BadInput if malformed, Conflict if taken.

    `last_day`, as 2027-03-31, is the last one on which it works, in UTC.
    """
    if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput(
            f"An API key has at least {SHORTEST_KEY} printable characters and no space; this one has {len(key)}."
        )
    if db.one("select 1 from api_key where hash = :hash", hash=_hash(key)):
        raise Conflict("This API key is in use already.")
    return db.row(
        """
        insert into api_key (user_id, hash, hint, description, last_day)
        values (:user, :hash, :hint, :description, :last_day)
        returning *
        """,
        user=user_id,
        hash=_hash(key),
        hint=key[:HINT],
        description=description,
        last_day=_day_to_come(last_day) if last_day else None,
    )


def _day_to_come(text: str) -> str:
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadInput(f"'{text}' is not a day. Write it as {_today()}.") from None
    if day < _today():
        raise BadInput(f"A key can't work until {day}: that day is over. Leave the day out for a key without an end.")
    return day


def revoke_key(db: Connection, user: Row, start: str) -> str:
    """Removes the key that `start` names: its first HINT characters, or all. Returns the hint. Raises BadInput."""
    keys = [key for key in keys_of(db, user["id"]) if start == key["hint"] or _hash(start) == key["hash"]]
    if len(keys) != 1:
        raise BadInput(
            f"'{user['username']}' has {len(keys)} keys that '{start[:HINT]}…' may mean. "
            f"Name the first {HINT} characters of one, as 'wandb-registry user list' shows them, or all of it."
        )
    end_key(db, OPERATOR, keys[0])
    return keys[0]["hint"]


def key_by_id(db: Connection, number: int) -> Row | None:
    return db.one("select * from api_key where id = :id", id=number)


def end_key(db: Connection, viewer: Viewer, key: Row) -> None:
    """Removes a key and ends the sessions of its account. The caller has checked that the viewer may."""
    user = by_id(db, key["user_id"])
    db.execute("delete from api_key where id = :id", {"id": key["id"]})
    end_sessions(db, user["id"])
    activity_log.record(db, viewer, "revoke key", user["username"], f"{key['hint']}…", None, None)


def end_sessions(db: Connection, user_id: int) -> None:
    """Ends all sessions of an account, and what could still begin one."""
    db.execute("delete from login_token where user_id = :user", {"user": user_id})
    db.execute("update user set sessions_since = :now where id = :user", {"now": time.time_ns(), "user": user_id})


def note_use(db: Connection, key: str, host: str | None) -> None:
    """Records when a key was used, and from where."""
    db.execute(NOTE_USE, {"hash": _hash(key), "host": host})


def new_login_token(db: Connection, user_id: int, until: int | None = None) -> str:
    """A token that signs this account in once, within the hour. What it begins ends at `until`, seconds since 1970."""
    token = secrets.token_urlsafe(32) + (f".{until}" if until else "")
    db.execute("delete from login_token where expires_at < :now", {"now": int(time.time())})
    db.execute(
        "insert into login_token (hash, user_id, expires_at) values (:hash, :user, :expires)",
        {"hash": _hash(token), "user": user_id, "expires": int(time.time()) + LOGIN_TOKEN_SECONDS},
    )
    return token


def use_login_token(db: Connection, token: str) -> Viewer | None:
    """The account that a login token signs in, which uses it up; None if it is unknown, used or expired."""
    spent = db.one(
        "delete from login_token where hash = :hash and expires_at >= :now returning user_id",
        hash=_hash(token),
        now=int(time.time()),
    )
    viewer = viewer_since(db, spent["user_id"], time.time_ns()) if spent else None
    until = token.partition(".")[2]  # as `new_login_token` wrote it: the hash is that of the whole token
    return replace(viewer, until=int(until)) if viewer and until else viewer


def end_session(db: Connection, session: str, seconds: int) -> bool:
    """Ends what works once or until it is ended, and remembers that for `seconds`: the longest that it is valid.

    False: it had ended before.
    """
    now = int(time.time())
    db.execute("delete from ended_session where expires_at < :now", {"now": now})
    ended = db.one(
        "insert into ended_session (hash, expires_at) values (:hash, :expires) on conflict do nothing returning hash",
        hash=_hash(session),
        expires=now + seconds,
    )
    return ended is not None


def is_ended(db: Connection, session: str) -> bool:
    """Whether somebody has signed out of this session."""
    return db.one("select 1 from ended_session where hash = :hash", hash=_hash(session)) is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# ---- users ----


def add_user(
    db: Connection,
    viewer: Viewer,
    name: str,
    key: str | None,
    admin: bool = False,
    service: bool = False,
    email: str | None = None,
) -> Row:
    """Makes a user with a personal entity of the same name. Raises Conflict if the name is taken.

    A service account is for a machine, not a person.
    """
    entity = add_entity(db, name, "user", None)
    user = db.row(
        "insert into user (entity_id, email, admin, service) values (:entity, :email, :admin, :service) returning id",
        entity=entity["id"],
        email=email or f"{name}@localhost",
        admin=int(admin),
        service=int(service),
    )
    if key is not None:
        add_key(db, user["id"], key)
    activity_log.record(
        db, viewer, "add user", name, None, None, "service account" if service else "admin" if admin else None
    )
    return db.row("select * from account where id = :id", id=user["id"])


def remove_user(db: Connection, viewer: Viewer, name: str) -> None:
    """Removes the keys and memberships of an account and marks it as deleted. Raises Conflict for the operator's.

    Its name stays taken, because runs and versions name it.
    """
    user = user_named(db, name)
    if user["id"] == operator(db):
        raise Conflict(f"'{name}' runs this registry, by the key in the store's file 'api-key', and can't be removed.")
    for statement in REMOVE_USER:
        db.execute(statement, {"user": user["id"]})
    activity_log.record(db, viewer, "remove user", name, None, None, None)


def restore_user(db: Connection, viewer: Viewer, user_id: int) -> None:
    """Brings back an account that was removed. Its keys and memberships stay gone, and sessions of before ended."""
    db.execute("update user set deleted_at = null where id = :id", {"id": user_id})
    end_sessions(db, user_id)
    activity_log.record(db, viewer, "restore user", by_id(db, user_id)["username"], None, None, None)


def set_admin(db: Connection, viewer: Viewer, user: Row, admin: bool) -> None:
    """Makes an account an admin of the registry, or no more. Raises Conflict for the operator's."""
    if user["id"] == operator(db):
        raise Conflict(f"'{user['username']}' runs this registry, and stays its admin.")
    if bool(user["admin"]) != admin:
        db.execute("update user set admin = :admin where id = :id", {"admin": int(admin), "id": user["id"]})
        before, after = ("admin", None) if user["admin"] else (None, "admin")
        activity_log.record(db, viewer, SET_ADMIN, user["username"], None, before, after)


def operator(db: Connection) -> int:
    """The id of the account of the person who runs the registry: the first of the store."""
    return db.value("select min(id) from user")


def user_named(db: Connection, name: str) -> Row:
    user = db.one("select * from account where username = :name and deleted_at is null", name=name)
    if user is None:
        raise NotFound(f"There is no user '{name}'. 'wandb-registry user list' names them.")
    return user


def by_id(db: Connection, user_id: int) -> Row:
    return db.row("select * from account where id = :id", id=user_id)


def of_entity(db: Connection, entity_id: int) -> Row | None:
    """The user whose personal entity this is."""
    return db.one("select * from account where entity_id = :entity", entity=entity_id)


def set_default_entity(db: Connection, user_id: int, entity_id: int) -> None:
    """Sets the entity for those of the user's runs that name none."""
    db.execute("update user set default_entity_id = :entity where id = :id", {"entity": entity_id, "id": user_id})


def keys_of(db: Connection, user_id: int) -> list[Row]:
    return db.all("select * from api_key where user_id = :user order by id", user=user_id)


def search(db: Connection, viewer: Viewer, text: str) -> list[Row]:
    """Users of exactly this name or e-mail address who share an organization with the viewer; an admin sees all."""
    return [user for user in db.all(SEARCH, text=text) if viewer.admin or _share_organization(db, viewer, user)]


SEARCH = "select * from account where deleted_at is null and :text in (username, email) order by username"


def _share_organization(db: Connection, viewer: Viewer, user: Row) -> bool:
    if user["id"] == viewer.user_id:
        return True
    return bool(
        db.value(
            """
        select exists (select 1
                         from organization_member mine
                         join organization_member theirs on theirs.organization_id = mine.organization_id
                        where mine.user_id = :me and theirs.user_id = :them)
        """,
            me=viewer.user_id,
            them=user["id"],
        )
    )


def users(db: Connection) -> list[Row]:
    return db.all("select * from account where deleted_at is null order by username")


def stored_bytes(db: Connection, entity_id: int) -> int:
    """The bytes of all artifact contents of an entity, each content counted once."""
    return db.value("select coalesce(sum(size), 0) from holding where entity_id = :entity", entity=entity_id)


def add_entity(db: Connection, name: str, kind: str, organization_id: int | None) -> Row:
    """Makes the entity of a user, team or organization, which has its name for good. Raises Conflict if it is taken."""
    if db.one("select 1 from entity where name = :name", name=names.entity(name)):
        raise Conflict(f"The name '{name}' is taken by another user, team or organization, or was once.")
    return db.row(
        "insert into entity (name, kind, organization_id) values (:name, :kind, :organization) returning *",
        name=name,
        kind=kind,
        organization=organization_id,
    )
