"""The activity log: who did what to a version, a link, an alias or a member, and when.

An event is written in the same transaction as the change, and never altered. Each event's hash covers that of the one
before, and the last hash is sealed with the store's secret.
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
returning id
"""
LAST = """
select strftime('%Y-%m-%dT%H:%M:%fZ') as now, last.id, last.hash, event_end.seal
  from (select 1) as one
  left join (select id, hash from event order by id desc limit 1) as last on 1 = 1
  left join event_end on 1 = 1
"""
HAS_HASH = "select 1 from event where hash = :hash"
SEAL_END = """
insert into event_end (one, seal) values (1, :seal) on conflict (one) do update set seal = excluded.seal
"""
PATH = """
select entity.name || '/' || project.name || '/' || collection.name
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where collection.id = :collection
"""
ORIGIN = """
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
KNOWN = f"""
select last.*, origin.*, ({PATH}) as path
  from ({LAST}) as last
  left join ({ORIGIN}) as origin on 1 = 1
"""


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
    """Records a change in a collection, with the version that it is about and the run that made that."""
    known = db.row(KNOWN, collection=collection_id, artifact=artifact_id)
    _insert(db, viewer, action, known["path"], collection_id, name, before, after, known)


def record(
    db: Connection, viewer: Viewer, action: str, subject: str, name: str | None, before: str | None, after: str | None
) -> None:
    """Records a change of a registry, a project, a team or an account."""
    _insert(db, viewer, action, subject, None, name, before, after, db.row(KNOWN, collection=None, artifact=None))


def _insert(
    db: Connection,
    viewer: Viewer,
    action: str,
    subject: str,
    collection_id: int | None,
    name: str | None,
    before: str | None,
    after: str | None,
    known: Row,
) -> None:
    event = {key: known[key] for key in ("source", "run", "git_commit")} | {
        "at": known["now"],
        "who": viewer.username,
        "action": action,
        "subject": subject,
        "collection_id": collection_id,
        "name": name,
        "before": before,
        "after": after,
    }
    hash = hash_of(known["hash"] or FIRST, event)
    number = db.row(INSERT, **event, hash=hash)["id"]
    if _is_sealed(db, known):  # a new seal on a log that isn't whole would hide that events were removed
        _seal(db, number, hash)


def head(db: Connection) -> str:
    """The hash of the last event, which stands for all events so far."""
    return db.row(LAST)["hash"] or FIRST


def seal_end(db: Connection) -> None:
    """Seals the last event, so that `faults` sees if events are removed from the end."""
    last = db.row(LAST)
    _seal(db, last["id"] or 0, last["hash"] or FIRST)


def _seal(db: Connection, number: int, hash: str) -> None:
    db.execute(SEAL_END, {"seal": db.seal(f"{number} {hash}")})


def _is_sealed(db: Connection, last: Row) -> bool:
    return last["seal"] == db.seal(f"{last['id'] or 0} {last['hash'] or FIRST}")


def hash_of(previous: str, event: Row) -> str:
    """The hash of an event that follows the one with the hash `previous`."""
    return hashlib.sha256(json.dumps([previous, *(event[key] for key in HASHED)]).encode()).hexdigest()


# ---- reading ----

NAMED = """
select *
  from event
 where :name in (subject, name)
    or substr(subject, length(subject) - length(:name)) = '/' || :name
    or substr(subject, length(subject) - length(:name) - 15) = '/wandb-registry-' || :name
    or collection_id in (select id from collection where name = :name)
 order by id
"""
COLLECTIONS_AT = """
select collection_id as id, id as last, subject as path
  from event
 where id in (select max(id) from event where at <= :time group by collection_id)
   and collection_id in (select collection_id
                           from event
                          where subject = :name or substr(subject, length(subject) - length(:name)) = '/' || :name
                          union all
                         select collection.id
                           from collection
                           join project on project.id = collection.project_id
                           join entity on entity.id = project.entity_id
                          where :name in (collection.name,
                                          entity.name || '/' || project.name || '/' || collection.name))
 order by path
