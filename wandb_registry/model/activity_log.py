"""The activity log: who did what to a version, a link, an alias or a member, and when.

An event is written in the transaction that does the thing, and never changed. Each holds the hash of the one before,
and the last one is sealed with the store's secret.
"""

import hashlib
import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import NotFound
from wandb_registry.model.access import Viewer

Row = dict[str, Any]
FIRST = "0" * 64
HASHED = ("at", "who", "action", "subject", "collection_id", "name", "before", "after", "source", "run", "git_commit")

INSERT = """
insert into event (at, who, action, subject, collection_id, name, before, after, source, run, git_commit, hash)
values (:at, :who, :action, :subject, :collection_id, :name, :before, :after, :source, :run, :git_commit, :hash)
"""
LAST = "select id, hash from event order by id desc limit 1"
ENDS_SO = "select 1 from event_end where seal = seal(:end)"
HOLDS = "select 1 from event where hash = :hash"
SEAL_END = """
insert into event_end (one, seal) values (1, seal(:end)) on conflict do update set seal = excluded.seal
"""
PATH = """
select entity.name || '/' || project.name || '/' || collection.name
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where collection.id = :collection
"""
BEHIND = """
select entity.name || '/' || project.name || '/' || collection.name || ':v' || artifact.version_index as source,
       run_entity.name || '/' || run_project.name || '/' || run.name as run,
       run.git_commit
  from artifact
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
  left join run on run.id = artifact.run_id
  left join project run_project on run_project.id = run.project_id
  left join entity run_entity on run_entity.id = run_project.entity_id
 where artifact.id = :artifact
"""
NOTHING = {"source": None, "run": None, "git_commit": None}


def record_in_collection(
    db: Connection,
    viewer: Viewer,
    action: str,
    collection_id: int,
    name: str | None = None,
    before: str | None = None,
    after: str | None = None,
    artifact_id: int | None = None,
) -> None:
    """Records something that was done in a collection, with the version behind it."""
    subject = db.value(PATH, collection=collection_id)
    behind = db.row(BEHIND, artifact=artifact_id) if artifact_id else NOTHING
    _insert(db, viewer, action, subject, collection_id, name, before, after, behind)


def record(
    db: Connection, viewer: Viewer, action: str, subject: str, name: str | None, before: str | None, after: str | None
) -> None:
    """Records something that was done to a registry, a project or a team."""
    _insert(db, viewer, action, subject, None, name, before, after, NOTHING)


def _insert(
    db: Connection,
    viewer: Viewer,
    action: str,
    subject: str,
    collection_id: int | None,
    name: str | None,
    before: str | None,
    after: str | None,
    behind: Row,
) -> None:
    event = behind | {
        "at": db.value("select strftime('%Y-%m-%dT%H:%M:%fZ') as now"),
        "who": viewer.username,
        "action": action,
        "subject": subject,
        "collection_id": collection_id,
        "name": name,
        "before": before,
        "after": after,
    }
    whole = _is_sealed(db)
    db.execute(INSERT, event | {"hash": hash_of(head(db), event)})
    if whole:  # else a new seal would hide that events were taken out before
        seal_end(db)


def head(db: Connection) -> str:
    """The hash of the last event, which stands for all events so far."""
    last = db.one(LAST)
    return last["hash"] if last else FIRST


def seal_end(db: Connection) -> None:
    """Seals the log as it is: what is taken from its end later shows."""
    db.execute(SEAL_END, {"end": _end(db)})


def _is_sealed(db: Connection) -> bool:
    return bool(db.value(ENDS_SO, end=_end(db)))


def _end(db: Connection) -> str:
    last = db.one(LAST)
    return f"{last['id']} {last['hash']}" if last else f"0 {FIRST}"


def hash_of(previous: str, event: Row) -> str:
    """The hash that an event has behind this one."""
    return hashlib.sha256(json.dumps([previous, *(event[key] for key in HASHED)]).encode()).hexdigest()


# ---- reading ----

