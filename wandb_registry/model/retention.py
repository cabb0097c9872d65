"""Which versions of a project may go, and what would be free then. Nothing that somebody named is among them.

An alias `dvc-MD5` names content that a dvc.lock held when it was mirrored. Whether one still does, only git knows.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import artifacts, dvc_md5

Row = dict[str, Any]

VERSIONS = """
select artifact.*, collection.name as collection,
       artifact.created_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :age) as old
  from artifact
  join collection on collection.id = artifact.collection_id
 where collection.project_id = :project and artifact.state = 'COMMITTED'
 order by collection.name, artifact.version_index desc
"""
ALIASES = """
select membership.artifact_id, alias.name
  from alias
  join membership on membership.id = alias.membership_id
  join artifact on artifact.id = membership.artifact_id
  join collection on collection.id = artifact.collection_id
 where collection.project_id = :project
"""
LINKED = """
select membership.artifact_id
  from membership
  join collection as place on place.id = membership.collection_id
  join artifact on artifact.id = membership.artifact_id
  join collection on collection.id = artifact.collection_id
 where collection.project_id = :project and place.id <> collection.id
"""
# Contents that nothing else has: no other version, no run
FREED = """
select coalesce(sum(size), 0) as bytes
  from (select entry.md5, max(entry.size) as size
          from entry
         where entry.md5 in (select md5 from entry where artifact_id in (select value from json_each(:ids)))
           and not exists (select 1 from run_file where run_file.md5 = entry.md5)
         group by entry.md5
        having sum(case when entry.artifact_id in (select value from json_each(:ids)) then 0 else 1 end) = 0) as alone
"""
BY_PROJECT = """
select entity.name || '/' || project.name as name, sum(content.size) as bytes, count(*) as contents
  from (select collection.project_id, entry.md5, max(entry.size) as size
          from entry
          join artifact on artifact.id = entry.artifact_id
          join collection on collection.id = artifact.collection_id
         where entry.md5 is not null
         group by collection.project_id, entry.md5
         union
        select run.project_id, run_file.md5, max(run_file.size)
          from run_file
          join run on run.id = run_file.run_id
         group by run.project_id, run_file.md5) as content
  join project on project.id = content.project_id
  join entity on entity.id = project.entity_id
 group by entity.name, project.name
 order by bytes desc, name
"""
BY_USER = """
select coalesce(account.username, '') as name, sum(content.size) as bytes, count(*) as contents
  from (select artifact.user_id, entry.md5, max(entry.size) as size
          from entry
          join artifact on artifact.id = entry.artifact_id
         where entry.md5 is not null
         group by artifact.user_id, entry.md5
         union
        select run.user_id, run_file.md5, max(run_file.size)
          from run_file
          join run on run.id = run_file.run_id
         group by run.user_id, run_file.md5) as content
  left join account on account.id = content.user_id
 group by account.username
 order by bytes desc, name
"""


@dataclass
class Plan:
    """The versions that may go, those that stay with the reason, and the bytes that only the former have."""

    going: list[Row] = field(default_factory=list)
    staying: list[tuple[Row, str]] = field(default_factory=list)
    bytes: int = 0


def plan(db: Connection, project_id: int, last: int, days: int, needed: set[str] | None) -> Plan:
    """What to keep of a project: the last versions of each collection, those younger than `days`, and what is named.

    `needed` are the md5s that locks hold; None for not known: then all that was mirrored from a lock stays.
    """
    aliases: dict[int, list[str]] = {}
    for row in db.all(ALIASES, project=project_id):
        aliases.setdefault(row["artifact_id"], []).append(row["name"])
    linked = {row["artifact_id"] for row in db.all(LINKED, project=project_id)}
    made, seen = Plan(), dict[int, int]()
    for version in db.all(VERSIONS, project=project_id, age=f"-{days} days"):
        place = seen[version["collection_id"]] = seen.get(version["collection_id"], 0) + 1
        names = sorted(aliases.get(version["id"], []))
        reason = (
            f"among the last {last}" if place <= last
            else f"younger than {days} days" if days and not version["old"]
            else "linked" if version["id"] in linked
            else _named(names, needed)
        )  # fmt: skip
        if reason:
            made.staying.append((version, reason))
        else:
            made.going.append(version)
    made.bytes = db.value(FREED, ids=json.dumps([version["id"] for version in made.going]))
    return made


def _named(aliases: list[str], needed: set[str] | None) -> str | None:
    """Why a version with these aliases stays; None if nothing says so."""
    own = [name for name in aliases if not dvc_md5.is_content_alias(name)]
    if own:
        return f"named {own[0]}"
    md5s = {dvc_md5.md5_of_alias(name) for name in aliases}
    if md5s and needed is None:
        return "mirrored from a dvc.lock"
    held = {md5 for md5 in md5s if (needed or set()) & {md5, md5.removesuffix(".dir")}}
    return f"held by a lock as {min(held)}" if held else None


def remove(db: Connection, plan: Plan) -> None:
    """Deletes what the plan, made in this transaction, lets go. `gc` removes the bytes."""
    for version in plan.going:
        artifacts.delete(db, users.OPERATOR, version, with_aliases=True)


def usage(db: Connection) -> dict[str, list[Row]]:
    """Bytes by project and by user. What several have counts for each of them."""
    return {"projects": db.all(BY_PROJECT), "users": db.all(BY_USER)}
