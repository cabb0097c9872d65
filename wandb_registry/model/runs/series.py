"""The numbers of runs as columns: each metric's values, and where they lie along an axis.

A history is a list of JSON rows. Reading a row costs microseconds, a chart of a hundred runs needs a hundred thousand
of them, so what was read is kept. Of a run that goes on only the new rows are read.
"""

import json
import math
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from wandb_registry.db.connection import Connection
from wandb_registry.model.nested_keys import leaves

Row = dict[str, Any]
STEP, TIME = "step", "time"  # axes that every run has; any other one is a metric's name
BYTES = 16  # of a number: 8, and 8 for its row or its place
MOST_KEPT = 4_000_000  # numbers
HUGE = 1e300  # no measurement; JSON integers of this size may not fit a float
NUMBERS = {int, float}
AT_ONCE = 1000  # rows that are read together
DENSE = 4  # of so many rows one has a key, or more do

ROWS_FROM = """
select number, body
  from stream_line
 where run_id = :run and stream = :stream and number >= :first
 order by number
"""


class Line(NamedTuple):
    """A metric along an axis: `xs` ascend. `undrawable` says how many values are NaN, infinite or huge."""

    xs: array
    ys: array
    undrawable: int


class Column:
    """The numbers of one key, and the numbers of the rows that they stand in."""

    def __init__(self) -> None:
        self.rows, self.values = array("l"), array("d")

    def copy(self) -> "Column":
        copied = Column()
        copied.rows, copied.values = self.rows[:], self.values[:]
        return copied

    def extend(self, rows: list[int], values: list[Any]) -> None:
        """Adds the values that are numbers, each with its row's number. A number too large for a float is infinite."""
        if not set(map(type, values)) <= NUMBERS:  # a bool is no number
            pairs = [(row, value) for row, value in zip(rows, values, strict=True) if type(value) in NUMBERS]
            rows, values = [row for row, _ in pairs], [value for _, value in pairs]
        self.rows.extend(rows)
        try:
            self.values.extend(array("d", values))
        except OverflowError:
            self.values.extend(value if -HUGE < value < HUGE else math.inf for value in values)


@dataclass
class Columns:
    """All numbers of one stream of a run, `next` being the number of the first row that isn't in it."""

    next: int = 0
    last: str = ""  # the body of the row before
    columns: dict[str, Column] = field(default_factory=dict)
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)  # by metric and axis
    drawn: dict[tuple, str] = field(default_factory=dict)  # what callers made of a line, gone when rows come

    @property
    def size(self) -> int:
        """How many numbers it holds, lines and texts of lines counted by their bytes."""
        held = sum(len(column.rows) for column in self.columns.values())
        own = [line for (metric, _), line in list(self.lines.items()) if not self._is_of_column(metric, line)]
        return held + sum(len(line.xs) for line in own) + sum(map(len, list(self.drawn.values()))) // BYTES

    def _is_of_column(self, metric: str, line: Line) -> bool:
        """Whether a line's values are those of the column itself, and no copy."""
        return metric in self.columns and line.ys is self.columns[metric].values

    @property
    def metrics(self) -> list[str]:
        """The names that aren't the SDK's own."""
        return [name for name in self.columns if not name.startswith("_")]

    def grown(self, rows: Iterator[Row]) -> "Columns":
        """These with more rows, which have `number` and `body`. Those that others look at stay as they are."""
        part = list(islice(rows, AT_ONCE))
        if not part:
            return self
        grown = Columns(self.next, self.last, {key: column.copy() for key, column in self.columns.items()})
        while part:
            grown._add([row["number"] for row in part], [row["body"] for row in part])
            part = list(islice(rows, AT_ONCE))
        return grown

    def _add(self, numbers: list[int], bodies: list[str]) -> None:
        self.next, self.last = numbers[-1] + 1, bodies[-1]
        parsed = _parsed(f"[{','.join(bodies)}]")
        # a text without a second brace has no nested value
        rows = [row if body.find("{", 1) < 0 else _flat(row) for row, body in zip(parsed, bodies, strict=True)]
        if all(row.keys() == rows[0].keys() for row in rows):
            for key in rows[0]:
                self._extend(key, numbers, list(map(itemgetter(key), rows)))
            return
        keys = dict.fromkeys(key for row in rows for key in row)
        if len(keys) * len(rows) <= DENSE * sum(map(len, rows)):  # most rows have most keys: one key after the other
            for key in keys:
                have = [(number, row[key]) for number, row in zip(numbers, rows, strict=True) if key in row]
                self._extend(key, [number for number, _ in have], [value for _, value in have])
        else:
            for number, row in zip(numbers, rows, strict=True):
                for key, value in row.items():
                    self._extend(key, [number], [value])

    def _extend(self, key: str, numbers: list[int], values: list[Any]) -> None:
        if key in self.columns or any(type(value) in NUMBERS for value in values):
            self.columns.setdefault(key, Column()).extend(numbers, values)

    def line(self, metric: str, axis: str) -> Line:
        """A metric along an axis; no points if the run lacks one of them."""
        if (metric, axis) not in self.lines:
            self.lines[metric, axis] = self._line(metric, axis)
        return self.lines[metric, axis]

    def _line(self, metric: str, axis: str) -> Line:
        along, column = self._axis(axis), self.columns.get(metric)
        if along is None or column is None:
            return Line(array("d"), array("d"), 0)
        if along.rows == column.rows:
            xs, ys = along.values, column.values
        else:
            at = dict(zip(along.rows, along.values, strict=True))
            pairs = [(at[row], value) for row, value in zip(column.rows, column.values, strict=True) if row in at]
            xs, ys = array("d", (x for x, _ in pairs)), array("d", (y for _, y in pairs))
        if _all_drawable(xs) and _all_drawable(ys) and list(xs) == sorted(xs):
            return Line(xs, ys, 0)
        drawable = [(x, y) for x, y in zip(xs, ys, strict=True) if -HUGE < x < HUGE and -HUGE < y < HUGE]  # no NaN is
        undrawable = len(xs) - len(drawable)
        if undrawable or any(x > after for x, after in pairwise(xs)):
            drawable.sort(key=lambda pair: pair[0])  # the steps of several writers, a metric that falls
            xs, ys = array("d", (x for x, _ in drawable)), array("d", (y for _, y in drawable))
        return Line(xs, ys, undrawable)

    def _axis(self, axis: str) -> Column | None:
        if axis == STEP:
            return self.columns.get("_step")
        if axis != TIME:
            return self.columns.get(axis)
        if "_runtime" in self.columns:  # seconds since the run began, in the history and in the machine's metrics
            return self.columns["_runtime"]
        clock = self.columns.get("_timestamp")
        if clock is None:
            return None
        since = Column()
        since.rows, since.values = clock.rows, array("d", (at - clock.values[0] for at in clock.values))
        return since


