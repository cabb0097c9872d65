"""Finds anything by a part of what people call it: runs, artifacts, registered models, versions and projects.

Texts are compared without regard to case, as Unicode folds it.
"""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of thing that a search finds: `rows` selects all of it, `text` is what is searched of each."""

    rows: str
    text: str
    order: str


RUNS = """
select run.id, run.name, run.display_name, run.notes, run.tags, run.group_name, run.job_type, run.git_commit,
       run.project_id, project.name as project_name, entity.name as entity_name
  from run
  join project on project.id = run.project_id
  join entity on entity.id = project.entity_id
 where run.project_id in (select value from json_each(:projects))
"""
COLLECTIONS = """
select collection.*, artifact_type.name as type_name, project.name as project_name, entity.name as entity_name,
       (select group_concat(name, '\n') from collection_tag where collection_id = collection.id) as tag_names
  from collection
  join artifact_type on artifact_type.id = collection.type_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where collection.project_id in (select value from json_each(:projects))
   and collection.kind = '{kind}'
"""
VERSIONS = """
select artifact.id, artifact.version_index, artifact.description, collection.kind, collection.name,
       collection.project_id, artifact_type.name as type_name, project.name as project_name, entity.name as entity_name,
       (select group_concat(name, '\n') from artifact_tag where artifact_id = artifact.id) as tag_names
  from artifact
  join collection on collection.id = artifact.collection_id
  join artifact_type on artifact_type.id = collection.type_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where collection.project_id in (select value from json_each(:projects))
   and artifact.state = 'COMMITTED'
   and (artifact.description <> '' or exists (select 1 from artifact_tag where artifact_id = artifact.id))
"""
PROJECTS = """
select project.*, entity.name as entity_name
  from project
  join entity on entity.id = project.entity_id
 where project.id in (select value from json_each(:projects))
"""
OF_RUN = ("display_name", "name", "notes", "tags", "group_name", "job_type", "git_commit")
OF_OTHERS = ("name", "description", "tag_names")
KINDS = {
    "runs": Kind(RUNS, " || char(10) || ".join(f"coalesce(found.{name}, '')" for name in OF_RUN), "id desc"),
    "artifacts": Kind(
        COLLECTIONS.format(kind="SEQUENCE"),
        " || char(10) || ".join(f"coalesce(found.{name}, '')" for name in OF_OTHERS),
        "length(name), name",
    ),
    "models": Kind(
        COLLECTIONS.format(kind="PORTFOLIO"),
        " || char(10) || ".join(f"coalesce(found.{name}, '')" for name in OF_OTHERS),
        "length(name), name",
    ),
    "versions": Kind(
        VERSIONS, "coalesce(found.description, '') || char(10) || coalesce(found.tag_names, '')", "id desc"
    ),
    "projects": Kind(PROJECTS, "found.name || char(10) || coalesce(found.description, '')", "length(name), name"),
}


def count(db: Connection, kind: str, project_ids: list[int], text: str) -> int:
    return _ask(db, kind, "select count(*) as count", "", project_ids, text)[0]["count"]


def page(db: Connection, kind: str, project_ids: list[int], text: str, limit: int, offset: int) -> list[Row]:
    """A page of one of KINDS that has the text anywhere in what it is called; those with short names first."""
    end = f"order by {KINDS[kind].order} limit :limit offset :offset"
    return _ask(db, kind, "select *", end, project_ids, text, limit=limit, offset=offset)


def _ask(
    db: Connection, kind: str, select: str, end: str, project_ids: list[int], text: str, **parameters: int
) -> list[Row]:
    sql = f"{select} from found where instr(folded({KINDS[kind].text}), :text) > 0 {end}"
    asked = {"projects": json.dumps(project_ids), "text": text.casefold(), **parameters}
    return db.sift(KINDS[kind].rows, sql, {"folded": str.casefold}, **asked)
