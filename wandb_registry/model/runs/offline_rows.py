"""What runs have logged offline and is synced later: in any order, twice, or only in part before.

Their times tell which execution is the later one. It holds from its first step on, as if the run had been online: a
start without resume replaces all, a resumed one goes on where its first step says, a rewound one behind the step that
it went back to. Rows that are replaced are kept aside: what is synced next may show that they do count, or that a fork
has them.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
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
KEEP_ASIDE = """
insert into replaced_row (run_id, step, logged, body) values (:run, :step, :logged, :body)
    on conflict (run_id, step, logged) do nothing
"""
ASIDE = "select step, logged, body from replaced_row where run_id = :run"
REWINDS = "select step, at from rewind where run_id = :run and at is not null"
RESUMED = """
select first_step is not null
  from offline_part
 where run_id = :run and started <= :time
 order by started desc
 limit 1
"""
BESIDE = """
select first_step, started
  from offline_part
 where run_id = :run and follows = 0 and first_step = resumed_at
"""
DELETE_ROW = "delete from stream_line where run_id = :run and stream = 'history' and step = :step and body = :body"
INSERT_ROW = """
insert into stream_line (run_id, stream, number, step, body) values (:run, 'history', :number, :step, :body)
"""


def in_their_time(db: Connection, run: Row, numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The rows that no later execution replaced. What they replace themselves is removed as they pass."""
    stored = [(row["step"], time_of(loads(row["body"]))) for row in db.all(STEPPED, run=run["id"])]
    steps = [step for step, _ in stored]
    latest = list(accumulate((time for _, time in stored), max))  # up to each of the steps
    rewinds = [(rewind["step"], rewind["at"]) for rewind in db.all(REWINDS, run=run["id"])]
    beside = replaced_from = None
    for item in numbered:
        step, time = history.step(item[1]), time_of(item[1])
        before = bisect_right(steps, step) if step is not None else 0
        rewound = step is not None and any(to < step and time < at for to, at in rewinds)
        is_older = bool(before) and latest[before - 1] > time
        if is_older and step is not None:
            beside = _beside(db, run) if beside is None else beside  # the part that sends is placed by now
            least = _counts_at(time_of_first_step(db, run), beside, step, time)
            is_older = not least or any(logged > time for _, logged in stored[bisect_left(steps, least) : before])
        if rewound or is_older:
            keep_aside(db, run, [(step or 0, item[2])])
            continue
        if step is not None and replaced_from is None:
            replaced_from = step
            _replace(db, run, [at for at, logged in stored if at >= step and logged < time])
        yield item


def keep_aside(db: Connection, run: Row, rows: Iterable[tuple[int, str]]) -> None:
    """Keeps rows that the run's history doesn't have any more: their steps and texts."""
    kept = [{"step": step, "logged": time_of(loads(body)), "body": body} for step, body in rows]
    db.executemany(KEEP_ASIDE, [{"run": run["id"]} | row for row in kept])


def all_rows(db: Connection, run: Row) -> list[tuple[int, float, str]]:
    """The rows that the run has, and those that it had, by step, time and text."""
    stored = [(row["step"], time_of(loads(row["body"])), row["body"]) for row in db.all(STEPPED, run=run["id"])]
    return [(row["step"], row["logged"], row["body"]) for row in db.all(ASIDE, run=run["id"])] + stored


def rows_at(db: Connection, run: Row, moment: float = math.inf) -> list[tuple[int, str]]:
    """The rows that the run had at a moment, by step and text: the replaced ones too, where they weren't so yet."""
    by_step = sorted({row[:2]: row for row in all_rows(db, run) if row[1] < moment}.values(), key=lambda row: row[:2])
    rewinds = [(one["step"], one["at"]) for one in db.all(REWINDS, run=run["id"]) if one["at"] < moment]
    standing = [row for row in by_step if not any(to < row[0] and row[1] < at for to, at in rewinds)]
    latest = accumulate((logged for _, logged, _ in standing), max)
    newest = {step: (logged, body) for step, logged, body in standing}
    up_to = {row[0]: time for row, time in zip(standing, latest, strict=True)}
    beside = _beside(db, run)
    if beside:
        up_to |= _up_to_beside(db, run, beside, newest)
    return [(step, body) for step, (logged, body) in newest.items() if logged >= up_to[step]]


def _up_to_beside(
    db: Connection, run: Row, beside: list[tuple[int, float]], newest: dict[int, tuple[float, str]]
) -> dict[int, float]:
    """When the latest row was logged that can replace one of a part beside others, by step."""
    began = newest[0][0] if 0 in newest and not db.value(RESUMED, run=run["id"], time=newest[0][0]) else None
    up_to: dict[int, float] = {}
    latest: dict[int, float] = {}  # by the least step
    for step, (logged, _) in newest.items():
        for first, _ in beside:
            if first <= step:
                latest[first] = max(latest.get(first, logged), logged)
        if least := _counts_at(began, beside, step, logged):
            up_to[step] = latest[least]
    return up_to


