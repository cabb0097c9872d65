"""What a run streams: metric rows, system metrics, console lines, summary and its end.

Lines come with their offset, so a repeated request changes nothing.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from registry.db.connect import Connection
from registry.errors import BadInput
from registry.model import writers
from registry.model.dotted import leaves
from registry.model.runs import loads

Row = dict[str, Any]
Numbered = tuple[int, Row, str]  # a line's number, what it says, and the line as it is kept
STREAMS = {"wandb-history.jsonl": "history", "wandb-events.jsonl": "events"}
SUMMARY = "wandb-summary.json"
CONSOLE = "output.log"
PLAIN_LINE = re.compile(r"(?P<error>ERROR )?(?P<at>\d{4}-\d\d-\d\dT[\d:.]+Z?) (?P<said>.*)", re.DOTALL)
MOST_KEYS = 10_000  # as many as W&B advises to log at most
LONGEST_VALUE = 100
NO_END = 2**62  # above any step

INSERT_LINE = """
insert into stream_line (run_id, stream, number, step, body)
values (:run, :stream, :number, :step, :body)
"""
INSERT_CONSOLE_LINE = """
insert into console_line (run_id, number, body) values (:run, :number, :body)
    on conflict (run_id, number) do update set body = excluded.body
"""
CUT = "delete from stream_line where run_id = :run and stream = :stream and number >= :offset"
END = "select max(number) + 1 from stream_line where run_id = :run and stream = :stream"
BODIES = "select body from stream_line where run_id = :run and stream = :stream order by number"


# ---- writing ----


def receive(db: Connection, run: Row, request: dict[str, Any], writer_name: str | None = None) -> bool:
    """Stores one file_stream request; answers whether the run was asked to stop. Writers are named in shared runs."""
    writer, wakes = writers.join(db, run, writer_name) if writer_name else (None, True)
    files = request.get("files") or {}
    for name, offset, lines in _parts(files):
        if name in STREAMS:
            _append(db, run, writer, STREAMS[name], offset, lines)
        elif name == CONSOLE:
            numbered = enumerate(lines, writers.console_number(writer, offset) if writer else offset)
            db.executemany(INSERT_CONSOLE_LINE, [{"run": run["id"], "number": n, "body": body} for n, body in numbered])
        elif name == SUMMARY and lines:
            _set_summary(db, run, writer, lines[-1])
    _set_state(db, run, request, bool(files) and wakes)
    return bool(run["stop_asked"])


def _parts(files: Any) -> Iterator[tuple[str, int, list[str]]]:
    """Name, first line number and lines of each file in a request."""
    for name, part in files.items() if isinstance(files, dict) else [("files", files)]:
        offset, lines = (part.get("offset") or 0, part.get("content") or []) if isinstance(part, dict) else (None, None)
        if not isinstance(offset, int) or offset < 0 or not isinstance(lines, list):
            raise BadInput(f"'{name}' is no part of a file_stream request: it takes an offset and a list of lines.")
        if not all(isinstance(line, str) for line in lines):
            raise BadInput(f"'{name}' takes lines of text.")
        yield name, offset, lines


def _append(db: Connection, run: Row, writer: Row | None, stream: str, offset: int, lines: list[str]) -> None:
    """Stores lines one by one: an offline run sends all of them in one request, too many to hold them parsed."""
    if writer:
        lines = writers.fresh(db, writer, stream, offset, lines)
        offset = line_count(db, run, stream)
    cut = db.execute(CUT, {"run": run["id"], "stream": stream, "offset": offset}).rowcount
    numbered: Iterator[Numbered] = ((n, _object(line, stream), line) for n, line in enumerate(lines, offset))
    known = keys(run)
    if stream == "history":
        if writer:
            numbered = writers.with_steps(run, numbered)
        elif not cut:
            numbered = (item for item in numbered if not _was_sent(db, run, item[1]))
        numbered = _learning(known, numbered)
    values = {"run": run["id"], "stream": stream}
    db.executemany(INSERT_LINE, (values | {"number": n, "step": _step(row), "body": body} for n, row, body in numbered))
    if stream == "history" and cut:
        recount(db, run)
    elif stream == "history":
        _remember(db, run, known)


def _was_sent(db: Connection, run: Row, row: dict[str, Any]) -> bool:
    """Whether the run has this very row, its time included: an offline run that is synced again sends all anew."""
    step = _step(row)
    if step is None or step > run["last_step"]:
        return False
    held = db.all(
        "select body from stream_line where run_id = :run and stream = 'history' and step = :step",
        run=run["id"],
        step=step,
    )
    return any(finite(loads(line["body"])) == finite(row) for line in held)


def _object(line: str, stream: str) -> dict[str, Any]:
    row = loads(line)
    if not isinstance(row, dict):
        raise BadInput(f"A line of a run's {stream} is a JSON object.")
    return row


def recount(db: Connection, run: Row) -> Row:
    """Learns the keys of the history from its lines alone, after some were taken away; answers their last values."""
    known: dict[str, Any] = {"keys": {}, "lastStep": -1}
    last: Row = {}
    for line in db.execute(BODIES, {"run": run["id"], "stream": "history"}):
        row = loads(line["body"])
        _learn(known, row)
        last |= row
    _remember(db, run, known)
    return last


def _learning(known: dict[str, Any], numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The lines, whose keys are known when they have gone by."""
    for item in numbered:
        _learn(known, item[1])
        yield item


