"""The lists that pages show: projects, runs, events, registered models, versions and collections."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.artifacts import dvc_md5

Row = dict[str, Any]
CONTENT_ALIASES = f"{dvc_md5.CONTENT_ALIAS_PREFIX}%"  # their pattern for SQL's `like`

PROJECTS = """
select project.*, entity.name as entity_name,
       (select count(*) from run where run.project_id = project.id) as runs,
       (select max(run.id) from run where run.project_id = project.id) as last_run_id,
       (select count(*) from collection where collection.project_id = project.id) as collections
  from project
  join entity on entity.id = project.entity_id
 where project.entity_id in (select value from json_each(:entities))
 order by last_run_id desc nulls last, project.id desc
"""
RECENT_RUNS = """
select run.*, project.name as project_name, entity.name as entity_name
  from run
  join project on project.id = run.project_id
  join entity on entity.id = project.entity_id
 where run.project_id in (select value from json_each(:projects))
 order by run.id desc
 limit :limit offset :offset
"""
RUN_COUNT = "select count(*) from run where project_id in (select value from json_each(:projects))"
EVENTS = """
select event.*, collection.kind, collection.name as collection_name, project.name as project_name,
       entity.name as entity_name, artifact_type.name as type_name
  from event
  join collection on collection.id = event.collection_id
  join artifact_type on artifact_type.id = collection.type_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
"""
OF_PROJECTS = """
 where collection.project_id in (select value from json_each(:projects))
   and event.action <> 'log'
   and (event.action <> 'alias' or (event.name <> 'latest' and event.name not like :content_aliases))
"""
RECENT_EVENTS = f"{EVENTS}{OF_PROJECTS} order by event.id desc limit :limit offset :offset"
RECENT_EVENT_COUNT = f"""
select count(*)
  from event
  join collection on collection.id = event.collection_id
{OF_PROJECTS}
"""
OF_COLLECTION = """
 where event.collection_id = :collection
   and (event.action <> 'alias' or (event.name <> 'latest' and event.name not like :content_aliases))
"""
COLLECTION_EVENTS = f"{EVENTS}{OF_COLLECTION} order by event.id desc limit :limit offset :offset"
COLLECTION_EVENT_COUNT = f"select count(*) from event {OF_COLLECTION}"


def projects(db: Connection, entity_ids: list[int]) -> list[Row]:
    """All projects of some entities with `runs`, `collections` and `last_run_id`; the one with the newest run first."""
    return db.all(PROJECTS, entities=json.dumps(entity_ids))


def recent_runs(db: Connection, project_ids: list[int], limit: int, offset: int = 0) -> list[Row]:
    return db.all(RECENT_RUNS, projects=json.dumps(project_ids), limit=limit, offset=offset)


def run_count(db: Connection, project_ids: list[int]) -> int:
    return db.value(RUN_COUNT, projects=json.dumps(project_ids))


def recent_events(db: Connection, project_ids: list[int], limit: int, offset: int = 0) -> list[Row]:
    """The newest events of some projects, without those that every logged version causes."""
    given = {"projects": json.dumps(project_ids), "content_aliases": CONTENT_ALIASES}
    return db.all(RECENT_EVENTS, **given, limit=limit, offset=offset)


def recent_event_count(db: Connection, project_ids: list[int]) -> int:
    """How many events `recent_events` has in all."""
    return db.value(RECENT_EVENT_COUNT, projects=json.dumps(project_ids), content_aliases=CONTENT_ALIASES)


def events_of(db: Connection, collection_id: int, limit: int, offset: int = 0) -> list[Row]:
    """A collection's events, newest first, without moves of `latest` and of the contents' aliases."""
    return db.all(
        COLLECTION_EVENTS, collection=collection_id, limit=limit, offset=offset, content_aliases=CONTENT_ALIASES
    )


def event_count(db: Connection, collection_id: int) -> int:
    """How many events `events_of` has in all."""
    return db.value(COLLECTION_EVENT_COUNT, collection=collection_id, content_aliases=CONTENT_ALIASES)


# ---- search ----

RUNS_BY_ID = """
select run.*, project.name as project_name, entity.name as entity_name
  from run
  join project on project.id = run.project_id
  join entity on entity.id = project.entity_id
 where run.id in (select value from json_each(:ids))
"""
VERSIONS_WITH_DIGEST = """
select id from artifact where state = 'COMMITTED' and digest = :digest
 union
select artifact.id
  from entry
  join artifact on artifact.id = entry.artifact_id
 where entry.md5 = :digest and artifact.state = 'COMMITTED'
 union
select membership.artifact_id
  from alias
  join membership on membership.id = alias.membership_id
 where alias.name = :content_alias
"""


def runs_by_id(db: Connection, ids: list[int | None]) -> list[Row]:
    return db.all(RUNS_BY_ID, ids=json.dumps([number for number in ids if number is not None]))


def versions_with_digest(db: Connection, digest: str) -> list[int]:
    """Ids of the versions that have this digest, a file of this md5, or this md5 in DVC."""
    rows = db.all(VERSIONS_WITH_DIGEST, digest=digest, content_alias=dvc_md5.content_alias(digest))
    return [row["id"] for row in rows]


# ---- registered models ----

REGISTERED = """
select collection.*, project.name as project_name, entity.name as entity_name, artifact_type.name as type_name,
       (select count(*) from membership where collection_id = collection.id) as versions,
       held.version_index as production_index, held.artifact_id as production_artifact,
       newest.version_index as newest_index, newest.artifact_id as newest_artifact, newest.created_at as linked_at,
       (select max(event.at) from event where event.collection_id = collection.id) as changed_at
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
  join artifact_type on artifact_type.id = collection.type_id
  left join alias on alias.collection_id = collection.id and alias.name = 'production'
  left join membership held on held.id = alias.membership_id
  left join membership newest on newest.collection_id = collection.id
   and newest.version_index = (select max(version_index) from membership where collection_id = collection.id)
 where collection.kind = 'PORTFOLIO'
   and collection.project_id in (select value from json_each(:projects))
   and (:wanted = ''
        or instr(lower(collection.name), lower(:wanted)) > 0
        or exists (select 1
                     from collection_tag
                    where collection_id = collection.id and instr(lower(name), lower(:wanted)) > 0))
 order by collection.name