def _beside(db: Connection, run: Row) -> list[tuple[int, float]]:
    """The parts that were numbered when they were synced, since others logged while they ran: first step and start."""
    return [(part["first_step"], part["started"]) for part in db.all(BESIDE, run=run["id"])]


def _counts_at(began: float | None, beside: list[tuple[int, float]], step: int, logged: float) -> int:
    """The least step whose later rows replace a row. What a part beside others went on behind replaces none of it."""
    if began is not None and began > logged:
        return 0
    return max((first for first, started in beside if first <= step and started <= logged), default=0)


def last_rewind(db: Connection, run: Row) -> float | None:
    """When the run was rewound last, in seconds since 1970; None if never."""
    return max((rewind["at"] for rewind in db.all(REWINDS, run=run["id"])), default=None)


def settle(db: Connection, run: Row) -> None:
    """Gives the run the rows that count by all that is known now, and keeps the others aside."""
    counting = rows_at(db, run)
    bodies = {body for _, body in counting}
    there = {row["body"]: row["step"] for row in db.all(STEPPED, run=run["id"])}
    remove(db, run, [(step, body) for body, step in there.items() if body not in bodies])
    add(db, run, [(step, body) for step, body in counting if body not in there])


def remove(db: Connection, run: Row, rows: list[tuple[int, str]]) -> None:
    """Takes rows out of the history and keeps them aside."""
    keep_aside(db, run, rows)
    db.executemany(DELETE_ROW, [{"run": run["id"], "step": step, "body": body} for step, body in rows])


def add(db: Connection, run: Row, rows: list[tuple[int, str]]) -> None:
    """Puts rows into the history, each at its step."""
    numbered = enumerate(rows, history.line_count(db, run, "history"))
    values = {"run": run["id"]}
    db.executemany(INSERT_ROW, [values | {"number": at, "step": step, "body": body} for at, (step, body) in numbered])
    put_in_order(db, run)


def summary(db: Connection, run: Row, given: Row, stored: Row) -> Row:
    """The summary after one of a part that doesn't tell when it started: what was logged later counts.

    It counts alone where it replaced the rest.
    """
    if time_of(given) >= time_of(stored):
        return given
    replaced = (time_of_first_step(db, run) or 0.0) > time_of(given)
    replaced = replaced or any(rewind["at"] > time_of(given) for rewind in db.all(REWINDS, run=run["id"]))
    return stored if replaced else given | stored


def config(run: Row, given: Row) -> Row:
    """The config after one that a part sends: what it says of its processes, and all else if it is the first part.

    A part says when it started only in its last config. Then its own keys come in their place: `offline_parts.tell`.
    """
    stored = loads(run["config"])
    before, after = _internal(stored), _internal(given)
    processes = {**_processes(before), **_processes(after)}
    internal = before | after | ({"e": processes} if processes else {})
    if goes_back_in(run, after) and "branch_point" in before:  # a fork that is rewound stays a fork
        internal["branch_point"] = before["branch_point"]
    return (given if started(before) is None else stored) | {"_wandb": {"value": internal}}


def goes_back_in(run: Row, internal: Row) -> bool:
    """Whether a process says of itself that it goes on from an earlier step of its own run: a rewind."""
    point = internal.get("branch_point")
    return isinstance(point, dict) and point.get("run_id") == run["name"]


def _internal(config: Row) -> Row:
    entry = config.get("_wandb")
    value = entry.get("value") if isinstance(entry, dict) else None
    return value if isinstance(value, dict) else {}


def _processes(internal: Row) -> Row:
    """What the SDK says of each process that wrote the run."""
    return internal["e"] if isinstance(internal.get("e"), dict) else {}


def started(internal: Row) -> float | None:
    """When the last of the processes started, in seconds since 1970."""
    times = [about.get("startedAt") for about in _processes(internal).values() if isinstance(about, dict)]
    read = (_seconds(time) for time in times if isinstance(time, str))
    return max((seconds for seconds in read if seconds is not None), default=None)


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def time_of_first_step(db: Connection, run: Row) -> float | None:
    """When step 0 was logged, which replaced all that is older.

    None if the run has none, or if who logged it had resumed the run: that replaces nothing.
    """
    first = db.one(STEPPED + " limit 1", run=run["id"])
    if first is None or first["step"] != 0:
        return None
    time = time_of(loads(first["body"]))
    return None if db.value(RESUMED, run=run["id"], time=time) else time


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
    replaced = set(steps)
    remove(db, run, [(row["step"], row["body"]) for row in db.all(STEPPED, run=run["id"]) if row["step"] in replaced])


def time_of(row: Row) -> float:
    """When a row or a summary was logged, in seconds since 1970; 0 if it doesn't say."""
    time = row.get("_timestamp")
    return time if isinstance(time, (int, float)) and math.isfinite(time) else 0.0
