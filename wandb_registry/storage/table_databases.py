"""W&B Tables as small SQLite databases, so that pages can sort, filter and page them without reading their JSON again.

The databases lie in the store's folder `tables`, named by the md5 of the table's JSON. They are a cache: each is made
when a page first asks for it, and can be removed at any time.
"""

import contextlib
import csv
import hashlib
import io
import json
import math
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from wandb_registry.errors import BadInput

LARGEST = 256 * 2**20  # bytes of JSON that are read
KEPT = 50  # databases
MOST_COLUMNS = 999  # a table of SQLite has 2,000, and a column here may take two
INDEXED = 100  # columns that get an index; the others sort without one
MOST_TERMS = 100  # of an `or`: SQLite refuses an expression that is nested too deeply
FEW = 12  # distinct values that are offered as filters
SHORT = 100  # characters of a value that is offered as a filter; a column of longer ones gets no index
VERSION = 7  # of the databases' schema
EXPORTED = 1000  # rows of a CSV that are read at once
EPOCH = datetime(1970, 1, 1)  # of UTC, as the SDK writes all dates
SORTED = ("number", "text", "boolean", "date")  # kinds that pages sort by, and filter by if there are few values

Types = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `kind` is number, text, boolean, date, picture, array (the values lie in another file), other, or mixed for several.
    `shape` is that of each array, such as 28×28×1, if the table names it. `ranked` says that the column has numbers
    which SQLite can't hold: they are text, and the column r… beside it has their order.
    """

    name: str
    kind: str
    shape: str
    counts: list[tuple[Any, int]]  # (value, rows) of each value, if they are short and at most FEW
    ranked: bool = False
    side: int = 0  # which of the joined tables it is from


@dataclass(frozen=True)
class Side:
    """A table that is joined: its content, its md5, what its columns are called by, and the column whose values join.

    Without such a column rows are joined by their number.
    """

    content: Path
    md5: str
    label: str
    key: str | None


@dataclass(frozen=True)
class TableQuery:
    """Which rows, in which order. Columns are numbered from 0; `equal` holds (column, value as text).

    `row` is the number of the only row, from 1.
    """

    sort: int | None = None
    descending: bool = False
    equal: tuple[tuple[int, str], ...] = ()
    contains: str = ""
    row: int | None = None


Reader = Callable[[list[Path]], tuple[list[Column], list[list[Any]]]]  # of the columns and rows in files


class Table:
    """One table, opened for reading."""

    def __init__(self, path: Path):
        # one thread uses it at a time, but several may take turns while a CSV is sent
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._db.create_function("folded", 1, _folded, deterministic=True)
        about = json.loads(self._db.execute("select about from about").fetchone()[0])
        self.columns = [Column(**one | {"counts": [tuple(pair) for pair in one["counts"]]}) for one in about]

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def count(self, query: TableQuery) -> int:
        where, values = self._where(query)
        return self._db.execute(f"select count(*) from cell where {where}", values).fetchone()[0]

    def rows(self, query: TableQuery, limit: int, offset: int) -> list[tuple[int, list[Any]]]:
        """(number, cells) of a page of rows; a picture's cell is its path."""
        return [(row[0], list(row[1:])) for row in self._select(query, limit, offset)]

    def csv(self, query: TableQuery) -> Iterator[str]:
        """The matching rows as CSV with a header line. Columns of arrays are left out; a picture is its path."""
        kept = [at for at, column in enumerate(self.columns) if column.kind != "array"]
        yield _line([self.columns[at].name for at in kept])
        cursor = self._select(query, -1, 0)
        while rows := cursor.fetchmany(EXPORTED):
            yield "".join(_line([row[at + 1] for at in kept]) for row in rows)

    def _select(self, query: TableQuery, limit: int, offset: int) -> sqlite3.Cursor:
        where, values = self._where(query)
        order = "id"
        if query.sort is not None:
            key = f"{'r' if self.columns[query.sort].ranked else 'c'}{query.sort:d}"
            # SQLite sorts null below all else; here it comes last in both directions
            order = f"{key} desc, id desc" if query.descending else f"{key} is null, {key}, id"
        names = ", ".join(["id", *(f"c{at}" for at in range(len(self.columns)))])
        return self._db.execute(
            f"select {names} from cell where {where} order by {order} limit ? offset ?", [*values, limit, offset]
        )

    def _where(self, query: TableQuery) -> tuple[str, list[Any]]:
        """The `where` clause and its parameters. Its text holds column numbers alone; every value is bound."""
        parts, values = ["true"], []
        if query.row is not None:
            parts.append("id = ?")
            values.append(query.row)
        for column, text in query.equal:
            offered = {str(value): value for value, _ in self.columns[column].counts}  # SQLite writes 1e-07 otherwise
            parts.append(f"c{column:d} = ?")
            values.append(offered.get(text, text))
        if query.contains:
            texts = [at for at, column in enumerate(self.columns) if column.kind in (*SORTED, "mixed", "other")]
            terms = [f"instr(folded(c{at:d}), ?) > 0" for at in texts]
            some = [f"({' or '.join(terms[at : at + MOST_TERMS])})" for at in range(0, len(terms), MOST_TERMS)]
            parts.append(f"({' or '.join(some) or 'false'})")
            values += [_folded(query.contains)] * len(texts)
        return " and ".join(parts), values