def _all_drawable(numbers: array) -> bool:
    """Whether none is NaN, infinite or huge. A sum is finite only then, or if the huge ones outweigh each other."""
    return not numbers or (math.isfinite(sum(numbers)) and min(numbers) > -HUGE and max(numbers) < HUGE)


class _Kept:
    """A run's columns among those that are kept; `counted` is what they counted for when they were looked at last."""

    def __init__(self) -> None:
        self.columns, self.counted = Columns(), 0
        self.reading = threading.Lock()


class SeriesCache:
    """The columns of the runs that were looked at last. While one run is read, the others can be looked at."""

    def __init__(self, most: int = MOST_KEPT):
        self.most = most
        self._kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def columns(self, db: Connection, run: Row, stream: str = "history") -> Columns:
        """The columns of a run as of now."""
        key = run["id"], stream
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
        with kept.reading:
            kept.columns = columns = _as_of_now(db, key, kept.columns)
        self._count(key, kept)
        return columns

    def _count(self, key: tuple[int, str], kept: _Kept) -> None:
        """Counts a run's columns anew, and lets go of those that were not looked at for longest."""
        with self._lock:
            if self._kept.get(key) is not kept:  # it was let go while it was read
                return
            size = kept.columns.size
            self._total += size - kept.counted
            kept.counted = size
            while self._total > self.most and len(self._kept) > 1:  # the newest one stays, whatever its size
                self._total -= self._kept.popitem(last=False)[1].counted


def _as_of_now(db: Connection, key: tuple[int, str], columns: Columns) -> Columns:
    """A run's columns with the rows that came since."""
    rows = _rows_from(db, *key, columns.next - 1)
    if columns.next and next(rows, None) != {"number": columns.next - 1, "body": columns.last}:
        columns, rows = Columns(), _rows_from(db, *key, 0)  # it was rewound, and another row is where the last was
    return columns.grown(rows)


def _parsed(text: str) -> list[Row]:
    """Parses JSON in a third of the time that `json` takes, which reads what is none, such as bare NaN."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _flat(row: Row) -> Row:
    """A row with nested values under dotted names; media are no numbers."""
    if not any(type(value) is dict for value in row.values()):
        return row
    return {key: value for key, value in leaves(row) if not isinstance(value, dict)}


def _rows_from(db: Connection, run_id: int, stream: str, first: int) -> Iterator[Row]:
    return iter(db.execute(ROWS_FROM, {"run": run_id, "stream": stream, "first": first}))
