"""Edges between runs and versions: what a run used and what it made."""

from typing import Any

from registry.db.connect import Connection

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


def maker(db: Connection, artifact: Row) -> Row | None:
    """The run that first logged a version, if it is still there."""
    return db.one("select * from run where id = :id", id=artifact["run_id"])
