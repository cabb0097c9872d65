"""Finds a project's runs by the filters and orders of the public API."""

from collections.abc import Sequence
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.runs.runs import CRASHED_AFTER_SECONDS
from wandb_registry.model.search import filters
from wandb_registry.model.search.query import Bind, Field, Query, column, document, within

Row = dict[str, Any]
SILENCE = f"-{CRASHED_AFTER_SECONDS} seconds"

STATE = """
case when found.state not in ('running', 'preempting') then found.state
     when found.heartbeat_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :silence) then found.state
     when found.state = 'running' then 'crashed'
     else 'preempted'
end
"""
DURATION = "max(0, strftime('%s', found.heartbeat_at) - strftime('%s', found.created_at))"
COLUMNS = {
    "name": "found.name",
    "displayName": "found.display_name",
    "display_name": "found.display_name",
    "state": f"({STATE.strip()})",
    "group": "found.group_name",
    "groupName": "found.group_name",
    "group_name": "found.group_name",
    "jobType": "found.job_type",
    "job_type": "found.job_type",
    "commit": "found.git_commit",
    "description": "found.description",
    "notes": "found.notes",
    "host": "found.host",
    "program": "found.program",
    "sweep": "found.sweep_name",
    "entity": "found.entity_name",
    "duration": DURATION,
    "username": "found.username",
    "user.username": "found.username",
    "createdAt": "found.created_at",
    "created_at": "found.created_at",
    "heartbeatAt": "found.heartbeat_at",
    "heartbeat_at": "found.heartbeat_at",
    "updatedAt": "found.updated_at",
    "updated_at": "found.updated_at",
}
DOCUMENTS = {
    "config": document("found.config"),
    "summary_metrics": document("found.summary"),
    "summaryMetrics": document("found.summary"),
    "summary": document("found.summary"),
}

OLDEST_FIRST = "+created_at"
RUNS = """
select run.*,
       (select account.username from account where account.id = run.user_id) as username,
       (select sweep.name from sweep where sweep.id = run.sweep_id) as sweep_name,
       (select entity.name
          from project
          join entity on entity.id = project.entity_id
         where project.id = run.project_id) as entity_name
  from run
 where run.project_id = :project
"""


def page(
    db: Connection,
    project_id: int,
    wanted: str | None,
    orders: Sequence[str],
    limit: int,
    offset: int,
    group_by: str | None = None,
) -> list[Row]:
    """A project's runs that pass the filter, in this order; without one, the oldest first.

    `orders` are those of the public API, such as `-created_at`; the first counts before the second.
    `group_by` names a field: runs of the same value stand together, those without a value last.
    """
    query = Query(wanted, _field)
    by = _order(query, orders or (OLDEST_FIRST,))
    if group_by:
        by = f"{query.order(group_by)}, {by}"
    sql = f"select found.id from found where {query.condition} order by {by} limit :limit offset :offset"
    rows = query.rows(db, RUNS, sql, project=project_id, silence=SILENCE, limit=limit, offset=offset)
    # only the rows of this page are read whole: a sort of thousands would carry each one's config along
    return [db.row("select * from run where id = :id", id=row["id"]) for row in rows]


def count(db: Connection, project_id: int, wanted: str | None) -> int:
    query = Query(wanted, _field)
    sql = f"select count(*) as count from found where {query.condition}"
    [row] = query.rows(db, RUNS, sql, project=project_id, silence=SILENCE)
    return row["count"]


def tally(db: Connection, project_id: int, wanted: str | None, field: str) -> dict[Any, int]:
    """How many of a project's runs that pass the filter have each value of a field."""
    query = Query(wanted, _field)
    value = query.field(field).value
    sql = f"select {value} as value, count(*) as runs from found where {query.condition} group by 1"
    rows = query.rows(db, RUNS, sql, project=project_id, silence=SILENCE)
    return {row["value"]: row["runs"] for row in rows}


def _order(query: Query, orders: Sequence[str]) -> str:
    terms, direction = [], "asc"
    for order in orders:
        name, descending = filters.parse_order(order)
        direction = "desc" if descending else "asc"
        if name in ("created_at", "createdAt"):
            break  # ids follow the order of creation, and times have only seconds
        terms.append(query.order(name, descending))
    return ", ".join([*terms, f"found.id {direction}"])


def _field(name: str, bind: Bind) -> Field:
    if name in COLUMNS:
        return column(COLUMNS[name])
    if name == "tags":
        return Field("found.tags", "'array'")
    first, _, path = name.partition(".")
    if first not in DOCUMENTS or not path:
        raise BadInput(f"Runs have no field '{name}' to filter or order by.")
    return within(DOCUMENTS[first], path, bind, beneath="value" if first == "config" else None)
