"""Stores what a run sends to file_stream: metric rows, system metrics, console lines, summary and exit code.

Lines come with their offset, so a repeated request changes nothing. history.py reads them. The requests are those that
the SDK's core/internal/filestream sends.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import alerts, history, offline_parts, offline_rows, resumed_parts, shared_mode
from wandb_registry.model.runs.runs import internal_config, is_offline, loads

Row = dict[str, Any]
Numbered = tuple[int, Row, str]  # a line's number, its JSON object, and its text
STREAMS = {"wandb-history.jsonl": "history", "wandb-events.jsonl": "events"}
SUMMARY = "wandb-summary.json"
CONSOLE = "output.log"
MOST_KEYS = 10_000  # as many as W&B advises to log at most
LONGEST_VALUE = 100
ESCAPED, HALF = re.compile(r"\\u[dD]"), re.compile("[\ud800-\udfff]")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what some database refuses in a line, and with it the request

INSERT_LINE = """
insert into stream_line (run_id, stream, number, step, body)
values (:run, :stream, :number, :step, :body)
"""
INSERT_CONSOLE_LINE = """
insert into console_line (run_id, number, body) values (:run, :number, :body)
    on conflict (run_id, number) do update set body = excluded.body
"""
DELETE_FROM_OFFSET = "delete from stream_line where run_id = :run and stream = :stream and number >= :offset"


def store(db: Connection, run: Row, request: dict[str, Any], writer_name: str | None = None) -> bool:
    """Stores one request; returns whether the run was asked to stop. In shared mode the writer has a name."""
    writer, wakes = shared_mode.join(db, run, writer_name) if writer_name else (None, True)
    files = request.get("files") or {}
    for name, offset, lines in _files(files):
        if name in STREAMS:
            _append(db, run, writer, STREAMS[name], offset, lines)
        elif name == CONSOLE:
            _append_to_console(db, run, writer, offset, lines)
        elif name == SUMMARY and lines:
            _set_summary(db, run, writer, lines[-1])
        elif name != SUMMARY and lines:
            told = (
                f"The run sent lines of '{name[:LONGEST_VALUE]}', which this registry doesn't know: they were not kept."
            )
            alerts.tell(db, run["id"], "Lines were refused", told)
    _set_state(db, run, request, bool(files) and wakes)
    if request.get("complete"):
        offline_parts.end(db, run)
    return bool(run["stop_asked"])


def _files(files: Any) -> Iterator[tuple[str, int, list[str]]]:
    """Name, first line number and lines of each file in a request."""
    for name, part in files.items() if isinstance(files, dict) else [("files", files)]:
        offset, lines = (part.get("offset") or 0, part.get("content") or []) if isinstance(part, dict) else (None, None)
        if not isinstance(offset, int) or offset < 0 or not isinstance(lines, list):
            raise BadInput(f"'{name}' is no part of a file_stream request: it takes an offset and a list of lines.")
        if not all(isinstance(line, str) for line in lines):
            raise BadInput(f"'{name}' takes lines of text.")
        yield name, offset, lines


def _append_to_console(db: Connection, run: Row, writer: Row | None, offset: int, lines: list[str]) -> None:
    if writer:
        first = shared_mode.console_line_number(writer, offset)
    else:
        first = offline_parts.console_place(db, run, offset, len(lines))
    if first is not None:
        numbered = enumerate((UNSTORABLE.sub("\ufffd", line) for line in lines), first)
        db.executemany(INSERT_CONSOLE_LINE, [{"run": run["id"], "number": n, "body": body} for n, body in numbered])


def _append(db: Connection, run: Row, writer: Row | None, stream: str, offset: int, lines: list[str]) -> None:
    """Stores lines one by one: an offline run sends all of them in one request, too many to hold them parsed."""
    if writer:
        lines = shared_mode.new_lines(db, writer, stream, offset, lines)
        offset = history.line_count(db, run, stream)
    known = history.keys(run)
    synced = stream == "history" and not writer and is_offline(internal_config(run, None))
    if synced:  # its offset doesn't count the rows of parts that were synced before
        offset, overwritten = history.line_count(db, run, stream), 0
    else:
        at = {"run": run["id"], "stream": stream, "offset": offset}
        overwritten = db.execute(DELETE_FROM_OFFSET, at).rowcount
    numbered = _readable(db, run, stream, offset, lines)
    if stream == "history":
        if writer:
            numbered = shared_mode.with_steps(run, numbered)
        elif synced:
            numbered = resumed_parts.in_place(db, run, numbered)
        if not writer and not overwritten:
            numbered = (item for item in numbered if not _is_duplicate(db, run, item[1]))
        if synced:
            numbered = offline_rows.in_their_time(db, run, numbered)
        numbered = _counting(known, numbered)
    values = {"run": run["id"], "stream": stream}
    db.executemany(
        INSERT_LINE, (values | {"number": n, "step": history.step(row), "body": body} for n, row, body in numbered)
    )
    if synced:
        if lines and resumed_parts.are_behind(db, run):
            resumed_parts.settle(db, run)
        offline_rows.put_in_order(db, run)
        offline_parts.forget_replaced(db, run)
    if stream == "history" and (overwritten or synced):
        recount_keys(db, run)
    elif stream == "history":
        _save_keys(db, run, known)


def _is_duplicate(db: Connection, run: Row, row: dict[str, Any]) -> bool:
    """Whether the run has exactly this row, time included: an offline run that is synced again sends all rows again."""
    step = history.step(row)
    if step is None or step > run["last_step"]:
        return False
    lines = db.all(
        "select body from stream_line where run_id = :run and stream = 'history' and step = :step",
        run=run["id"],
        step=step,
    )
    return any(history.finite(loads(line["body"])) == history.finite(row) for line in lines)


def _readable(db: Connection, run: Row, stream: str, offset: int, lines: list[str]) -> Iterator[Numbered]:
    """The lines, parsed. One that can't be is left out, and told: it would take all others of its request along."""
    for number, line in enumerate(lines, offset):
        try:
            row = _object(line, stream)
        except BadInput as error:
            alerts.tell(db, run["id"], f"A row of the {stream} was refused", f"{error} The other rows were kept.")
            continue
        yield number, *_whole(row, line)


