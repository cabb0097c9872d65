"""Runs that go on from an earlier step: of themselves (rewind), or of another run (fork)."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.runs import alerts, file_stream, history, offline_rows
from wandb_registry.model.runs.runs import internal_config, is_offline, loads

Row = dict[str, Any]
ONLY_METRIC = "_step"

FORKED = "Forked from steps that are missing"  # the title of an alert

COPY = """
insert into stream_line (run_id, stream, number, step, body)
select :run, stream, :above + row_number() over (order by number), step, body
  from stream_line
 where run_id = :source and stream = 'history' and step <= :step
"""
LAST_STEP = "select max(step) from stream_line where run_id = :run and stream = 'history'"
COPIED = "delete from stream_line where run_id = :run and stream = 'history' and step <= :step"
RUN_NAMED = "select * from run where project_id = :project and name = :name"
MAY_BE_FORKS = """
select * from run where project_id = :project and id <> :source and instr(config, '"branch_point"') > 0
"""


def rewind(db: Connection, run: Row, metric: str, step: float) -> Row:
    """Removes what the run logged after this step, and lets it run again. Its files and versions stay."""
    if metric != ONLY_METRIC:
        raise BadInput(f"A run can be rewound to a {ONLY_METRIC}, not to a value of '{metric}'.")
    db.execute(
        "delete from stream_line where run_id = :run and stream = 'history' and step > :step",
        {"run": run["id"], "step": step},
    )
    _recount(db, run)
    return db.row("update run set state = 'running', exit_code = null where id = :id returning *", id=run["id"])


def fork(db: Connection, run: Row) -> None:
    """Copies the history of the run at the new run's `branch_point` up to its step. Raises BadInput, NotFound.

    A fork that logged offline may be synced before its source: the copy follows, and its page says what is missing.
    """
    point = _branch_point(run)
    if point is None:
        return
    source = db.one(RUN_NAMED, project=run["project_id"], name=point["run_id"])
    if source is None and not is_offline(internal_config(run, None)):
        raise NotFound(f"Run '{point['run_id']}', to fork from, was not found in this project.")
    _copy(db, run, source, point)


def update_forks(db: Connection, source: Row) -> None:
    """Copies the history of a run that is synced once more to its forks, and to theirs."""
    waiting, seen = [source] if is_offline(internal_config(source, None)) else [], {source["id"]}
    while waiting:
        one = waiting.pop()
        for run in db.all(MAY_BE_FORKS, project=one["project_id"], source=one["id"]):
            point = _branch_point(run)
            if point and point["run_id"] == one["name"] and run["id"] not in seen:
                seen.add(run["id"])
                _copy(db, run, one, point)
                waiting.append(run)


def _branch_point(run: Row) -> Row | None:
    """The run and the step that a run was forked from."""
    point = internal_config(run, ["branch_point"]).get("branch_point")
    if not isinstance(point, dict):
        return None
    if not isinstance(point.get("run_id"), str) or not isinstance(point.get("step"), (int, float)):
        raise BadInput(f"A run can be forked from a step of a run, not from {json.dumps(point)[:80]}.")
    return point


def _copy(db: Connection, run: Row, source: Row | None, point: Row) -> None:
    """Makes the fork's rows up to the point those of its source, and tells which of them are missing."""
    alerts.settle(db, run["id"], FORKED)
    last = db.value(LAST_STEP, run=source["id"]) if source else None
    if last is None or last < point["step"]:
        there = f"has its steps up to {last}" if last is not None else "has none of its rows"
        alerts.tell(
            db,
            run["id"],
            FORKED,
            f"This run was forked from step {point['step']} of run '{point['run_id']}'; the registry {there}. "
            "Where that run logged offline, 'wandb sync' brings the others, here too.",
        )
    if source is None:
        return
    at = {"run": run["id"], "source": source["id"], "step": point["step"]}
    db.execute(COPIED, {"run": run["id"], "step": point["step"]})
    db.execute(COPY, at | {"above": history.line_count(db, run, "history") - 1})
    offline_rows.put_in_order(db, run)
    counted = file_stream.recount_keys(db, run)
    _set_summary(db, run, counted | loads(run["summary"]))


def _recount(db: Connection, run: Row) -> None:
    """Counts the keys and the summary again, from the lines that are there now."""
    summary = file_stream.recount_keys(db, run)
    own = {key: value for key, value in loads(run["summary"]).items() if key == "_wandb"}
    _set_summary(db, run, own | summary)


def _set_summary(db: Connection, run: Row, summary: Row) -> None:
    db.execute("update run set summary = :summary where id = :id", {"summary": json.dumps(summary), "id": run["id"]})
