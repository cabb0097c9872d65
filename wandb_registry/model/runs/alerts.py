"""What `run.alert` said, and what the registry itself has to say of a run: shown on its page and its project's."""

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
TELL = """
insert into alert (run_id, title, text, severity)
select id, :title, :text, 'WARN'
  from run
 where id = :run and not exists (select 1 from alert where run_id = :run and title = :title and text = :text)
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


def tell(db: Connection, run_id: int, title: str, text: str) -> None:
    """What the registry didn't keep or do as a run asked, for whoever opens its page. Told again it changes nothing."""
    db.execute(TELL, {"run": run_id, "title": title, "text": text})


def settle(db: Connection, run_id: int, title: str) -> None:
    """Takes back what the registry told under this title: it isn't so any more."""
    db.execute("delete from alert where run_id = :run and title = :title", {"run": run_id, "title": title})


def newest(db: Connection, project_id: int, run_id: int | None, limit: int) -> list[Row]:
    """The newest alerts of a project, or of one run of it."""
    return db.all(NEWEST, project=project_id, run=run_id, limit=limit)


def count(db: Connection, project_id: int, run_id: int | None) -> int:
    return db.value(COUNT, project=project_id, run=run_id)
