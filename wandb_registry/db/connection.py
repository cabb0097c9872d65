"""Opens the database: one writer, one reader a thread, every row a dict.

A write is acknowledged after its transaction is on disk (WAL with synchronous=FULL), and all writes go through one
connection and one lock, so that rules which read before they write can't be overtaken.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wandb_registry.errors import RegistryError

SCHEMA = Path(__file__).parent / "schema.sql"
MIGRATIONS = Path(__file__).parent / "migrations"


class Connection(sqlite3.Connection):
    """A connection that answers in dicts and takes named parameters."""

    def all(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        cursor = self.execute(sql, parameters)
        cursor.row_factory = None  # the columns are named once here, not once a row
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def one(self, sql: str, **parameters: Any) -> dict[str, Any] | None:
        return self.execute(sql, parameters).fetchone()

    def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, **parameters)
        return next(iter(row.values())) if row else None

    def row(self, sql: str, **parameters: Any) -> dict[str, Any]:
        """The one row that must be there, such as that of `returning *`."""
        row = self.one(sql, **parameters)
        if row is None:
            raise LookupError(sql)
        return row


class Database:
    """The registry's records, opened for any number of readers and one writer at a time."""

    def __init__(self, path: Path, seal: Callable[[str], str], migrations: Path = MIGRATIONS):
        """Opens the database of a store, and makes or upgrades its schema. Raises RegistryError for a newer one.

        `seal` is the SQL function of this name: a hash of a text that nobody can compute from the database alone.
        """
        self.path, self._seal = path, seal
        self.changes = 0  # transactions since it was opened: whoever watches sees that there is something new
        self._writing = threading.Lock()
        self._writer = self._open()
        self._readers = threading.local()
        self._writer.execute("pragma journal_mode = wal")
        self._migrate({1: SCHEMA} | {int(file.stem): file for file in sorted(migrations.glob("*.sql"))})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """This thread's reader, looking at one moment: what is committed meanwhile isn't seen in the block."""
        if not hasattr(self._readers, "connection"):
            self._readers.connection = self._open()
            self._readers.connection.execute("pragma query_only = on")
        reader = self._readers.connection
        reader.execute("begin")
        try:
            yield reader
        finally:
            reader.execute("rollback")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: on disk when the block ends, as if it never was when the block raises."""
        with self._writing:
            self._writer.execute("begin immediate")
            try:
                yield self._writer
                self._writer.execute("commit")
                self.changes += 1
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    def close(self) -> None:
        """Lets go of the file; the write-ahead log is folded in."""
        with self._writing:
            self._writer.close()

    def _migrate(self, scripts: dict[int, Path]) -> None:
        """Runs the scripts that the store lacks, each in a transaction: another process may be doing the same."""
        latest = max(scripts)
        while (version := self._writer.value("pragma user_version")) < latest:
            with self.write() as db:
                if db.value("pragma user_version") == version:
                    for statement in _statements(scripts[version + 1].read_text()):
                        db.execute(statement)
                    db.execute(f"pragma user_version = {version + 1:d}")
        if version > latest:
            raise RegistryError(
                f"The store was written by a newer registry (its schema is {version}, this one knows {latest}). "
                "Update this checkout, or choose another folder with REGISTRY_DIR."
            )

    def _open(self) -> Connection:
        options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "timeout": 30}
        connection = sqlite3.connect(self.path, factory=Connection, **options)
        connection.row_factory = _as_dict
        connection.create_function("seal", 1, self._seal, deterministic=True)
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma synchronous = full")
        return connection


def _as_dict(cursor: sqlite3.Cursor, values: tuple) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
