"""The parts of a run that logged offline, and what of the run is whose: its name and notes, its console, its files.

`wandb sync` sends one part after the other, in any order and again. A part announces the run, and tells when it started
only after that. What comes from then on is its own, until another one begins. Of two parts the one that started later
counts; one that logged from step 0 replaced all that were before it, as `offline_rows` has it for the metrics.
"""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.runs import offline_rows
from wandb_registry.model.runs.runs import COLUMNS, loads

Row = dict[str, Any]
OF_ALL = ("config", "summary_metrics", "state")  # what the parts of a run have in common

OTHERS = "delete from offline_part where run_id = :run and started is null"
NONE_SENDS = "update offline_part set is_sending = 0 where run_id = :run"
BEGIN = "insert into offline_part (run_id, words, is_sending) values (:run, :words, 1)"
SENDING = "select * from offline_part where run_id = :run and is_sending = 1"
TOLD = "select * from offline_part where run_id = :run and started is not null order by started"
SET_WORDS = """
update run
   set display_name = coalesce(:display_name, display_name), description = :description, notes = :notes,
       group_name = :group_name, job_type = :job_type, git_commit = :git_commit, repo = :repo, host = :host,
       program = :program, tags = coalesce(:tags, '[]')
 where id = :id
returning *
"""
MAKE_ROOM = (  # over numbers that no line has: a number is one line's at any moment
    "update console_line set number = -1 - number where run_id = :run and number >= :first",
    "update console_line set number = -1 - number + :lines where run_id = :run and number < 0",
)


def hold_back(db: Connection, run: Row, given: Row) -> Row:
    """What of an announcement holds before its part has told when it started: the words wait, if other parts told."""
    return {key: value for key, value in given.items() if key not in _WORDS} if _told(db, run["id"]) else given


def begin(db: Connection, run: Row, given: Row) -> None:
    """Takes what comes next for a part's that announced the run like this."""
    words = {column: given[key] for key, column in _WORDS.items() if given.get(key)}
    if "tags" in words:
        words["tags"] = json.dumps(words["tags"])
    for statement in (OTHERS, NONE_SENDS):
        db.execute(statement, {"run": run["id"]})
    db.execute(BEGIN, {"run": run["id"], "words": json.dumps(words)})


def tell(db: Connection, run: Row, started: float, config: Row) -> Row:
    """The part that sends started then, and has this config. Returns the run with the words of all its parts.

    A part that resumed sends the config of those before it too: what they said the same is not its own.
    """
    part = sending(db, run["id"])
    if part is None or part["started"] is not None:
        return run
    before = _words(db, run)
    for known in _told(db, run["id"]):
        if known["started"] == started:  # synced once more
            db.execute("delete from offline_part where id = :id", {"id": known["id"]})
            part["console_lines"] = known["console_lines"]
    others = [loads(known["config"]) for known in _told(db, run["id"]) if known["started"] < started]
    own = {key: value for key, value in config.items() if all(other.get(key) != value for other in others)}
    db.execute(
        "update offline_part set started = :started, console_lines = :lines, config = :config where id = :id",
        {"started": started, "lines": part["console_lines"], "config": json.dumps(own), "id": part["id"]},
    )
    return _set_words(db, run, before)


def end(db: Connection, run: Row) -> None:
    """The part that sends has sent all. One that never told when it started counts as the last."""
    part = sending(db, run["id"])
    if part and part["started"] is None:
        _set(db, run, loads(part["words"]))
    db.execute(NONE_SENDS, {"run": run["id"]})
    db.execute(OTHERS, {"run": run["id"]})


def sending(db: Connection, run_id: int) -> Row | None:
    """The part that sends now, if one does."""
    return db.one(SENDING, run=run_id)


