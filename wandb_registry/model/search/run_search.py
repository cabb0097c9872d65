"""Finds a project's runs by the filters and orders of the public API."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.runs.runs import CRASHED_AFTER_SECONDS
from wandb_registry.model.search import filters
from wandb_registry.model.search.query import Bind, Field, Query, column, document, within

Row = dict[str, Any]
SILENCE = f"-{CRASHED_AFTER_SECONDS} seconds"

STATE = """
case when run.state not in ('running', 'preempting') then run.state
     when run.heartbeat_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :silence) then run.state
     when run.state = 'running' then 'crashed'
     else 'preempted'
end
"""
USERNAME = "(select account.username from account where account.id = run.user_id)"
ENTITY = """
(select entity.name
   from project
   join entity on entity.id = project.entity_id
  where project.id = run.project_id)
"""
DURATION = "max(0, strftime('%s', run.heartbeat_at) - strftime('%s', run.created_at))"
COLUMNS = {
    "name": "run.name",
    "displayName": "run.display_name",
    "display_name": "run.display_name",
    "state": f"({STATE.strip()})",
    "group": "run.group_name",
    "groupName": "run.group_name",
    "group_name": "run.group_name",
    "jobType": "run.job_type",
    "job_type": "run.job_type",
    "commit": "run.git_commit",
    "description": "run.description",
    "notes": "run.notes",
    "host": "run.host",
    "program": "run.program",
    "sweep": "(select sweep.name from sweep where sweep.id = run.sweep_id)",
    "entity": ENTITY.strip(),
    "duration": DURATION,
    "username": USERNAME,
    "user.username": USERNAME,
    "createdAt": "run.created_at",
    "created_at": "run.created_at",
    "heartbeatAt": "run.heartbeat_at",
    "heartbeat_at": "run.heartbeat_at",
    "updatedAt": "run.updated_at",
    "updated_at": "run.updated_at",
}
DOCUMENTS = {
    "config": document("run.config"),
    "summary_metrics": document("run.summary"),
    "summaryMetrics": document("run.summary"),
    "summary": document("run.summary"),
}

OLDEST_FIRST = "+created_at"
IDS = "select run.id from run where run.project_id = :project"
COUNT = "select count(*) as count from run where run.project_id = :project"


def page(
    db: Connection,
    project_id: int,
    wanted: str | None,
    order: str | None,
    limit: int,
    offset: int,
    group_by: str | None = None,
) -> list[Row]:
    """A project's runs that pass the filter, in this order; by default the oldest first.

    `group_by` names a field: runs of the same value stand together, those without a value last.
    """
    query = Query(wanted, _field)
    by = _order(query, order or OLDEST_FIRST)
    if group_by:
        by = f"{query.order(group_by)}, {by}"
    sql = " ".join((IDS, "and", query.condition, "order by", by, "limit :limit offset :offset"))
    rows = query.rows(db, sql, project=project_id, silence=SILENCE, limit=limit, offset=offset)
    # only the rows of this page are read whole: a sort of thousands would carry each one's config along
    return [db.row("select * from run where id = :id", id=row["id"]) for row in rows]


def count(db: Connection, project_id: int, wanted: str | None) -> int:
    query = Query(wanted, _field)
    [row] = query.rows(db, " ".join((COUNT, "and", query.condition)), project=project_id, silence=SILENCE)
    return row["count"]


def tally(db: Connection, project_id: int, wanted: str | None, field: str) -> dict[Any, int]:
    """How many of a project's runs that pass the filter have each value of a field."""
    query = Query(wanted, _field)
    value = query.field(field).value
    sql = f"select {value} as value, count(*) as runs from run where run.project_id = :project"
    rows = query.rows(db, " ".join((sql, "and", query.condition, "group by 1")), project=project_id, silence=SILENCE)
    return {row["value"]: row["runs"] for row in rows}


def _order(query: Query, order: str) -> str:
    name, descending = filters.parse_order(order)
    direction = "desc" if descending else "asc"
    if name in ("created_at", "createdAt"):
        return f"run.id {direction}"  # ids follow the order of creation, and times have only seconds
    return f"{query.order(name, descending)}, run.id {direction}"


def _field(name: str, bind: Bind) -> Field:
    if name in COLUMNS:
        return column(COLUMNS[name])
    if name == "tags":
        return Field("run.tags", "'array'")
    first, _, path = name.partition(".")
    if first not in DOCUMENTS or not path:
        raise BadInput(f"Runs have no field '{name}' to filter or order by.")
    return within(DOCUMENTS[first], path, bind, beneath="value" if first == "config" else None)
