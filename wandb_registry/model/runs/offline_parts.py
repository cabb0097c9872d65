"""The parts of a run that logged offline, and what of the run is whose: its name and notes, its console, its files.

`wandb sync` sends one part after the other, in any order and again. A part announces the run, and tells when it started
only after that. What comes from then on is its own, until another one begins. Of two parts the one that started later
counts; one that logged from step 0 replaced all that were before it, as `offline_rows` has it for the metrics.
"""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model.runs import history, offline_rows
from wandb_registry.model.runs.runs import COLUMNS, loads

Row = dict[str, Any]
OF_ALL = ("config", "summary_metrics", "state")  # what the parts of a run have in common

OTHERS = "delete from offline_part where run_id = :run and started is null"
NONE_SENDS = "update offline_part set is_sending = 0 where run_id = :run"
BEGIN = "insert into offline_part (run_id, words, resumed_at, is_sending) values (:run, :words, :resumed_at, 1)"
SENDING = "select * from offline_part where run_id = :run and is_sending = 1"
TOLD = "select * from offline_part where run_id = :run and started is not null order by started"
SET_TOLD = """
update offline_part
   set started = :started, words = :words, config = :config, summary = :summary, console_lines = :console_lines,
       first_step = :first_step, follows = :follows
 where id = :id
"""
WAS_ONLINE = """
insert into offline_part (run_id, started, console_lines, summary, is_sending) values (:run, 0, :lines, :summary, 0)
"""
SET_WORDS = """
update run
   set display_name = coalesce(:display_name, display_name), description = :description, notes = :notes,
       group_name = :group_name, job_type = :job_type, git_commit = :git_commit, repo = :repo, host = :host,
       program = :program, tags = coalesce(:tags, '[]')
 where id = :id
returning *
"""
FORGET = """
update offline_part
   set console_lines = 0, words = '{}', config = '{}', summary = '{}'
 where run_id = :run and started < :first
"""
MAKE_ROOM = (  # over numbers that no line has: a number is one line's at any moment
    "update console_line set number = -1 - number where run_id = :run and number >= :first",
    "update console_line set number = -1 - number + :lines where run_id = :run and number < 0",
)


def hold_back(db: Connection, run: Row, given: Row) -> Row:
    """What of an announcement holds before its part has told when it started: the words wait, if other parts told."""
    return {key: value for key, value in given.items() if key not in _WORDS} if told(db, run["id"]) else given


def begin(db: Connection, run: Row, given: Row, resumed_at: int | None) -> None:
    """Takes what comes next for a part's that announced the run like this. One that resumed it goes on at a step."""
    words = {column: given[key] for key, column in _WORDS.items() if given.get(key)}
    if "tags" in words:
        words["tags"] = json.dumps(words["tags"])
    for statement in (OTHERS, NONE_SENDS):
        db.execute(statement, {"run": run["id"]})
    _keep_what_was_online(db, run)
    db.execute(BEGIN, {"run": run["id"], "words": json.dumps(words), "resumed_at": resumed_at})


def tell(db: Connection, run: Row, started: float, config: Row) -> Row:
    """The part that sends started then, and has this config. Returns the run with the words of all its parts.

    A part that resumed sends the config of those before it too: what they said the same is not its own.
    """
    part = sending(db, run["id"])
    if part is None or part["started"] is not None:
        return run
    before = told(db, run["id"])
    for known in before:
        if known["started"] == started:  # synced once more
            db.execute("delete from offline_part where id = :id", {"id": known["id"]})
            part |= {name: known[name] for name in ("console_lines", "first_step", "follows", "summary")}
    others = [loads(known["config"]) for known in before if known["started"] < started]
    own = {key: value for key, value in config.items() if all(other.get(key) != value for other in others)}
    own.pop("_wandb", None)  # what the SDK says of its processes: offline_rows.config
    part |= {"started": started, "config": json.dumps(own)}
    if _is_replaced(db, run, started):
        part |= {"words": "{}", "config": "{}", "summary": "{}"}
    db.execute(SET_TOLD, part)
    return _say_anew(db, run, before, told(db, run["id"]))


def end(db: Connection, run: Row) -> None:
    """The part that sends has sent all. One that never told when it started counts as the last."""
    part = sending(db, run["id"])
    if part and part["started"] is None:
        _set_words(db, run, loads(part["words"]))
    db.execute(NONE_SENDS, {"run": run["id"]})
    db.execute(OTHERS, {"run": run["id"]})


def sending(db: Connection, run_id: int) -> Row | None:
    """The part that sends now, if one does."""
    return db.one(SENDING, run=run_id)


