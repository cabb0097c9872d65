"""All records at once: copied from one engine into the other, and compared.

Both engines have the same tables. SQLite tells which: it is always one of the two.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from wandb_registry.db import sqlite
from wandb_registry.db.connection import Connection, Row

if TYPE_CHECKING:  # without a database nobody needs its driver
    from wandb_registry.db import postgresql

SEQUENCES = "sqlite_sequence"  # the highest ids that were ever given
TELL_ROWS = 20_000  # after which it is told how far the copy is
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass
class Rows:
    """The rows of a table, in any order: how many, and a digest of all."""

    count: int = 0
    digest: int = 0

    def add(self, row: Row) -> None:
        content = hashlib.sha256(repr(list(row.values())).encode()).digest()
        self.count += 1
        self.digest = (self.digest + int.from_bytes(content)) % 2**256


@dataclass
class Copied:
    """What was copied: the rows of each table, and how many texts had a NUL, which PostgreSQL can't hold."""

    tables: dict[str, Rows] = field(default_factory=dict)
    replaced: int = 0

    @property
    def count(self) -> int:
        return sum(rows.count for rows in self.tables.values())


def tables(db: sqlite.Connection) -> dict[str, tuple[str, ...]]:
    """The columns of each table. A table comes behind those that its rows refer to."""
    names = [row["name"] for row in db.all(sqlite.TABLES)]
    parents = 'select distinct "table" as name from pragma_foreign_key_list(:table)'
    order = TopologicalSorter({name: {row["name"] for row in db.all(parents, table=name)} - {name} for name in names})
    columns = "select name from pragma_table_info(:table)"
    return {
        name: tuple(row["name"] for row in db.all(columns, table=name)) for name in [*order.static_order(), SEQUENCES]
    }


def read(db: Connection, columns_of: dict[str, tuple[str, ...]]) -> Copied:
    """What a database holds, as a copy of it would hold it."""
    found = Copied()
    for table in columns_of:
        for _ in _rows(db, table, columns_of[table], found):
            pass
    return found


def is_empty(db: Connection, columns_of: dict[str, tuple[str, ...]]) -> bool:
    """Whether nothing is recorded yet: the schema alone is there."""
    return not any(db.value(f"select 1 from {table} limit 1") for table in columns_of if table != SEQUENCES)


def copy(
    source: sqlite.Connection,
    target: "postgresql.Connection",
    columns_of: dict[str, tuple[str, ...]],
    tell: Callable[[str, int], None],
) -> Copied:
    """Copies all rows into a database that has none, within its transaction. `tell` hears of a table and its rows."""
    copied = Copied()
    target.execute(f"delete from {SEQUENCES}")  # the schema's own
    for table, columns in columns_of.items():

        def rows(table: str = table, columns: tuple[str, ...] = columns) -> Iterator[list[Any]]:
            for row in _rows(source, table, columns, copied):
                count = copied.tables[table].count
                if count % TELL_ROWS == 0:
                    tell(table, count)
                yield list(row.values())

        target.load(table, columns, rows())
    return copied


def _rows(db: Connection, table: str, columns: tuple[str, ...], found: Copied) -> Iterator[Row]:
    """The rows of a table as PostgreSQL can hold them, noted in `found`."""
    noted = found.tables[table] = Rows()
    for row in db.stream(f"select {', '.join(columns)} from {table}"):
        for column, value in row.items():
            if isinstance(value, str) and "\0" in value:
                row[column] = value.replace("\0", REPLACEMENT)
                found.replaced += 1
        noted.add(row)
        yield row
