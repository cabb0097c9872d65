"""Several processes that write to one run ("shared" mode).

Each numbers its lines as if it were alone. The run has them in the order in which they arrive, with steps of its own.
A line that a writer sends again is left out: its number shows that.
"""

import json
from collections.abc import Iterator
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
CONSOLE_LINES_A_WRITER = 2**32

JOIN = """
insert into run_writer (run_id, name, slot)
values (:run, :name, (select count(*) from run_writer where run_id = :run))
returning *
"""


def join(db: Connection, run: Row, name: str) -> tuple[Row, bool]:
    """The writer of this name, and whether it is new."""
    known = db.one("select * from run_writer where run_id = :run and name = :name", run=run["id"], name=name)
    return (known, False) if known else (db.row(JOIN, run=run["id"], name=name), True)


def new_lines(db: Connection, writer: Row, stream: str, offset: int, lines: list[str]) -> list[str]:
    """The lines that the writer hasn't sent before."""
    expected = writer[stream] if writer[stream] is not None else offset
    sent_before = max(0, expected - offset)
    db.execute(
        """
        update run_writer
           set history = iif(:stream = 'history', :next, history), events = iif(:stream = 'events', :next, events)
         where run_id = :run and name = :name
        """,
        {
            "run": writer["run_id"],
            "name": writer["name"],
            "stream": stream,
            "next": max(expected, offset + len(lines)),
        },
    )
    return lines[sent_before:]


def with_steps(run: Row, numbered: Iterator[tuple[int, Row, str]]) -> Iterator[tuple[int, Row, str]]:
    """History lines, each with the step after the one before it."""
    for step, (number, row, _) in enumerate(numbered, run["last_step"] + 1):
        stepped = row | {"_step": step}
        yield number, stepped, json.dumps(stepped)


def console_line_number(writer: Row, offset: int) -> int:
    """Where a writer's console line lies among those of all."""
    return writer["slot"] * CONSOLE_LINES_A_WRITER + offset
