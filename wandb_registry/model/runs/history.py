"""Reads what a run has streamed: metric rows, system metrics, console lines. file_stream.py stores them."""

import json
import math
import re
from itertools import islice
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs.runs import loads

Row = dict[str, Any]
PLAIN_LINE = re.compile(r"(?P<error>ERROR )?(?P<at>\d{4}-\d\d-\d\dT[\d:.]+Z?) (?P<content>.*)", re.DOTALL)
NO_END = 2**62  # above any step

END = "select max(number) + 1 from stream_line where run_id = :run and stream = :stream"
LAST_LINE = "select body from stream_line where run_id = :run and stream = :stream order by number desc limit 1"
LAST_ROW = """
select body
  from stream_line
 where run_id = :run and stream = 'history'
 order by step desc nulls last, number desc
 limit 1
"""
BODIES = "select body from stream_line where run_id = :run and stream = :stream order by number"


def keys(run: Row) -> dict[str, Any]:
    """The keys of the history and its last step, in the form of GraphQL's Run.historyKeys."""
    return {"keys": json.loads(run["history_keys"]), "sets": [], "lastStep": run["last_step"]}


def line_count(db: Connection, run: Row, stream: str) -> int:
    """How many lines a stream has: the number of the next one."""
    return db.value(END, run=run["id"], stream=stream) or 0


def tail(db: Connection, run: Row, stream: str) -> list[str]:
    """A stream's last line, in a list; an empty list if there is none. Of the history, the highest step's."""
    body = db.value(LAST_ROW if stream == "history" else LAST_LINE, run=run["id"], stream=stream)
    return [] if body is None else [body]


def first_step(db: Connection, run: Row) -> int | None:
    """The lowest step of the history, if it has any."""
    return db.value("select min(step) from stream_line where run_id = :run and stream = 'history'", run=run["id"])


def step(row: Row) -> int | None:
    """The step of a history row, if it is one that the database can hold."""
    step = row.get("_step")
    if not isinstance(step, (int, float)) or not abs(step) < NO_END:  # NaN isn't either
        return None
    return int(step)


def lines(db: Connection, run: Row, stream: str, samples: int | None) -> list[str]:
    """A stream's lines as they arrived, at most `samples` of them."""
    return sampled(_bodies(db, run, stream), samples)