def _whole(row: Row, line: str) -> tuple[Row, str]:
    """The row with a mark for half a character: JSON can hold it, an answer can't, so its key was not found."""
    if not ESCAPED.search(line):
        return row, line
    text = HALF.sub("\ufffd", json.dumps(row, ensure_ascii=False))
    return loads(text), text


def _object(line: str, stream: str) -> dict[str, Any]:
    row = loads(line)
    if not isinstance(row, dict):
        raise BadInput(f"A line of a run's {stream} is a JSON object.")
    return row


def recount_keys(db: Connection, run: Row) -> Row:
    """Counts the history's keys anew, after lines were removed. Returns the last value of each."""
    known: dict[str, Any] = {"keys": {}, "lastStep": -1}
    last: Row = {}
    for line in db.execute(history.BODIES, {"run": run["id"], "stream": "history"}):
        row = loads(line["body"])
        _count(known, row)
        last |= row
    _save_keys(db, run, known)
    return last


def _counting(known: dict[str, Any], numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The same lines; the keys of each are counted as it passes."""
    for item in numbered:
        _count(known, item[1])
        yield item


def _count(known: dict[str, Any], row: Row) -> None:
    """Counts a row's keys: the types of their values, and the last value."""
    known["lastStep"] = max(known["lastStep"], history.step(row) or 0)
    for key, value in leaves(row):
        if isinstance(value, dict) and not isinstance(value.get("_type"), str):
            continue  # an object without a type is no metric and no media
        if key not in known["keys"] and len(known["keys"]) >= MOST_KEYS:
            known["more"] = True
            continue
        entry = known["keys"].setdefault(key, {"typeCounts": [], "monotonic": True})
        kind = _kind(value)
        for count in entry["typeCounts"]:
            if count["type"] == kind:
                count["count"] += 1
                break
        else:
            entry["typeCounts"].append({"type": kind, "count": 1})
        if kind in ("number", "string"):
            now: Any = value[:LONGEST_VALUE] if isinstance(value, str) else history.finite(value)
            before = entry.get("previousValue", now)
            numbers = isinstance(before, (int, float)) and isinstance(now, (int, float))
            entry["monotonic"] = entry["monotonic"] and numbers and before <= now
            entry["previousValue"] = now


def _save_keys(db: Connection, run: Row, known: dict[str, Any]) -> None:
    """Saves the keys. Every request does so while no other can write: MOST_KEYS and LONGEST_VALUE keep it short."""
    db.execute(
        "update run set history_keys = :keys, last_step = :step where id = :run",
        {"keys": json.dumps(known["keys"]), "step": known["lastStep"], "run": run["id"]},
    )
    if known.get("more"):
        alerts.tell(
            db,
            run["id"],
            f"More than {MOST_KEYS:,} keys",
            f"The first {MOST_KEYS:,} keys are listed and drawn. The values of the others are kept: "
            "run.scan_history() of the public API reads them.",
        )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return value["_type"]
    return "number" if isinstance(value, (int, float)) else "string" if isinstance(value, str) else "list"


def _set_summary(db: Connection, run: Row, writer: Row | None, text: str) -> None:
    try:
        summary = _object(text, "summary")
    except BadInput as error:
        alerts.tell(db, run["id"], "A summary was refused", f"{error} The last one that could be read is shown.")
        return
    stored = loads(run["summary"])
    if writer:  # in shared mode a writer knows only the keys that it logged itself
        text = json.dumps(stored | summary)
    elif is_offline(internal_config(run, None)):
        told = (part := offline_parts.sending(db, run["id"])) is not None and part["started"] is not None
        summary = offline_parts.summarize(db, run, summary) if told else offline_rows.summary(db, run, summary, stored)
        text = json.dumps(_at_last_step(db, run, summary))
    db.execute("update run set summary = :summary where id = :run", {"summary": text, "run": run["id"]})


def _at_last_step(db: Connection, run: Row, summary: Row) -> Row:
    """A summary whose step is that of the run's last row: its part may have been sent with other ones."""
    last = db.value("select last_step from run where id = :id", id=run["id"])
    return summary | {"_step": last} if "_step" in summary and last >= 0 else summary


def _set_state(db: Connection, run: Row, request: dict[str, Any], wakes: bool) -> None:
    """A late heartbeat doesn't wake an ended run; new lines do, since then it was resumed."""
    state, exit_code, stop_asked = run["state"], run["exit_code"], run["stop_asked"]
    if request.get("complete"):
        exit_code = request.get("exitcode") or 0
        if not isinstance(exit_code, int):
            raise BadInput(f"'{exit_code}' is not an exit code.")
        unfinished = "killed" if stop_asked else "preempted" if state == "preempting" else "failed"
        state, stop_asked = (unfinished if exit_code else "finished"), 0
    elif request.get("preempting"):
        state = "preempting"
    elif wakes and state != "preempting":
        state, exit_code = "running", None
    db.execute(
        """
        update run
           set state = :state, exit_code = :exit_code, stop_asked = :stop_asked,
               heartbeat_at = strftime('%Y-%m-%dT%H:%M:%SZ')
         where id = :run
        """,
        {"state": state, "exit_code": exit_code, "stop_asked": stop_asked, "run": run["id"]},
    )
