"""Edges between runs and versions: what a run used and what it made."""

import json
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]


def use(db: Connection, run_id: int, artifact_id: int, used_as: str | None) -> None:
    db.execute(
        """
        insert into run_input (run_id, artifact_id, used_as) values (:run, :artifact, :used_as)
            on conflict (run_id, artifact_id) do nothing
        """,
        {"run": run_id, "artifact": artifact_id, "used_as": used_as},
    )


def make(db: Connection, run_id: int, artifact_id: int) -> None:
    db.execute(
        "insert into run_output (run_id, artifact_id) values (:run, :artifact) on conflict do nothing",
        {"run": run_id, "artifact": artifact_id},
    )


def inputs(db: Connection, run_id: int) -> list[Row]:
    """The versions that a run used, each with its project."""
    return db.all(
        """
        select artifact.*, collection.project_id
          from run_input
          join artifact on artifact.id = run_input.artifact_id
          join collection on collection.id = artifact.collection_id
         where run_input.run_id = :run and artifact.state = 'COMMITTED'
         order by run_input.created_at, artifact.id
        """,
        run=run_id,
    )


def outputs(db: Connection, run_id: int) -> list[Row]:
    """The versions that a run made or logged again, each with its project."""
    return db.all(
        """
        select artifact.*, collection.project_id
          from run_output
          join artifact on artifact.id = run_output.artifact_id
          join collection on collection.id = artifact.collection_id
         where run_output.run_id = :run and artifact.state = 'COMMITTED'
         order by run_output.created_at, artifact.id
        """,
        run=run_id,
    )


def users(db: Connection, artifact_id: int) -> list[Row]:
    """The runs that used a version."""
    return db.all(
        """
        select run.*
          from run_input
          join run on run.id = run_input.run_id
         where run_input.artifact_id = :artifact
         order by run.id
        """,
        artifact=artifact_id,
    )


def uses(db: Connection, artifact_id: int) -> list[Row]:
    """How often a version was used: by project and account the number of `runs`, and when it was the `last` time."""
    return db.all(
        """
        select run.project_id, account.username, count(*) as runs, max(run_input.created_at) as last
          from run_input
          join run on run.id = run_input.run_id
          left join account on account.id = run.user_id
         where run_input.artifact_id = :artifact
         group by run.project_id, account.username
         order by account.username
        """,
        artifact=artifact_id,
    )


def maker(db: Connection, artifact: Row) -> Row | None:
    """The run that first logged a version, if it is still there."""
    return db.one("select * from run where id = :id", id=artifact["run_id"])


# ---- signed statements ----

STATEMENTS = """
select statement.*, collection.project_id
  from run_input
  join run_output on run_output.run_id = run_input.run_id
  join artifact statement on statement.id = run_output.artifact_id
  join collection on collection.id = statement.collection_id
  join artifact_type on artifact_type.id = collection.type_id
 where run_input.artifact_id = :artifact and artifact_type.name = 'provenance' and statement.state = 'COMMITTED'
 order by statement.id desc
"""


def statements(db: Connection, artifact_id: int) -> list[Row]:
    """The signed statements about a version, newest first: what a run made of the type `provenance` that used it."""
    return db.all(STATEMENTS, artifact=artifact_id)


# ---- many at a time, for graphs ----

USED = """
select run_input.run_id, run_input.artifact_id, run.project_id
  from run_input
  join run on run.id = run_input.run_id
 where run_input.artifact_id in (select value from json_each(:ids))
 order by run_input.run_id
"""
MADE = """
select run_output.run_id, run_output.artifact_id, run.project_id
  from run_output
  join run on run.id = run_output.run_id
 where run_output.artifact_id in (select value from json_each(:ids))
 order by run_output.run_id
"""
USED_BY_RUNS = """
select run_input.run_id, artifact.id as artifact_id, collection.project_id
  from run_input
  join artifact on artifact.id = run_input.artifact_id
  join collection on collection.id = artifact.collection_id
 where run_input.run_id in (select value from json_each(:ids)) and artifact.state = 'COMMITTED'
 order by artifact.id
"""
MADE_BY_RUNS = """
select run_output.run_id, artifact.id as artifact_id, collection.project_id
  from run_output
  join artifact on artifact.id = run_output.artifact_id
  join collection on collection.id = artifact.collection_id
 where run_output.run_id in (select value from json_each(:ids)) and artifact.state = 'COMMITTED'
 order by artifact.id
"""
# From what one stands on, (upstream, downstream): the statement for the next edges.
STEPS = {("artifact", True): MADE, ("artifact", False): USED, ("run", True): USED_BY_RUNS, ("run", False): MADE_BY_RUNS}


def edges(db: Connection, kind: str, ids: list[int], upstream: bool) -> list[Row]:
    """The edges that lead on from runs or versions, with the project of what they lead to."""
    return db.all(STEPS[kind, upstream], ids=json.dumps(ids))


def runs_by_id(db: Connection, ids: list[int]) -> list[Row]:
    return db.all("select * from run where id in (select value from json_each(:ids))", ids=json.dumps(ids))