NAMED = """
select *
  from event
 where :name in (subject, name)
    or substr(subject, -length(:name) - 1) = '/' || :name
    or substr(subject, -length(:name) - 16) = '/wandb-registry-' || :name
    or collection_id in (select id from collection where name = :name)
 order by id
"""
COLLECTIONS_AT = """
select collection_id as id, max(id) as last, subject as path
  from event
 where at <= :time
   and collection_id in (select collection_id
                           from event
                          where subject = :name or substr(subject, -length(:name) - 1) = '/' || :name
                          union all
                         select collection.id
                           from collection
                           join project on project.id = collection.project_id
                           join entity on entity.id = project.entity_id
                          where :name in (collection.name,
                                          entity.name || '/' || project.name || '/' || collection.name))
 group by collection_id
 order by path
"""
IN_COLLECTION = """
select id, at, who, action, name, before, after, source, run, git_commit
  from event
 where collection_id = :collection and id > :after
 order by id
 limit :limit
"""
ALIASES_AT = """
select name, after
  from event
 where id in (select max(id)
                from event
               where action = 'alias' and collection_id = :collection and at <= :time
               group by name)
   and after is not null
 order by name
"""


def named(db: Connection, name: str) -> list[Row]:
    """What happened to a collection, registry or member, by its name or its address, also under earlier names."""
    events = db.all(NAMED, name=name)
    if not events:
        raise NotFound(f"The log tells of nothing named '{name}'.")
    return events


def in_collection(db: Connection, collection_id: int, after: int, limit: int) -> list[Row]:
    """What happened in a collection since the event `after`, oldest first."""
    return db.all(IN_COLLECTION, collection=collection_id, after=after, limit=limit)


def aliases_at(db: Connection, name: str, time: str) -> list[Row]:
    """Which version held each alias then, in every collection that has or had this name or address."""
    named(db, name)
    return [
        {"collection": collection["path"], "alias": row["name"], "version": row["after"], "at": time}
        for collection in db.all(COLLECTIONS_AT, name=name, time=time)
        for row in db.all(ALIASES_AT, collection=collection["id"], time=time)
    ]


# ---- proof ----

HELD_NOW = """
select alias.collection_id, alias.name, 'v' || membership.version_index as version
  from alias
  join membership on membership.id = alias.membership_id
"""
UNTOLD = """
select entity.name || '/' || project.name || '/' || collection.name as path, 'v' || membership.version_index as version
  from membership
  join collection on collection.id = membership.collection_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where substr(membership.created_at, 1, 19) > coalesce((select substr(at, 1, 19) from event order by id limit 1), '')
   and (membership.collection_id, 'v' || membership.version_index) not in (
         select collection_id, name
           from event
          where action in ('log', 'link') and collection_id is not null and name is not null)
"""


def faults(db: Connection, known: str | None = None) -> list[str]:
    """What shows that events were changed or removed: nothing, in a log that can be trusted.

    Whoever can write all of a store, its secret too, or brings back a whole older one, leaves no trace in it: the hash
    of an event that is `known` from elsewhere shows that.
    """
    faults, previous, expected = [], FIRST, 1
    held: dict[tuple[int, str], str] = {}
    for event in db.execute("select * from event order by id"):
        if event["id"] != expected:
            faults.append(f"Activity log: events {expected} to {event['id'] - 1} are missing.")
        elif hash_of(previous, event) != event["hash"]:
            faults.append(f"Activity log: event {event['id']} was changed.")
        previous, expected = event["hash"], event["id"] + 1
        if event["action"] == "alias" and event["collection_id"]:
            held[event["collection_id"], event["name"]] = event["after"]
    last = db.value("select seq from sqlite_sequence where name = 'event'") or 0
    if expected <= last:
        faults.append(f"Activity log: events {expected} to {last} are missing.")
    if known not in (None, FIRST) and not db.value(HOLDS, hash=known):
        faults.append(
            f"Activity log: it holds no event {known}. It was made anew by hand, or the store is an older one."
        )
    if not _is_sealed(db):
        faults.append(
            f"Activity log: it doesn't end with event {expected - 1} as it is here. Events were changed or removed by "
            "hand, or the store's file 'secret' is another one."
        )
    faults += [f"{row['path']}:{row['version']}: the log doesn't tell where it comes from." for row in db.all(UNTOLD)]
    now = {(row["collection_id"], row["name"]): row["version"] for row in db.all(HELD_NOW)}
    for key in sorted(held.keys() | now.keys()):
        if held.get(key) != now.get(key):
            path = db.value(PATH, collection=key[0]) or f"collection {key[0]}"
            faults.append(
                f"{path}: alias '{key[1]}' is on {now.get(key) or 'nothing'}, "
                f"and the log says {held.get(key) or 'nothing'}."
            )
    return faults