def forget_replaced(db: Connection, run: Row) -> None:
    """Removes what is left of the parts before the one that logged from the first step on."""
    first = _first_start(db, run)
    parts = [part for part in _told(db, run["id"]) if first is not None and part["started"] < first]
    if not parts:
        return
    before = _words(db, run)
    lines = sum(part["console_lines"] for part in parts)
    db.execute("delete from console_line where run_id = :run and number < :lines", {"run": run["id"], "lines": lines})
    _shift(db, run, lines, -lines)
    _forget_config(db, run, parts)
    old = {"run": run["id"], "first": first}
    db.execute("delete from run_file where run_id = :run and part_started < :first", old)
    db.execute("delete from offline_part where run_id = :run and started < :first and is_sending = 0", old)
    db.execute("update offline_part set console_lines = 0 where run_id = :run and started < :first", old)
    _set_words(db, run, before)


def _forget_config(db: Connection, run: Row, replaced: list[Row]) -> None:
    """Takes from the config what only the replaced parts said."""
    last = max(part["started"] for part in replaced)
    kept = {key for part in _told(db, run["id"]) if part["started"] > last for key in loads(part["config"])}
    gone = {key: value for part in replaced for key, value in loads(part["config"]).items() if key not in kept}
    stored = loads(db.value("select config from run where id = :id", id=run["id"]))
    config = {key: value for key, value in stored.items() if key == "_wandb" or gone.get(key, _NOTHING) != value}
    if config != stored:
        db.execute("update run set config = :config where id = :id", {"config": json.dumps(config), "id": run["id"]})


def console_place(db: Connection, run: Row, offset: int, count: int) -> int | None:
    """The number of the first of some lines that the sending part has at an offset; None if it was replaced."""
    part = sending(db, run["id"])
    if part is None or part["started"] is None:
        return offset
    if _is_replaced(db, run, part["started"]):
        return None
    earlier = sum(one["console_lines"] for one in _told(db, run["id"]) if one["started"] < part["started"])
    begins = offset if part["console_from"] is None else part["console_from"]
    at = max(0, offset - begins)
    more = max(0, at + count - part["console_lines"])
    if more:
        _shift(db, run, earlier + part["console_lines"], more)
    db.execute(
        "update offline_part set console_lines = console_lines + :more, console_from = :begins where id = :id",
        {"more": more, "begins": begins, "id": part["id"]},
    )
    return earlier + at


def keeps_file(db: Connection, run: Row, there: Row | None, started: float) -> bool:
    """Whether a run keeps a file from a part: not if the one that is there is from a later part, or all of it is."""
    later = there is not None and there["part_started"] is not None and there["part_started"] > started
    return not later and not _is_replaced(db, run, started)


_NOTHING = object()
_WORDS = {key: column for key, column in COLUMNS.items() if key not in OF_ALL} | {"tags": "tags"}


def _told(db: Connection, run_id: int) -> list[Row]:
    """The parts that told when they started, the earliest first."""
    return db.all(TOLD, run=run_id)


def _words(db: Connection, run: Row) -> Row:
    """What the parts that count said of the run, the last word on each."""
    words: Row = {}
    for part in _told(db, run["id"]):
        words |= {} if _is_replaced(db, run, part["started"]) else loads(part["words"])
    return words


def _set_words(db: Connection, run: Row, before: Row) -> Row:
    """Gives the run the words that are others than before. Anything that a person changed meanwhile stays."""
    after = _words(db, run)
    changed = [column for column in before | after if before.get(column) != after.get(column)]
    return _set(db, run, {column: after.get(column) for column in changed})


def _set(db: Connection, run: Row, words: Row) -> Row:
    if not words:
        return run
    there = db.row("select * from run where id = :id", id=run["id"])
    return db.row(SET_WORDS, id=run["id"], **({column: there[column] for column in _WORDS.values()} | words))


def _first_start(db: Connection, run: Row) -> float | None:
    """When the part started that logged the first step of the run, if that is step 0."""
    time = offline_rows.time_of_first_step(db, run)
    starts = [part["started"] for part in _told(db, run["id"]) if time is not None and part["started"] <= time]
    return max(starts, default=None)


def _is_replaced(db: Connection, run: Row, started: float) -> bool:
    first = _first_start(db, run)
    return first is not None and started < first


def _shift(db: Connection, run: Row, first: int, lines: int) -> None:
    """Renumbers the lines of the console from a number on."""
    for statement in MAKE_ROOM:
        db.execute(statement, {"run": run["id"], "first": first, "lines": lines})
