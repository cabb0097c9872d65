"""Parts that resumed their run offline. Their rows go on behind the last step that the run had when they began.

Only the registry knows that step. The SDK asks for it when it syncs a part for the first time, numbers the rows from
there on, and keeps the answer. What is synced in another order than it was logged has other steps, so: they are put
right as soon as the registry has what was before. Rows to which the script gave steps further on stay at these.
"""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model import access, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.runs import history, offline_parts, offline_rows
from wandb_registry.model.runs.runs import loads

Row = dict[str, Any]
Numbered = tuple[int, Row, str]  # a line's number, its JSON object, and its text
ASKED_BEFORE = 600  # seconds in which a process announces its run, at most, after it asked for it

NOTE = """
insert into resume_asked (entity_id, project, run, asked) values (:entity, :project, :run, :now)
    on conflict (entity_id, project, run) do update set asked = excluded.asked
"""
FORGET_OLD = "delete from resume_asked where asked < :oldest"
TAKE = """
delete from resume_asked where entity_id = :entity and project = :project and run = :run and asked >= :oldest
"""
SAVE = """
update offline_part
   set first_step = :first_step, follows = :follows, sent_to = :sent_to, moved_by = :moved_by
 where id = :id
"""
PLACE = ("id", "first_step", "follows", "sent_to", "moved_by")
STORED = """
select number, step, body
  from stream_line
 where run_id = :run and stream = 'history' and step >= :first
 order by step
"""
MOVE = """
update stream_line set step = :step, body = :body where run_id = :run and stream = 'history' and number = :number
"""
MOVE_ASIDE = "delete from replaced_row where run_id = :run and step = :step and logged = :logged"


def note_that_asked(db: Connection, viewer: Viewer, asked: Row) -> None:
    """Notes that a process asked where a run goes on, if that run isn't there. `asked`: the document's variables."""
    entity = access.find_entity(db, viewer, asked.get("entity"))
    if entity is None or access.entity_role(db, viewer, entity["id"]) < Role.MEMBER:
        return
    name, run = asked.get("project") or projects.UNNAMED, asked.get("name")
    project = access.find_project(db, viewer, entity["name"], name)
    if isinstance(run, str) and not (project and access.find_run(db, project, run)):
        now = time.time()
        db.execute(FORGET_OLD, {"oldest": now - ASKED_BEFORE})
        db.execute(NOTE, {"entity": entity["id"], "project": name, "run": run, "now": now})


def has_asked(db: Connection, viewer: Viewer, given: Row) -> bool:
    """Whether the process that announces a new run asked for it before: then it resumes. The note goes."""
    entity = access.find_entity(db, viewer, given.get("entity_name"))
    if entity is None:
        return False
    run = {"project": given.get("model_name") or projects.UNNAMED, "run": given.get("name")}
    return db.execute(TAKE, run | {"entity": entity["id"], "oldest": time.time() - ASKED_BEFORE}).rowcount > 0


def goes_on_at(db: Connection, run: Row) -> int:
    """The step from which the SDK numbers what resumes the run now: behind the last one, or the count of rows."""
    return max(run["last_step"] + 1, history.line_count(db, run, "history"))


def in_place(db: Connection, run: Row, numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The rows that are synced now, each with the step at which it stands."""
    part = offline_parts.sending(db, run["id"])
    if part is None or part["started"] is None or part["resumed_at"] is None:
        yield from numbered
        return
    for number, row, body in numbered:
        step = history.step(row)
        if step is not None and part["sent_to"] is None:
            part |= _place(db, run, part, step)
            db.execute(SAVE, {name: part[name] for name in PLACE})
        if step is not None and step == part["sent_to"] + 1:
            part["sent_to"] = step
            row, body = _at(row, body, step + part["moved_by"])
        yield number, row, body
    db.execute(SAVE, {name: part[name] for name in PLACE})


def settle(db: Connection, run: Row) -> None:
    """Puts the rows of all parts where they belong by what is known now; those that count are the run's."""
    told = offline_parts.told(db, run["id"])
    for part in told:
        if part["follows"]:
            first = _next_step(db, run, part["started"])
            if first != part["first_step"]:
                _move(db, run, part, first)
    offline_rows.settle(db, run)


def are_behind(db: Connection, run: Row) -> bool:
    """Whether parts that follow others began later than the one that sends now."""
    part = offline_parts.sending(db, run["id"])
    started = part["started"] if part else None
    return started is not None and any(
        later["follows"] for later in offline_parts.told(db, run["id"]) if later["started"] > started
    )


def _place(db: Connection, run: Row, part: Row, step: int) -> Row:
    """Where a part's rows stand of which the first comes with this step."""
    if part["first_step"] is not None:  # it is synced once more
        return {"sent_to": step - 1, "moved_by": part["first_step"] - step}
    follows = step == part["resumed_at"] and not _ran_beside_others(db, run, part)
    first = _next_step(db, run, part["started"]) if follows else step
    return {"sent_to": step - 1, "moved_by": first - step, "first_step": first, "follows": int(follows)}


def _ran_beside_others(db: Connection, run: Row, part: Row) -> bool:
    """Whether somebody else logged while the part ran: which row is whose can't be told then."""
    until = _end(db, run, part)
    return any(part["started"] <= logged < until for _, logged, _ in offline_rows.all_rows(db, run))


def _next_step(db: Connection, run: Row, moment: float) -> int:
    """The step behind the last one that the run had at a moment."""
    before = offline_rows.rows_at(db, run, moment)
    return before[-1][0] + 1 if before else 0


def _move(db: Connection, run: Row, part: Row, first: int) -> None:
    """Moves a part's rows, and those of them that are kept aside, so that they begin at a step."""
    by, until = first - part["first_step"], _end(db, run, part)
    own = {step for step, at, _ in offline_rows.all_rows(db, run) if part["started"] <= at < until}
    end = part["first_step"]
    while end in own:
        end += 1

    def is_own(row: Row) -> bool:
        return row["step"] < end and part["started"] <= offline_rows.time_of(loads(row["body"])) < until

    for row in [row for row in db.all(STORED, run=run["id"], first=part["first_step"]) if is_own(row)]:
        _, body = _at(loads(row["body"]), row["body"], row["step"] + by)
        db.execute(MOVE, {"run": run["id"], "number": row["number"], "step": row["step"] + by, "body": body})
    aside = [row for row in db.all(offline_rows.ASIDE, run=run["id"]) if row["step"] >= part["first_step"]]
    aside = [row for row in aside if is_own(row)]
    db.executemany(MOVE_ASIDE, [{"run": run["id"], "step": row["step"], "logged": row["logged"]} for row in aside])
    moved = [(row["step"] + by, _at(loads(row["body"]), row["body"], row["step"] + by)[1]) for row in aside]
    offline_rows.keep_aside(db, run, moved)
    db.execute(SAVE, part | {"first_step": first, "moved_by": part["moved_by"] + by})


def _end(db: Connection, run: Row, part: Row) -> float:
    """When the next part began."""
    return min(
        (one["started"] for one in offline_parts.told(db, run["id"]) if one["started"] > part["started"]),
        default=math.inf,
    )


def _at(row: Row, body: str, step: int) -> tuple[Row, str]:
    """A row, and its text, with another step."""
    if row["_step"] == step:
        return row, body
    row = row | {"_step": step}
    return row, json.dumps(row)