def _learn(known: dict[str, Any], row: Row) -> None:
    """Keeps up which keys the history has, the types of their values, and the last of them."""
    known["lastStep"] = max(known["lastStep"], _step(row) or 0)
    for key, value in leaves(row):
        if isinstance(value, dict) and "_type" not in value:
            continue  # nothing that is measured or shown
        if key not in known["keys"] and len(known["keys"]) >= MOST_KEYS:
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
            now: Any = value[:LONGEST_VALUE] if isinstance(value, str) else finite(value)
            before = entry.get("previousValue", now)
            numbers = isinstance(before, (int, float)) and isinstance(now, (int, float))
            entry["monotonic"] = entry["monotonic"] and numbers and before <= now
            entry["previousValue"] = now


def _remember(db: Connection, run: Row, known: dict[str, Any]) -> None:
    """Writes down the keys.

    All of it is written with each request, while nobody else writes: so there are MOST_KEYS of them, and no long texts.
    """
    db.execute(
        "update run set history_keys = :keys, last_step = :step where id = :run",
        {"keys": json.dumps(known["keys"]), "step": known["lastStep"], "run": run["id"]},
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return value["_type"]
    return "number" if isinstance(value, (int, float)) else "string" if isinstance(value, str) else "list"


def _set_summary(db: Connection, run: Row, writer: Row | None, text: str) -> None:
    summary = _object(text, "summary")
    if writer:  # it knows only what it logged itself
        text = json.dumps(loads(run["summary"]) | summary)
    db.execute("update run set summary = :summary where id = :run", {"summary": text, "run": run["id"]})


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


def _step(row: dict[str, Any]) -> int | None:
    step = row.get("_step")
    return int(step) if isinstance(step, (int, float)) and math.isfinite(step) else None


# ---- reading ----


def keys(run: Row) -> dict[str, Any]:
    """The keys of the history and its last step, as Run.historyKeys has them."""
    return {"keys": json.loads(run["history_keys"]), "sets": [], "lastStep": run["last_step"]}


def line_count(db: Connection, run: Row, stream: str) -> int:
    """Where the next line goes."""
    return db.value(END, run=run["id"], stream=stream) or 0


def tail(db: Connection, run: Row, stream: str) -> list[str]:
    """The last line, in a list."""
    body = db.value(
        "select body from stream_line where run_id = :run and stream = :stream order by number desc limit 1",
        run=run["id"],
        stream=stream,
    )
    return [] if body is None else [body]


def lines(db: Connection, run: Row, stream: str, samples: int | None) -> list[str]:
    """Lines as they came, thinned out to `samples`."""
    return sampled(_bodies(db, run, stream), samples)


def thinned(db: Connection, run: Row, stream: str, samples: int) -> list[dict[str, Any]]:
    """About `samples` rows of a stream, evenly by their numbers, the first and the last among them."""
    rows = db.all(THINNED, run=run["id"], stream=stream, every=max(1, line_count(db, run, stream) // samples))
    return [loads(row["body"]) for row in rows]


def thinned_with(db: Connection, run: Row, key: str, samples: int) -> list[dict[str, Any]]:
    """About `samples` of the history rows that mention a key: one that few rows have is lost among the others."""
    rows = db.all(THINNED_WITH, run=run["id"], samples=samples, **_needles(key))
    return [loads(row["body"]) for row in rows]


def newest_with(db: Connection, run: Row, key: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """A page of the history rows that mention a key, the newest first."""
    found = db.all(NEWEST_WITH, run=run["id"], limit=limit, offset=offset, **_needles(key))
    return [row for row in (loads(row["body"]) for row in found) if isinstance(dig(row, key), dict)]


def _needles(key: str) -> dict[str, str]:
    """What a row that mentions a key holds, as the SDK writes it and as Python does; of a dotted key the last part."""
    last = key.rpartition(".")[2]
    return {"needle": json.dumps(last, ensure_ascii=False), "ascii": json.dumps(last)}


MENTIONS = "(instr(body, :needle) > 0 or (:ascii <> :needle and instr(body, :ascii) > 0))"
THINNED = """
select body
  from stream_line
 where run_id = :run and stream = :stream
   and (number % :every = 0
     or number = (select max(number) from stream_line where run_id = :run and stream = :stream))
 order by number
"""
THINNED_WITH = f"""
select body
  from (select body, row_number() over (order by number) as place, count(*) over () as total
          from stream_line
         where run_id = :run and stream = 'history' and {MENTIONS})
 where place % max(1, total / :samples) = 0 or place = total
 order by place
"""


NEWEST_WITH = f"""
select body
  from stream_line
 where run_id = :run and stream = 'history' and {MENTIONS}
 order by number desc
 limit :limit offset :offset
"""


def lines_between(db: Connection, run: Row, first: int, end: int, samples: int | None) -> list[str]:
    """The history lines with first <= _step < end."""
    rows = db.all(
        """
        select body
          from stream_line
         where run_id = :run and stream = 'history' and step >= :first and step < :end
         order by number
        """,
        run=run["id"],
        first=first,
        end=end,
    )
    return sampled([row["body"] for row in rows], samples)


def rows_with(db: Connection, run: Row, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The history rows that have all keys of a spec, with those keys only."""
    wanted = spec.get("keys") or []
    first, last = spec.get("minStep") or 0, spec.get("maxStep")
    found = []
    for body in lines_between(db, run, first, NO_END if last is None else last + 1, None):
        row = loads(body)
        if all(dig(row, key) is not None for key in wanted):
            found.append({key: finite(dig(row, key)) for key in wanted} if wanted else finite(row))
    return sampled(found, spec.get("samples"))


def system_metrics(db: Connection, run: Row) -> dict[str, Any]:
    """The last values of the machine's own metrics."""
    last = tail(db, run, "events")
    return {key: finite(value) for key, value in loads(last[0]).items() if not key.startswith("_")} if last else {}


CONSOLE_LINES = "select body from console_line where run_id = :run order by number limit :limit offset :offset"
LAST_CONSOLE_LINES = "select body from console_line where run_id = :run order by number desc limit :limit"
# Several writers each count their own lines: the lines' times order those.
CONSOLE_LINES_BY_TIME = """
select body
  from console_line
 where run_id = :run
 order by case when json_valid(body) then body ->> 'ts' else substr(body, iif(body like 'ERROR %', 7, 1), 26) end,
          number
 limit :limit offset :offset
"""


def console_count(db: Connection, run: Row) -> int:
    return db.value("select count(*) from console_line where run_id = :run", run=run["id"])


def console_lines(db: Connection, run: Row, limit: int, offset: int, last: bool = False) -> list[Row]:
    """Console lines with their time and level, whichever of its two forms the SDK sent them in.

    `last` says that these are the last ones: they are found from the end, however many stand before them.
    """
    shared = db.value("select exists (select 1 from run_writer where run_id = :run)", run=run["id"])
    if last and not shared:
        rows = db.all(LAST_CONSOLE_LINES, run=run["id"], limit=limit)[::-1]
    else:
        rows = db.all(CONSOLE_LINES_BY_TIME if shared else CONSOLE_LINES, run=run["id"], limit=limit, offset=offset)
    return [_console_line(offset + i, row["body"]) for i, row in enumerate(rows)]


def _console_line(number: int, body: str) -> Row:
    try:
        line = json.loads(body)
    except (ValueError, RecursionError):
        line = None
    if isinstance(line, dict) and "content" in line:
        said, at, level, label = line["content"], line.get("ts"), line.get("level"), line.get("label")
    elif plain := PLAIN_LINE.fullmatch(body):
        said, at, level, label = plain["said"], plain["at"], "error" if plain["error"] else None, None
    else:
        said, at, level, label = body, None, None, None
    return {"number": number, "timestamp": at, "level": level, "label": label, "line": said}


def sampled(items: list, samples: int | None) -> list:
    """At most `samples` of the items, evenly, the last always among them."""
    if not samples or samples < 0 or len(items) <= samples:
        return items
    step = len(items) / samples
    return [items[math.ceil((i + 1) * step) - 1] for i in range(samples)]


def finite(value: Any) -> Any:
    """The value without NaN and Infinity, which JSON lacks: they become the text that the SDK reads as such."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


def dig(row: dict[str, Any], key: str) -> Any:
    """The value under a key, or beneath a dotted one."""
    if key in row:
        return row[key]
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _bodies(db: Connection, run: Row, stream: str) -> list[str]:
    return [row["body"] for row in db.all(BODIES, run=run["id"], stream=stream)]