def thinned(db: Connection, run: Row, stream: str, samples: int) -> list[dict[str, Any]]:
    """About `samples` rows of a stream, evenly by their numbers, with the first and the last."""
    rows = db.all(THINNED, run=run["id"], stream=stream, every=max(1, line_count(db, run, stream) // samples))
    return [loads(row["body"]) for row in rows]


def thinned_with(db: Connection, run: Row, key: str, samples: int) -> list[dict[str, Any]]:
    """About `samples` of the history rows that mention a key. `thinned` would miss a key that few rows have."""
    rows = db.all(THINNED_WITH, run=run["id"], samples=samples, **_needles(key))
    return [loads(row["body"]) for row in rows]


def newest_with(db: Connection, run: Row, key: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """A page of the history rows that have media under a key, the newest first.

    A key that is None on some steps is mentioned there too, so rows are counted only once they are read.
    """
    lines = (loads(line["body"]) for line in db.execute(NEWEST_WITH, {"run": run["id"], **_needles(key)}))
    found = (row for row in lines if isinstance(within(row, key), dict))
    return list(islice(found, offset, offset + limit))


def count_with(db: Connection, run: Row, key: str, last: int) -> int:
    """How many history rows up to a step have media under a key."""
    sql = f"select body from stream_line where run_id = :run and stream = 'history' and step <= :last and {MENTIONS}"
    lines = db.execute(sql, {"run": run["id"], "last": last, **_needles(key)})
    return sum(isinstance(within(loads(line["body"]), key), dict) for line in lines)


def newest_at(db: Connection, run: Row, key: str, step: int) -> dict[str, Any] | None:
    """The last history row of a step that has media under a key."""
    rows = [loads(body) for body in lines_between(db, run, step, step + 1, None)]
    return next((row for row in reversed(rows) if isinstance(within(row, key), dict)), None)


def _needles(key: str) -> dict[str, str]:
    """Texts that a row which mentions a key contains: the key as the SDK writes it, and as Python escapes it.

    Of a dotted key they are the last part.
    """
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
         where run_id = :run and stream = 'history' and {MENTIONS}) as mentioning
 where place % case when total > :samples then total / :samples else 1 end = 0 or place = total
 order by place
"""


NEWEST_WITH = f"""
select body
  from stream_line
 where run_id = :run and stream = 'history' and {MENTIONS}
 order by number desc
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
    # `scan_history` asks for a page of steps and needs all its rows, even if some steps have several
    return sampled([row["body"] for row in rows], samples if end - first > (samples or 0) else None)


def rows_with(db: Connection, run: Row, spec: Any) -> list[dict[str, Any]]:
    """The history rows that have all keys of a spec, with those keys only, up to its maxStep."""
    if not _is_spec(spec):
        raise BadInput('A sampled history is asked for like {"keys": ["loss"], "minStep": 0, "samples": 500}.')
    wanted, samples = spec.get("keys") or [], spec.get("samples")
    first, last = spec.get("minStep") or 0, spec.get("maxStep")
    # older SDKs ask page by page, and take the row at maxStep as the first of the next page
    end = NO_END if last is None else last if last - first == samples else last + 1
    rows = []
    for body in lines_between(db, run, first, end, None):
        row = loads(body)
        if all(within(row, key) is not None for key in wanted):
            rows.append({key: finite(within(row, key)) for key in wanted} if wanted else finite(row))
    return sampled(rows, samples if end - first > (samples or 0) else None)


def _is_spec(spec: Any) -> bool:
    if not isinstance(spec, dict):
        return False
    keys, numbers = spec.get("keys") or [], [spec.get(name) or 0 for name in ("minStep", "maxStep", "samples")]
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return named and all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)


def system_metrics(db: Connection, run: Row) -> dict[str, Any]:
    """The last values of the system metrics."""
    last = tail(db, run, "events")
    return {key: finite(value) for key, value in loads(last[0]).items() if not key.startswith("_")} if last else {}


CONSOLE_LINES = "select body from console_line where run_id = :run order by number limit :limit offset :offset"
LAST_CONSOLE_LINES = "select body from console_line where run_id = :run order by number desc limit :limit"
# In shared mode each writer numbers its own lines, so their times order them.
BY_TIME = """
select found.body
  from found
 order by case when json_valid(body) then body ->> 'ts' else substr(body, iif(body like 'ERROR %', 7, 1), 26) end,
          found.number
 limit :limit offset :offset
"""
ALL_LINES = "select number as id, number, body from console_line where run_id = :run"


def console_count(db: Connection, run: Row) -> int:
    return db.value("select count(*) from console_line where run_id = :run", run=run["id"])


def console_lines(db: Connection, run: Row, limit: int, offset: int, last: bool = False) -> list[Row]:
    """Console lines with their time and level, in whichever of its two forms the SDK sent them.

    `last` says that these are the last lines. They are read from the end, which is fast in a long console.
    """
    shared = db.value("select exists (select 1 from run_writer where run_id = :run)", run=run["id"])
    if shared:
        rows = db.sift(ALL_LINES, BY_TIME, {}, run=run["id"], limit=limit, offset=offset)
    elif last:
        rows = db.all(LAST_CONSOLE_LINES, run=run["id"], limit=limit)[::-1]
    else:
        rows = db.all(CONSOLE_LINES, run=run["id"], limit=limit, offset=offset)
    return [_console_line(offset + i, row["body"]) for i, row in enumerate(rows)]


def _console_line(number: int, body: str) -> Row:
    try:
        line = json.loads(body)
    except (ValueError, RecursionError):
        line = None
    if isinstance(line, dict) and "content" in line:
        content, at, level, label = line["content"], line.get("ts"), line.get("level"), line.get("label")
    elif plain := PLAIN_LINE.fullmatch(body):
        content, at, level, label = plain["content"], plain["at"], "error" if plain["error"] else None, None
    else:
        content, at, level, label = body, None, None, None
    return {"number": number, "timestamp": at, "level": level, "label": label, "line": content}


FOUND_LINES = """
select found.number, found.body, count(*) over () as total
  from found
 where instr(line_text(found.body), :text) > 0
 order by found.number
 limit :limit offset :offset
"""


def console_found(db: Connection, run: Row, text: str, limit: int, offset: int) -> tuple[int, list[Row]]:
    """How many console lines hold a text, in whichever case, and a page of them, as `console_lines` gives them."""
    functions = {"line_text": lambda body: str(_console_line(0, body)["line"]).casefold()}
    rows = db.sift(ALL_LINES, FOUND_LINES, functions, run=run["id"], text=text.casefold(), limit=limit, offset=offset)
    return (rows[0]["total"] if rows else 0), [_console_line(row["number"], row["body"]) for row in rows]


def sampled(items: list, samples: int | None) -> list:
    """At most `samples` of the items, evenly, the last always among them."""
    if not samples or samples < 0 or len(items) <= samples:
        return items
    step = len(items) / samples
    return [items[math.ceil((i + 1) * step) - 1] for i in range(samples)]


def finite(value: Any) -> Any:
    """The value with texts for NaN and Infinity, which JSON lacks. The SDK reads these texts as numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


def _bodies(db: Connection, run: Row, stream: str) -> list[str]:
    return [row["body"] for row in db.all(BODIES, run=run["id"], stream=stream)]