def told(db: Connection, run_id: int) -> list[Row]:
    """The parts that told when they started, the earliest first."""
    return db.all(TOLD, run=run_id)


def forget_replaced(db: Connection, run: Row) -> None:
    """Removes what is left of the parts before the one that logged from the first step on."""
    first = _first_start(db, run)
    before = told(db, run["id"])
    parts = [part for part in before if first is not None and part["started"] < first]
    if not parts:
        return
    lines = sum(part["console_lines"] for part in parts)
    db.execute("delete from console_line where run_id = :run and number < :lines", {"run": run["id"], "lines": lines})
    _shift(db, run, lines, -lines)
    old = {"run": run["id"], "first": first}
    db.execute("delete from run_file where run_id = :run and part_started < :first", old)
    db.execute("delete from offline_part where run_id = :run and started < :first and is_sending = 0", old)
    db.execute(FORGET, old)
    _say_anew(db, run, before, [part for part in before if part not in parts])


def summarize(db: Connection, run: Row, given: Row | None = None) -> Row:
    """The run's summary by what its parts said, the sending one now: those that count, each over those before it.

    Of what was logged before the last rewind, the rows' last values count.
    """
    part = sending(db, run["id"])
    if given is not None and part and not _is_replaced(db, run, part["started"]):
        db.execute(
            "update offline_part set summary = :summary where id = :id",
            {"summary": json.dumps(given), "id": part["id"]},
        )
    first, went_back = _first_start(db, run) or 0.0, offline_rows.last_rewind(db, run)
    rows = offline_rows.rows_at(db, run, went_back) if went_back is not None and went_back >= first else []
    summary: Row = {}
    for _, body in rows:
        summary |= loads(body)
    since = max(first, went_back or 0.0)
    return summary | _merged([part for part in told(db, run["id"]) if part["started"] >= since], "summary")


def console_place(db: Connection, run: Row, offset: int, count: int) -> int | None:
    """The number of the first of some lines that the sending part has at an offset; None if it was replaced."""
    part = sending(db, run["id"])
    if part is None or part["started"] is None:
        return offset
    if _is_replaced(db, run, part["started"]):
        return None
    earlier = sum(one["console_lines"] for one in told(db, run["id"]) if one["started"] < part["started"])
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


_WORDS = {key: column for key, column in COLUMNS.items() if key not in OF_ALL} | {"tags": "tags"}


def _keep_what_was_online(db: Connection, run: Row) -> None:
    """What a run has before its first part is as that of a part which started before all others."""
    lines = history.console_count(db, run)
    if not told(db, run["id"]) and (lines or run["last_step"] >= 0):
        db.execute(WAS_ONLINE, {"run": run["id"], "lines": lines, "summary": run["summary"]})


def _merged(parts: list[Row], what: str) -> Row:
    """What parts said, the last word on each."""
    merged: Row = {}
    for part in parts:
        merged |= loads(part[what])
    return merged


def _say_anew(db: Connection, run: Row, before: list[Row], after: list[Row]) -> Row:
    """Gives the run the words and the config of its parts. Anything that a person changed meanwhile stays."""
    config = _changed(_merged(before, "config"), _merged(after, "config"))
    if config:
        stored = loads(db.value("select config from run where id = :id", id=run["id"])) | config
        kept = {key: value for key, value in stored.items() if config.get(key, value) is not None}
        db.execute("update run set config = :config where id = :id", {"config": json.dumps(kept), "id": run["id"]})
    return _set_words(db, run, _changed(_merged(before, "words"), _merged(after, "words")))


def _changed(before: Row, after: Row) -> Row:
    """What is another than before; None for what isn't there any more."""
    return {key: after.get(key) for key in before | after if before.get(key) != after.get(key)}


def _set_words(db: Connection, run: Row, words: Row) -> Row:
    there = db.row("select * from run where id = :id", id=run["id"])
    if not words:
        return there
    return db.row(SET_WORDS, id=run["id"], **({column: there[column] for column in _WORDS.values()} | words))


def _first_start(db: Connection, run: Row) -> float | None:
    """When the part started that logged the first step of the run, if that is step 0."""
    time = offline_rows.time_of_first_step(db, run)
    starts = [part["started"] for part in told(db, run["id"]) if time is not None and part["started"] <= time]
    return max(starts, default=None)


def _is_replaced(db: Connection, run: Row, started: float) -> bool:
    first = _first_start(db, run)
    return first is not None and started < first


def _shift(db: Connection, run: Row, first: int, lines: int) -> None:
    """Renumbers the lines of the console from a number on."""
    for statement in MAKE_ROOM:
        db.execute(statement, {"run": run["id"], "first": first, "lines": lines})
