"""W&B Tables as small SQLite databases, so that pages can sort, filter and page them without reading their JSON again.

The databases lie in the store's folder `tables`, named by the md5 of the table's JSON. They are a cache: each is made
when a page first asks for it, and can be removed at any time.
"""

import contextlib
import csv
import io
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wandb_registry.errors import BadInput

LARGEST = 256 * 2**20  # bytes of JSON that are read
KEPT = 50  # databases
MOST_COLUMNS = 200
FEW = 12  # distinct values that are offered as filters
LONGEST = 500  # characters of a cell
VERSION = 4  # of the databases' schema
EXPORTED = 1000  # rows of a CSV that are read at once
SORTED = ("number", "text", "boolean")  # kinds that pages sort by, and filter by if there are few values


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `kind` is number, text, boolean, picture, array (the values lie in another file), other, or mixed for several kinds.
    `shape` is that of each array, such as 28×28×1, if the table names it.
    """

    name: str
    kind: str
    shape: str
    counts: list[tuple[Any, int]]  # (value, rows) of each value, if there are at most FEW


@dataclass(frozen=True)
class TableQuery:
    """Which rows, in which order. Columns are numbered from 0; `equal` holds (column, value as text)."""

    sort: int | None = None
    descending: bool = False
    equal: tuple[tuple[int, str], ...] = ()
    contains: str = ""


class Table:
    """One table, opened for reading."""

    def __init__(self, path: Path):
        # one thread uses it at a time, but several may take turns while a CSV is sent
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
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
        where, values = self._where(query)
        order = "id"
        if query.sort is not None:
            key = f"c{query.sort:d}"  # SQLite sorts null below all else; here it comes last in both directions
            order = f"{key} desc, id desc" if query.descending else f"{key} is null, {key}, id"
        cursor = self._db.execute(
            f"select * from cell where {where} order by {order} limit ? offset ?", [*values, limit, offset]
        )
        return [(row[0], list(row[1:])) for row in cursor]

    def csv(self, query: TableQuery) -> Iterator[str]:
        """The matching rows as CSV with a header line. Columns of arrays are left out; a picture is its path."""
        kept = [at for at, column in enumerate(self.columns) if column.kind != "array"]
        yield _line([self.columns[at].name for at in kept])
        offset = 0
        while rows := self.rows(query, EXPORTED, offset):
            yield "".join(_line([cells[at] for at in kept]) for _, cells in rows)
            offset += EXPORTED

    def _where(self, query: TableQuery) -> tuple[str, list[Any]]:
        """The `where` clause and its parameters. Its text holds column numbers alone; every value is bound."""
        parts, values = ["true"], []
        for column, value in query.equal:
            parts.append(f"cast(c{column:d} as text) = ?")
            values.append(value)
        if query.contains:
            texts = [at for at, column in enumerate(self.columns) if column.kind in (*SORTED, "mixed", "other")]
            parts.append(f"({' or '.join(f'instr(lower(c{at:d}), lower(?)) > 0' for at in texts) or 'false'})")
            values += [query.contains] * len(texts)
        return " and ".join(parts), values


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def open_table(folder: Path, content: Path, md5: str) -> Table:
    """Opens the table with this content and md5; makes its database first if there is none.

    Raises BadInput for a file that is no table, or one that is too large.
    """
    path = folder / "tables" / f"{md5}-{VERSION}.db"
    if not path.exists():
        _make(path, content)
    return Table(path)


def _make(path: Path, content: Path) -> None:
    if content.stat().st_size > LARGEST:
        raise BadInput(f"The table has more than {LARGEST // 2**20} MiB of JSON. Download it to look at it.")
    try:
        table = json.loads(content.read_bytes())
        names, data = [str(name) for name in table["columns"]], table["data"]
        if not all(isinstance(row, list) and len(row) == len(names) for row in data):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput("This file is not a table as W&B writes one. Download it to look at it.") from None
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"The table has {len(names)} columns; up to {MOST_COLUMNS} are shown. Download it instead.")
    shapes = _shapes(table.get("column_types"))
    kinds = ["array" if name in shapes else _kind(row[at] for row in data) for at, name in enumerate(names)]
    columns = [Column(name, kind, shapes.get(name, ""), []) for name, kind in zip(names, kinds, strict=True)]
    path.parent.mkdir(exist_ok=True)
    _prune(path.parent)
    aside = path.with_suffix(f".{secrets.token_hex(6)}")
    try:
        with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as db:
            _fill(db, columns, data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _fill(db: sqlite3.Connection, columns: list[Column], data: list[list[Any]]) -> None:
    names = [f"c{at}" for at in range(len(columns))]
    db.execute("pragma journal_mode = off")
    db.execute("pragma synchronous = off")  # needn't survive a crash: it can be made again
    db.execute("begin")
    db.execute(f"create table cell (id integer primary key, {', '.join(names)})")
    placeholders = ", ".join("?" * (len(names) + 1))
    rows = ((number, *map(_cell, row)) for number, row in enumerate(data, 1))
    db.executemany(f"insert into cell values ({placeholders})", rows)
    about = []
    for name, column in zip(names, columns, strict=True):
        counts: list[Any] = []
        if column.kind in SORTED:
            db.execute(f"create index up_{name} on cell ({name} is null, {name}, id)")
            db.execute(f"create index down_{name} on cell ({name}, id)")
            grouped = f"select {name}, count(*) from cell where {name} is not null group by 1 order by 1 limit ?"
            pairs = db.execute(grouped, [FEW + 1]).fetchall()
            counts = pairs if len(pairs) <= FEW < len(data) else []
        about.append(asdict(column) | {"counts": counts})
    db.execute("create table about (about text)")
    db.execute("insert into about values (?)", [json.dumps(about)])
    db.execute("commit")


def _shapes(column_types: Any) -> dict[str, str]:
    """The shapes of those columns whose values the SDK wrote to a separate file of arrays."""
    try:
        types = {name: kind.get("params") or {} for name, kind in column_types["params"]["type_map"].items()}
        return {
            name: "×".join(map(str, params.get("shape") or []))[:LONGEST]
            for name, params in types.items()
            if "serialization_path" in params
        }
    except (KeyError, TypeError, AttributeError):
        return {}


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


def _cell(value: Any) -> Any:
    """The value that a page shows and sorts by."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63):
        return value
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, dict) and value.get("_type") == "image-file":
        return str(value.get("path", ""))
    return json.dumps(value, ensure_ascii=False)[:LONGEST]


def _prune(folder: Path) -> None:
    """Keeps the newest KEPT files: removes older databases, and in time what a crash left."""
    paths = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[KEPT:]:
        path.unlink(missing_ok=True)
