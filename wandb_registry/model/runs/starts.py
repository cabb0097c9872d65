"""How a run begins, by what the SDK's process announces: new, once more under its id, as a fork, or not at all.

A process announces its run by name, a resumed or rewound one by id. Without an id a run that is there starts over, as
W&B documents it. Later changes come by name too, from a process that says where it runs: they never make a run.
"""

import json
import time
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.runs import offline_parts, offline_rows, resumed_parts, rewind_and_fork, runs

Row = dict[str, Any]
OF_A_START = ("host", "job_program", "display_name", "group_name", "job_type", "tags", "notes")

START_OVER = (
    "delete from stream_line where run_id = :run",
    "delete from replaced_row where run_id = :run",
    "delete from rewind where run_id = :run",
    "delete from console_line where run_id = :run",
    "delete from run_file where run_id = :run",
    "delete from run_writer where run_id = :run",
    "delete from alert where run_id = :run",
    "delete from offline_part where run_id = :run",
    """
    update run
       set state = 'running', exit_code = null, stop_asked = 0, config = '{}', summary = '{}', history_keys = '{}',
           last_step = -1, notes = null, tags = '[]', group_name = null, job_type = null, git_commit = null,
           repo = null, host = null, program = null, user_id = :user,
           created_at = strftime('%Y-%m-%dT%H:%M:%SZ'), heartbeat_at = strftime('%Y-%m-%dT%H:%M:%SZ')
     where id = :run
    """,
)


def upsert(
    db: Connection, viewer: Viewer, number: int | None, given: Row, may_start_over: bool = False
) -> tuple[Row, bool]:
    """Starts or changes the run of an upsertBucket. Returns it and whether it is new.

    `may_start_over`: the SDK that asks names a run by id to resume it, and no other process shares the run.
    Raises as `runs.upsert`, and NotFound for a change to a run that was deleted meanwhile.
    """
    again = False
    announced = runs.announced(given)
    is_start = "e" not in announced and any(given.get(name) for name in OF_A_START)
    if number is None and announced:
        run = _find(db, viewer, given)
        if run is None and not is_start:
            where = f"{given.get('entity_name') or viewer.default_entity}/{given.get('model_name') or projects.UNNAMED}"
            raise NotFound(
                f"Run '{given.get('name')}' was deleted from '{where}' while its process went on. "
                "What it still logs isn't kept; start another run."
            )
        again = run is not None and is_start and may_start_over and _is_over(run, announced)
        if run and again:
            for statement in START_OVER:
                db.execute(statement, {"run": run["id"], "user": viewer.user_id})
    synced = given if announced and runs.is_offline(announced) and not again else None
    if synced:
        there = access.run_by_id(db, viewer, number, Role.MEMBER) if number is not None else _find(db, viewer, given)
        if there:
            given = given | {"config": json.dumps(offline_rows.config(there, runs.loads(given["config"])))}
            given = offline_parts.hold_back(db, there, given) if is_start else given
    asked = is_start and number is None and resumed_parts.has_asked(db, viewer, given)
    run, inserted = runs.upsert(db, viewer, number, given)
    if synced and is_start:
        resumes = asked or (number is not None and not offline_rows.goes_back_in(run, announced))
        offline_parts.begin(db, run, synced, resumed_parts.goes_on_at(db, run) if resumes else None)
    elif synced and (started := offline_rows.started(announced)) is not None:
        run = offline_parts.tell(db, run, started, runs.loads(synced["config"]))
        run = _in_its_time(db, run, announced, started)
    elif is_start and offline_rows.goes_back_in(run, announced):
        rewind_and_fork.date_rewind(db, run, time.time(), is_synced=False)
    if inserted or again:
        rewind_and_fork.fork(db, run)
    return run, inserted


def _in_its_time(db: Connection, run: Row, announced: Row, started: float) -> Row:
    """Gives a synced run, and its forks, the rows that they had by the times which are known now."""
    if offline_rows.goes_back_in(run, announced):
        rewind_and_fork.date_rewind(db, run, started, is_synced=True)
        rewind_and_fork.update(db, run)
    else:
        rewind_and_fork.fork(db, run)
    return db.row("select * from run where id = :id", id=run["id"])


def _find(db: Connection, viewer: Viewer, given: Row) -> Row | None:
    """The run of this name, if it is there."""
    project = access.find_project(db, viewer, given.get("entity_name"), given.get("model_name") or projects.UNNAMED)
    return access.find_run(db, project, given["name"]) if project and given.get("name") else None


def _is_over(run: Row, announced: Row) -> bool:
    """Whether a start replaces what the run holds. Not what was only queued, nor by an offline run: `offline_rows`."""
    return "t" in runs.internal_config(run, None) and not runs.is_offline(announced)
