"""Shared mode: several processes write to one run.

Each writer numbers its lines as if it were alone. The run stores them in the order in which they arrive, with steps of
its own. By a line's number it knows one that a writer sends again, and leaves it out.
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
    """The run's writer of this name, made at its first request, and whether that is now."""
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
    """The number in the run of a writer's console line: each writer has a range of its own."""
    return writer["slot"] * CONSOLE_LINES_A_WRITER + offset
