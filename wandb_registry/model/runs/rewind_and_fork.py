"""Runs that go on from an earlier step: of themselves (rewind), or of another run (fork)."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.runs import alerts, file_stream, history, offline_parts, offline_rows, resumed_parts
from wandb_registry.model.runs.runs import internal_config, is_offline, loads

Row = dict[str, Any]
ONLY_METRIC = "_step"

FORKED = "Forked from steps that are missing"  # titles of alerts
WENT_BACK = "Rewound to steps that are missing"
SYNC = "Where that was logged offline, 'wandb sync' brings the others, here too."

COPY = """
insert into stream_line (run_id, stream, number, step, body)
select :run, stream, :above + row_number() over (order by number), step, body
  from stream_line
 where run_id = :source and stream = 'history' and step <= :step
"""
FIRST_AND_LAST = """
select min(step) as first, max(step) as last
  from stream_line
 where run_id = :run and stream = 'history' and step <= :step
"""
BEHIND = "select step, body from stream_line where run_id = :run and stream = 'history' and step > :step"
UP_TO = "delete from stream_line where run_id = :run and stream = 'history' and step <= :step"
RUN_NAMED = "select * from run where project_id = :project and name = :name"
MAY_BE_FORKS = """
select * from run where project_id = :project and id <> :source and instr(config, '"branch_point"') > 0
"""
REWOUND = "insert into rewind (run_id, step) values (:run, :step)"
UNDATED = "select * from rewind where run_id = :run and at is null order by id desc limit 1"
DATED = "select * from rewind where run_id = :run and at is not null"
DATE = "update rewind set at = :at where id = :id"
SYNCED_BEFORE = "delete from rewind where run_id = :run and step = :step and at = :at"


def rewind(db: Connection, run: Row, metric: str, step: float) -> Row:
    """Removes what the run logged after this step, and lets it run again. Its files and versions stay."""
    if metric != ONLY_METRIC:
        raise BadInput(f"A run can be rewound to a {ONLY_METRIC}, not to a value of '{metric}'.")
    db.execute(REWOUND, {"run": run["id"], "step": step})
    rows = [(row["step"], row["body"]) for row in db.all(BEHIND, run=run["id"], step=step)]
    offline_rows.remove(db, run, rows)
    _recount(db, run)
    return db.row("update run set state = 'running', exit_code = null where id = :id returning *", id=run["id"])


def date_rewind(db: Connection, run: Row, at: float, is_synced: bool) -> None:
    """Tells when the process began that rewound the run last, in seconds since 1970.

    One that logged offline began earlier: what others logged since, and had been synced before, counts again.
    """
    undated = db.one(UNDATED, run=run["id"])
    if undated is None:
        return
    db.execute(SYNCED_BEFORE, {"run": run["id"], "step": undated["step"], "at": at})
    db.execute(DATE, {"id": undated["id"], "at": at})
    if is_synced:
        resumed_parts.settle(db, run)
        file_stream.recount_keys(db, run)
        _set_summary(db, run, offline_parts.summarize(db, run))


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


def update(db: Connection, source: Row) -> None:
    """Copies the history of a run that is synced once more to its forks, and to theirs."""
    if not is_offline(internal_config(source, None)):
        return
    _tell_missing(db, source)
    fork(db, db.row("select * from run where id = :id", id=source["id"]))  # its summary came without what it took over
    waiting, seen = [source], {source["id"]}
    while waiting:
        one = waiting.pop()
        for run in db.all(MAY_BE_FORKS, project=one["project_id"], source=one["id"]):
            point = _branch_point(run)
            if point and point["run_id"] == one["name"] and run["id"] not in seen:
                seen.add(run["id"])
                _copy(db, run, one, point)
                waiting.append(run)


def _branch_point(run: Row) -> Row | None:
    """The run and the step that a run was forked from; None if from none. A rewound one names itself."""
    point = internal_config(run, ["branch_point"]).get("branch_point")
    if not isinstance(point, dict) or point.get("run_id") == run["name"]:
        return None
    if not isinstance(point.get("run_id"), str) or not isinstance(point.get("step"), (int, float)):
        raise BadInput(f"A run can be forked from a step of a run, not from {json.dumps(point)[:80]}.")
    return point


def _copy(db: Connection, run: Row, source: Row | None, point: Row) -> None:
    """Makes the fork's rows up to the point those of its source, and tells which of them are missing."""
    internal = internal_config(run, None)
    began = offline_rows.started(internal) if is_offline(internal) else None
    if source:
        _copy_rows(db, run, source, point["step"], began)
        counted = file_stream.recount_keys(db, run)
        if began is not None or not is_offline(internal):  # else the rows may be others, once it tells when it began
            _set_summary(db, run, counted | loads(run["summary"]))
    alerts.settle(db, run["id"], FORKED)
    there = db.row(FIRST_AND_LAST, run=run["id"], step=point["step"])
    first, last = there["first"], there["last"]
    begins_late = source and last is not None and first > 0 and is_offline(internal_config(source, None))
    if last is None or last < point["step"] or begins_late:
        has = f"has its steps {first} to {last}" if last is not None else "has none of its rows"
        forked = f"This run was forked from step {point['step']} of run '{point['run_id']}'"
        alerts.tell(db, run["id"], FORKED, f"{forked}; the registry {has}. {SYNC}")


def _copy_rows(db: Connection, run: Row, source: Row, step: float, began: float | None) -> None:
    """Makes the fork's rows up to a step those that its source had when the fork began, if that is known."""
    if began is not None:  # rows of its own there are of a part that resumed it, and was synced before the source
        own = [row for row in offline_rows.all_rows(db, run) if row[0] <= step and row[1] >= began]
        offline_rows.keep_aside(db, run, [(at, body) for at, _, body in own])
    db.execute(UP_TO, {"run": run["id"], "step": step})
    if began is not None:
        offline_rows.add(db, run, [row for row in offline_rows.rows_at(db, source, began) if row[0] <= step])
        return
    above = history.line_count(db, run, "history") - 1
    db.execute(COPY, {"run": run["id"], "source": source["id"], "step": step, "above": above})
    offline_rows.put_in_order(db, run)


def _tell_missing(db: Connection, run: Row) -> None:
    """Tells on its page which steps a run lacks that it was rewound to."""
    alerts.settle(db, run["id"], WENT_BACK)
    for rewound in db.all(DATED, run=run["id"]):
        last = max((step for step, _ in offline_rows.rows_at(db, run, rewound["at"])), default=None)
        if last is None or last < rewound["step"]:
            has = f"has its steps up to {last}" if last is not None else "has none of its rows"
            went = f"This run was rewound to step {rewound['step']:g}; of what was logged before, the registry {has}"
            alerts.tell(db, run["id"], WENT_BACK, f"{went}. {SYNC}")


def _recount(db: Connection, run: Row) -> None:
    """Counts the keys and the summary again, from the lines that are there now."""
    summary = file_stream.recount_keys(db, run)
    own = {key: value for key, value in loads(run["summary"]).items() if key == "_wandb"}
    _set_summary(db, run, own | summary)


def _set_summary(db: Connection, run: Row, summary: Row) -> None:
    db.execute("update run set summary = :summary where id = :id", {"summary": json.dumps(summary), "id": run["id"]})