"""
IN_COLLECTION = """
select id, at, who, action, name, before, after, source, run, git_commit, hash
  from event
 where collection_id = :collection and id > :after
 order by id
 limit :limit
"""
OF_SUBJECT = """
select *
  from event
 where subject = :subject
    or subject in (select before from event where subject = :subject and action = 'move run')
 order by id desc
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
    """The events of a collection, registry or member, by a name or address that it has or had. Raises NotFound."""
    events = db.all(NAMED, name=name)
    if not events:
        raise NotFound(f"The log tells of nothing named '{name}'.")
    return events


def in_collection(db: Connection, collection_id: int, after: int, limit: int) -> list[Row]:
    """The events of a collection after the one with the id `after`, oldest first."""
    return db.all(IN_COLLECTION, collection=collection_id, after=after, limit=limit)


def of_subject(db: Connection, subject: str) -> list[Row]:
    """The events of a run, a registry or a team, the newest first, by its name now; of a run, also by its last one."""
    return db.all(OF_SUBJECT, subject=subject)


def by_id(db: Connection, number: int) -> Row:
    """An event. Raises NotFound."""
    event = db.one("select * from event where id = :id", id=number)
    if event is None:
        raise NotFound(f"The log has no event {number}.")
    return event


def last_id(db: Connection) -> int:
    """The number of the newest event."""
    return db.value("select max(id) from event") or 0


def aliases_at(db: Connection, name: str, time: str) -> list[Row]:
    """The version of each alias at a time, in all collections of this name or address, present or past."""
    named(db, name)
    return [
        {"collection": collection["path"], "alias": row["name"], "version": row["after"], "at": time}
        for collection in db.all(COLLECTIONS_AT, name=name, time=time)
        for row in db.all(ALIASES_AT, collection=collection["id"], time=time)
    ]


# ---- proof ----

CURRENT_ALIASES = """
select alias.collection_id, alias.name, 'v' || membership.version_index as version
  from alias
  join membership on membership.id = alias.membership_id
"""
UNLOGGED_VERSIONS = """
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
    """Signs that events were changed or removed, each as a sentence. A log that can be trusted has none.

    Somebody who can write the whole store and its secret, or restores an older store, leaves no sign in it. `known`
    helps against that: the hash of an event, kept elsewhere, which the log must contain.
    """
    faults, previous, expected = [], FIRST, 1
    logged: dict[tuple[int, str], str] = {}
    for event in db.execute("select * from event order by id"):
        if event["id"] != expected:
            faults.append(f"Activity log: events {expected} to {event['id'] - 1} are missing.")
        elif hash_of(previous, event) != event["hash"]:
            faults.append(f"Activity log: event {event['id']} was changed.")
        previous, expected = event["hash"], event["id"] + 1
        if event["action"] == "alias" and event["collection_id"]:
            logged[event["collection_id"], event["name"]] = event["after"]
    last = db.value("select seq from sqlite_sequence where name = 'event'") or 0
    if expected <= last:
        faults.append(f"Activity log: events {expected} to {last} are missing.")
    if known not in (None, FIRST) and not db.value(HAS_HASH, hash=known):
        faults.append(
            f"Activity log: it holds no event {known}. It was made anew by hand, or the store is an older one."
        )
    if not _is_sealed(db, db.row(LAST)):
        faults.append(
            f"Activity log: it doesn't end with event {expected - 1} as it is here. Events were changed or removed by "
            "hand, or the store's file 'secret' is another one."
        )
    faults += [
        f"{row['path']}:{row['version']}: the log doesn't tell where it comes from."
        for row in db.all(UNLOGGED_VERSIONS)
    ]
    current = {(row["collection_id"], row["name"]): row["version"] for row in db.all(CURRENT_ALIASES)}
    for key in sorted(logged.keys() | current.keys()):
        if logged.get(key) != current.get(key):
            path = db.value(PATH, collection=key[0]) or f"collection {key[0]}"
            faults.append(
                f"{path}: alias '{key[1]}' is on {current.get(key) or 'nothing'}, "
                f"and the log says {logged.get(key) or 'nothing'}."
            )
    return faults