"""


def registered(db: Connection, project_ids: list[int], wanted: str) -> list[Row]:
    """Registered models whose name or tag contains the text, each with its production and its newest version."""
    return db.all(REGISTERED, projects=json.dumps(project_ids), wanted=wanted)


# ---- versions ----

VERSIONS = """
select membership.*, 'v' || membership.version_index as version, artifact.digest, artifact.size, artifact.file_count,
       artifact.metadata, artifact.description,
       (select json_group_array(name)
          from (select name from alias where membership_id = membership.id order by name) as held) as alias_names
  from membership
  join artifact on artifact.id = membership.artifact_id
 where membership.collection_id = :collection
 order by membership.version_index desc
 limit :limit offset :offset
"""
ADDED_BY = """
select name, who
  from event
 where collection_id = :collection and action in ('link', 'log') and name in (select value from json_each(:names))
"""
USES = """
select run.*, project.name as project_name, entity.name as entity_name
  from run_input
  join run on run.id = run_input.run_id
  join project on project.id = run.project_id
  join entity on entity.id = project.entity_id
 where run_input.artifact_id = :artifact
 order by run.id desc
"""
MEMBERSHIPS = """
select membership.*, collection.name, collection.kind, collection.project_id, project.name as project_name,
       entity.name as entity_name, artifact_type.name as type_name
  from membership
  join collection on collection.id = membership.collection_id
  join artifact_type on artifact_type.id = collection.type_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where membership.artifact_id = :artifact
 order by membership.id
"""
DATASETS = """
select artifact.*, collection.project_id, run_input.run_id as used_by
  from run_input
  join artifact on artifact.id = run_input.artifact_id
  join collection on collection.id = artifact.collection_id
  join artifact_type on artifact_type.id = collection.type_id
 where run_input.run_id in (select value from json_each(:runs))
   and artifact_type.name = 'dataset' and artifact.state = 'COMMITTED'
 order by run_input.created_at desc, artifact.id desc
"""


def versions(db: Connection, collection_id: int, limit: int, offset: int = 0) -> list[Row]:
    """A collection's versions, newest first, each with its aliases, its metadata and the account that added it."""
    rows = db.all(VERSIONS, collection=collection_id, limit=limit, offset=offset)
    names = json.dumps([row["version"] for row in rows])
    added_by = {row["name"]: row["who"] for row in db.all(ADDED_BY, collection=collection_id, names=names)}
    return [row | {"aliases": json.loads(row["alias_names"]), "added_by": added_by.get(row["version"])} for row in rows]


def count_newer(db: Connection, collection_id: int, version_index: int) -> int:
    """How many versions of a collection came after this one."""
    sql = "select count(*) from membership where collection_id = :collection and version_index > :version"
    return db.value(sql, collection=collection_id, version=version_index)


def uses(db: Connection, artifact_id: int) -> list[Row]:
    """The runs that used a version, newest first."""
    return db.all(USES, artifact=artifact_id)


def memberships_of(db: Connection, artifact_id: int) -> list[Row]:
    """The collections that hold a version, its own first, with the address parts of each."""
    return db.all(MEMBERSHIPS, artifact=artifact_id)


def datasets_of(db: Connection, run_ids: list[int]) -> list[Row]:
    """The datasets that runs used, each with the number of the run as `used_by`."""
    return db.all(DATASETS, runs=json.dumps(run_ids))


# ---- collections ----

COLLECTIONS = """
select collection.*, artifact_type.name as type_name,
       (select count(*) from membership where collection_id = collection.id) as versions,
       newest.version_index as newest_index, newest.created_at as changed_at, artifact.size, artifact.file_count
  from collection
  join artifact_type on artifact_type.id = collection.type_id
  left join membership newest on newest.collection_id = collection.id
   and newest.version_index = (select max(version_index) from membership where collection_id = collection.id)
  left join artifact on artifact.id = newest.artifact_id
 where collection.project_id = :project
   and (:type is null or artifact_type.name = :type)
   and (:wanted = '' or instr(lower(collection.name), lower(:wanted)) > 0)
 order by artifact_type.name, collection.name
 limit :limit offset :offset
"""
TYPES = """
select artifact_type.name, count(collection.id) as collections
  from artifact_type
  join collection on collection.type_id = artifact_type.id
 where artifact_type.project_id = :project
   and (:wanted = '' or instr(lower(collection.name), lower(:wanted)) > 0)
 group by artifact_type.name
 order by artifact_type.name
"""


def collections(
    db: Connection, project_id: int, type_name: str | None, wanted: str, limit: int, offset: int
) -> list[Row]:
    """A project's collections, of one type or of all, whose name contains the text; each with its newest version."""
    return db.all(COLLECTIONS, project=project_id, type=type_name, wanted=wanted, limit=limit, offset=offset)


def types(db: Connection, project_id: int, wanted: str) -> list[Row]:
    """A project's artifact types, each with how many of its collections contain the text in their name."""
    return db.all(TYPES, project=project_id, wanted=wanted)