def _folded(value: Any) -> str | None:
    """A value as a text in which letters of both cases are the same, also those that SQLite's `lower` leaves alone."""
    return None if value is None else str(value).casefold()


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def open_table(folder: Path, parts: list[tuple[Path, str]]) -> Table:
    """Opens a table; makes its database first if there is none.

    `parts` has content and md5 of each of its files: one, or the increments in their order.
    Raises BadInput for a file that is no table, or one that is too large.
    """
    md5s = "".join(md5 for _, md5 in parts)
    name = md5s if len(parts) == 1 else _md5(md5s)
    return _opened(folder, name, [content for content, _ in parts], _one_behind_the_other)


def open_joined(folder: Path, sides: list[Side]) -> Table:
    """Opens tables side by side: rows with the same key are one row. Makes the database first if there is none.

    Raises BadInput for a file that is no table or lacks the column, and for tables that are too large.
    """
    name = _md5(json.dumps([(side.md5, side.label, side.key) for side in sides]))

    def read(_contents: list[Path]) -> tuple[list[Column], list[list[Any]]]:
        return joined([(side.label, side.key, *_read(side.content)) for side in sides])

    return _opened(folder, name, [side.content for side in sides], read)


def _opened(folder: Path, name: str, contents: list[Path], read: Reader) -> Table:
    path = folder / "tables" / f"{name}-{VERSION}.db"
    if not path.exists():
        _make(path, contents, read)
    return Table(path)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _one_behind_the_other(contents: list[Path]) -> tuple[list[Column], list[list[Any]]]:
    names, data, types = _read(contents[0])
    for content in contents[1:]:
        more_names, more, _ = _read(content)
        if more_names != names:
            raise BadInput("The parts of this table have different columns. Download them to look at them.")
        data += more
    return [_column(name, [row[at] for row in data], types) for at, name in enumerate(names)], data


def joined(
    sides: list[tuple[str, str | None, list[str], list[list[Any]], Types]],
) -> tuple[list[Column], list[list[Any]]]:
    """The columns and rows of tables side by side, each a label, a key, names, rows and types.

    Of several rows with one key the first goes with the first, the second with the second. A row without a partner
    has empty cells beside it.
    """
    found: dict[tuple[str, int], list[Any]] = {}  # by key, and which row with this key it is
    width = sum(len(names) for _, _, names, _, _ in sides)
    columns: list[Column] = []
    for number, (label, key, names, data, types) in enumerate(sides):
        if key is not None and key not in names:
            raise BadInput(f"The table of {label} has no column '{key}'. It has: {', '.join(names)}.")
        at, first = names.index(key) if key is not None else None, len(columns)
        seen: Counter[str] = Counter()
        for place, row in enumerate(data):
            value = str(place) if at is None else _as_key(row[at])
            there = found.setdefault((value, seen[value]), [None] * width)
            there[first : first + len(names)] = row
            seen[value] += 1
        for name_at, name in enumerate(names):
            column = _column(name, [row[name_at] for row in data], types)
            columns.append(replace(column, name=f"{label}: {name}", side=number))
    return columns, list(found.values())


def _as_key(value: Any) -> str:
    """A cell as a text that is the same for equal values: 1 and 1.0 are one key."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def _make(path: Path, contents: list[Path], read: Reader) -> None:
    if sum(content.stat().st_size for content in contents) > LARGEST:
        raise BadInput(f"The table has more than {LARGEST // 2**20} MiB of JSON. Download it to look at it.")
    columns, data = read(contents)
    if len(columns) > MOST_COLUMNS:
        raise BadInput(f"The table has {len(columns)} columns; up to {MOST_COLUMNS} are shown. Download it instead.")
    path.parent.mkdir(exist_ok=True)
    _prune(path.parent)
    aside = path.with_suffix(f".{secrets.token_hex(6)}")
    try:
        with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as db:
            _fill(db, columns, data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _read(content: Path) -> tuple[list[str], list[list[Any]], Types]:
    """The names of the columns, the rows, and the types by name."""
    try:
        table = json.loads(content.read_bytes())
        names, data = [str(name) for name in table["columns"]], table["data"]
        if not all(isinstance(row, list) and len(row) == len(names) for row in data):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput("This file is not a table as W&B writes one. Download it to look at it.") from None
    return names, data, _types(table.get("column_types"))


def _types(column_types: Any) -> Types:
    """The SDK's types by the names of their columns; of a type that may be missing, the type itself."""
    try:
        return {str(name): _type(kind) for name, kind in column_types["params"]["type_map"].items()}
    except (KeyError, TypeError, AttributeError):
        return {}


