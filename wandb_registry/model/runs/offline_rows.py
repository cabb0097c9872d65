"""History rows of runs that logged offline and are synced later: in any order, twice, or only in part before.

Their times tell which execution is the later one. It holds from its first step on, as if the run had been online: a
start without resume replaces all, a resumed one goes on where its first step says.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.runs import history
from wandb_registry.model.runs.runs import loads

Row = dict[str, Any]
Numbered = tuple[int, Row, str]
STEPPED = (
    "select step, body from stream_line where run_id = :run and stream = 'history' and step is not null order by step"
)
NUMBERED = (
    "select number from stream_line where run_id = :run and stream = 'history' order by coalesce(step, -1), number"
)


def in_their_time(db: Connection, run: Row, numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The rows that no later execution replaced. What they replace themselves is removed as they pass."""
    stored = [(row["step"], time_of(loads(row["body"]))) for row in db.all(STEPPED, run=run["id"])]
    steps = [step for step, _ in stored]
    latest = list(accumulate((time for _, time in stored), max))  # up to each of the steps
    replaced_from = None
    for item in numbered:
        step, time = history.step(item[1]), time_of(item[1])
        if step is not None and (before := bisect_right(steps, step)) and latest[before - 1] > time:
            continue
        if step is not None and replaced_from is None:
            replaced_from = step
            _replace(db, run, [at for at, logged in stored if at >= step and logged < time])
        yield item


def summary(db: Connection, run: Row, given: Row, stored: Row) -> Row:
    """The summary after one that is synced: what was logged later counts, and alone where it replaced the rest."""
    if time_of(given) >= time_of(stored):
        return given
    first = db.one(STEPPED + " limit 1", run=run["id"])
    replaced = first is not None and time_of(loads(first["body"])) > time_of(given)
    return stored if replaced else given | stored


def put_in_order(db: Connection, run: Row) -> None:
    """Numbers the lines by their steps."""
    numbers = [row["number"] for row in db.all(NUMBERED, run=run["id"])]
    if numbers == sorted(numbers):
        return
    renumber = "update stream_line set number = :to where run_id = :run and stream = 'history' and number = :number"
    above = max(numbers) + 1  # numbers that no line has, on the way
    moves = [{"run": run["id"], "number": number, "to": above + at} for at, number in enumerate(numbers)]
    db.executemany(renumber, moves)
    db.executemany(renumber, [{"run": run["id"], "number": move["to"], "to": move["to"] - above} for move in moves])


def _replace(db: Connection, run: Row, steps: list[int]) -> None:
    delete = "delete from stream_line where run_id = :run and stream = 'history' and step = :step"
    db.executemany(delete, [{"run": run["id"], "step": step} for step in steps])


def time_of(row: Row) -> float:
    """When a row or a summary was logged, in seconds since 1970; 0 if it doesn't say."""
    time = row.get("_timestamp")
    return time if isinstance(time, (int, float)) and math.isfinite(time) else 0.0
