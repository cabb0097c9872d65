"""What `run.alert` said: kept with the run, and shown on its page and its project's."""

from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]

NEWEST = """
select alert.*, run.name as run_name, run.display_name
  from alert
  join run on run.id = alert.run_id
 where run.project_id = :project and (:run is null or run.id = :run)
 order by alert.id desc
 limit :limit
"""
COUNT = """
select count(*)
  from alert
  join run on run.id = alert.run_id
 where run.project_id = :project and (:run is null or run.id = :run)
"""


def add(db: Connection, run: Row, title: str, text: str, severity: str | None) -> None:
    db.execute(
        "insert into alert (run_id, title, text, severity) values (:run, :title, :text, :severity)",
        {"run": run["id"], "title": title, "text": text, "severity": severity or "INFO"},
    )


def newest(db: Connection, project_id: int, run_id: int | None, limit: int) -> list[Row]:
    """The newest alerts of a project, or of one run of it."""
    return db.all(NEWEST, project=project_id, run=run_id, limit=limit)


def count(db: Connection, project_id: int, run_id: int | None) -> int:
    return db.value(COUNT, project=project_id, run=run_id)