def _type(kind: dict[str, Any]) -> dict[str, Any]:
    allowed = [one for one in (kind.get("params") or {}).get("allowed_types") or [] if one.get("wb_type") != "none"]
    return allowed[0] if len(allowed) == 1 else kind


def _column(name: str, values: list[Any], types: Types) -> Column:
    type_of_values = types.get(name, {})
    params = type_of_values.get("params") or {}
    if "serialization_path" in params:
        return Column(name, "array", "×".join(map(str, params.get("shape") or [])), [])
    kind = _kind(iter(values))
    if kind == "number" and type_of_values.get("wb_type") == "timestamp":
        kind = "date"
    return Column(name, kind, "", [], ranked=kind == "number" and not all(_is_held(value) for value in values))


def _fill(db: sqlite3.Connection, columns: list[Column], data: list[list[Any]]) -> None:
    names = [f"c{at}" for at in range(len(columns))]
    ranks = {at: _ranks([row[at] for row in data]) for at, column in enumerate(columns) if column.ranked}
    db.execute("pragma journal_mode = off")
    db.execute("pragma synchronous = off")  # needn't survive a crash: it can be made again
    db.execute("begin")
    every = ["id integer primary key", *names, *(f"r{at}" for at in ranks)]
    db.execute(f"create table cell ({', '.join(every)})")
    kinds = [column.kind for column in columns]
    rows = (
        (number, *map(_cell, row, kinds), *(rank[number - 1] for rank in ranks.values()))
        for number, row in enumerate(data, 1)
    )
    db.executemany(f"insert into cell values ({', '.join('?' * len(every))})", rows)
    about = [_counted(db, f"c{at}", column, len(data)) if at < INDEXED else column for at, column in enumerate(columns)]
    db.execute("create table about (about text)")
    db.execute("insert into about values (?)", [json.dumps([asdict(column) for column in about])])
    db.execute("commit")


def _counted(db: sqlite3.Connection, name: str, column: Column, row_count: int) -> Column:
    """Makes the indices of a column that pages sort by. Returns it with its counts."""
    if column.kind not in SORTED or _longest(db, name) > SHORT:
        return column
    key = name.replace("c", "r") if column.ranked else name
    db.execute(f"create index up_{name} on cell ({key} is null, {key}, id)")
    db.execute(f"create index down_{name} on cell ({key}, id)")
    grouped = f"select {name}, count(*) from cell where {name} is not null group by {name} order by {key} limit ?"
    pairs = db.execute(grouped, [FEW + 1]).fetchall()
    return replace(column, counts=pairs if len(pairs) <= FEW < row_count else [])


def _longest(db: sqlite3.Connection, name: str) -> int:
    return db.execute(f"select max(length({name})) from cell").fetchone()[0] or 0


def _is_held(value: Any) -> bool:
    """Whether SQLite holds a number, or a missing value, as it is: no NaN, and no whole number of more than 64 bits."""
    return value is None or (-(2**63) <= value < 2**63 if isinstance(value, int) else not math.isnan(value))


def _ranks(values: list[Any]) -> list[int | None]:
    """The place of each number among all; None for what is missing or NaN."""
    numbers = sorted({value for value in values if value is not None and value == value})
    places = {value: place for place, value in enumerate(numbers)}
    return [places.get(value) if value == value else None for value in values]


def _kind(values: Iterator[Any]) -> str:
    """The kind of a column's values. Missing values are of any kind."""
    kinds = {_kind_of(value) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "other"


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "picture" if isinstance(value, dict) and value.get("_type") == "image-file" else "other"


def _cell(value: Any, kind: str) -> Any:
    """The value that a page shows and sorts by. A number that SQLite can't hold is its text in JSON."""
    if kind == "date" and value is not None:
        return _date(value)
    if value is None:
        return value
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_held(value):
        return value
    if isinstance(value, dict) and value.get("_type") == "image-file":
        return _whole(str(value.get("path", "")))
    return _whole(json.dumps(value, ensure_ascii=False))


def _whole(text: str) -> str:
    """The text with a question mark for half a character, which JSON can hold and SQLite can't."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _date(milliseconds: float) -> str:
    try:
        return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(" ")
    except (OverflowError, ValueError):  # before the year 1, after 9999, or NaN
        return json.dumps(milliseconds)


def _prune(folder: Path) -> None:
    """Keeps the newest KEPT files: removes older databases, and in time what a crash left."""
    paths = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[KEPT:]:
        path.unlink(missing_ok=True)
