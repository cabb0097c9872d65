"""What `run.alert` said, and what the registry itself has to say of a run: shown on its page and its project's."""

from datetime import UTC, datetime
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
ADD = """
insert into alert (run_id, title, text, severity, repeats) values (:run, :title, :text, :severity, :repeats)
"""
LAST_TOLD = """
select created_at from alert where run_id = :run and title = :title and repeats = 0 order by id desc limit 1
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


def add(db: Connection, run: Row, title: str, text: str, severity: str | None, wait_seconds: float = 0) -> None:
    """Keeps an alert. One that comes within `wait_seconds` after one of its title is marked as a repeat."""
    told_at = db.value(LAST_TOLD, run=run["id"], title=title)
    seconds_ago = (datetime.now(UTC) - datetime.fromisoformat(told_at)).total_seconds() if told_at else None
    values = {"run": run["id"], "title": title, "text": text, "severity": severity or "INFO"}
    db.execute(ADD, values | {"repeats": int(seconds_ago is not None and seconds_ago < wait_seconds)})


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
