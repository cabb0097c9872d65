"""Runs that go on from an earlier step: of themselves (rewind), or of another run (fork)."""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.runs import file_stream
from wandb_registry.model.runs.runs import internal_config, loads

Row = dict[str, Any]
ONLY_METRIC = "_step"

COPY = """
insert into stream_line (run_id, stream, number, step, body)
select :run, stream, row_number() over (order by number) - 1, step, body
  from stream_line
 where run_id = :source and stream = 'history' and step <= :step
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
    """Copies the history of the run at the new run's `branch_point` up to its step. Raises NotFound."""
    point = internal_config(run, ["branch_point"]).get("branch_point")
    if not isinstance(point, dict):
        return
    source = db.one(
        "select * from run where project_id = :project and name = :name",
        project=run["project_id"],
        name=point["run_id"],
    )
    if source is None:
        raise NotFound(f"Run '{point['run_id']}', to fork from, was not found in this project.")
    db.execute(COPY, {"run": run["id"], "source": source["id"], "step": point["step"]})
    _recount(db, run)


def _recount(db: Connection, run: Row) -> None:
    """Counts the keys and the summary again, from the lines that are there now."""
    summary = file_stream.recount_keys(db, run)
    own = {key: value for key, value in loads(run["summary"]).items() if key == "_wandb"}
    db.execute(
        "update run set summary = :summary where id = :id", {"summary": json.dumps(own | summary), "id": run["id"]}
    )
