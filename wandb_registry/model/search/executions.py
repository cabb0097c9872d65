"""Executions of a pipeline: the runs that lead to one which nothing follows, joined by what they used and made.

This takes no word for it: two runs belong together if one used a version that the other made. So it serves any DVC
project, and any script that says what it uses.
"""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.artifacts import lineage

Row = dict[str, Any]
DEEPEST = 30  # steps upstream that are followed

# A last run used something, and no other run used what it made.
LAST = """
  from run
 where run.project_id = :project
   and exists (select 1 from run_input where run_input.run_id = run.id)
   and not exists (select 1
                     from run_output
                     join run_input on run_input.artifact_id = run_output.artifact_id
                    where run_output.run_id = run.id and run_input.run_id <> run.id)
"""
LAST_RUNS = f"select run.id {LAST} order by run.id desc limit :limit offset :offset"
COUNT = f"select count(*) {LAST}"


def count(db: Connection, project_id: int) -> int:
    return db.value(COUNT, project=project_id)


def page(db: Connection, project_id: int, limit: int, offset: int) -> list[list[Row]]:
    """Executions, the newest first, each as its runs in the order of the pipeline.

    Of several runs with the same job type it has the nearest to its last run: a champion that a decision was held
    against belongs to an execution of its own.
    """
    last = [row["id"] for row in db.all(LAST_RUNS, project=project_id, limit=limit, offset=offset)]
    before = _edges(db, last)
    nearest = {number: _steps(number, before) for number in last}
    rows = {
        row["id"]: row for row in lineage.runs_by_id(db, sorted({run for runs in nearest.values() for run in runs}))
    }
    return [_of_each_job({run: step for run, step in nearest[number].items() if run in rows}, rows) for number in last]


def _edges(db: Connection, last: list[int]) -> dict[int, set[int]]:
    """The runs whose versions a run used, of all that lie upstream of some runs."""
    before: dict[int, set[int]] = {}
    waiting = set(last)
    for _ in range(DEEPEST):
        if not waiting:
            break
        used = lineage.edges(db, "run", sorted(waiting), upstream=True)
        made = lineage.edges(db, "artifact", sorted({edge["artifact_id"] for edge in used}), upstream=True)
        makers: dict[int, list[int]] = {}
        for edge in made:
            makers.setdefault(edge["artifact_id"], []).append(edge["run_id"])
        for run in waiting:
            before.setdefault(run, set())
        for edge in used:
            before[edge["run_id"]] |= _maker(makers.get(edge["artifact_id"], []), edge["run_id"])
        waiting = {run for runs in before.values() for run in runs} - before.keys()
    return before


def _maker(makers: list[int], user: int) -> set[int]:
    """Which of the runs that made a version a run had it from: the last one before it, else the first."""
    others = [run for run in makers if run != user]
    earlier = [run for run in others if run < user]
    return {max(earlier)} if earlier else {min(others)} if others else set()


def _steps(last: int, before: dict[int, set[int]]) -> dict[int, int]:
    """How many steps each run is away from the last one."""
    steps, front, step = {last: 0}, {last}, 0
    while front:
        step += 1
        front = {run for one in front for run in before.get(one, set())} - steps.keys()
        steps |= dict.fromkeys(front, step)
    return steps


def _of_each_job(steps: dict[int, int], rows: dict[int, Row]) -> list[Row]:
    """The nearest run of each job type, the newest if several are as near; the first of the pipeline first."""
    chosen: dict[str, int] = {}
    for run in sorted(steps, key=lambda run: (steps[run], -run)):
        chosen.setdefault(rows[run]["job_type"] or rows[run]["display_name"], run)
    return [rows[run] for run in sorted(chosen.values())]
