"""The embedded engine: one file, one writer, one reader a thread, every row a dict.

It keeps a write-ahead log with synchronous=FULL, and all writes of a process go through one connection and one lock.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from wandb_registry.db import connection
from wandb_registry.db.connection import MIGRATIONS, Functions, Row, refuse_newer, scripts


class Connection(sqlite3.Connection, connection.Connection):  # type: ignore[misc]
    """A connection to a file or, for `sift`, to memory."""

    sealing: Callable[[str], str]

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        cursor = self.execute(sql, parameters)
        cursor.row_factory = None  # the columns are named once here, not once a row
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def stream(self, sql: str) -> Iterator[Row]:
        yield from self.execute(sql)

    def sift(self, rows: str, sql: str, functions: Functions, /, **parameters: Any) -> list[Row]:
        for name, function in functions.items():
            self.create_function(name, -1, function, deterministic=True)
        return self.all(f"with found as ({rows}) {sql}", **parameters)

    def seal(self, text: str) -> str:
        return self.sealing(text)

    def damage(self) -> list[str]:
        broken = [row["integrity_check"] for row in self.all("pragma integrity_check")]
        loose = {row["table"] for row in self.all("pragma foreign_key_check")}
        faults = [] if broken == ["ok"] else [f"Database: {line}." for line in broken]
        return faults + [f"Database: a row of '{table}' refers to one that is gone." for table in sorted(loose)]


class Database(connection.Database):
    """The records of a store in one file."""

    def __init__(self, path: Path, seal: Callable[[str], str], migrations: Path = MIGRATIONS):
        """Opens the database of a store, and makes or upgrades its schema. Raises RegistryError for a newer one."""
        self.path, self._seal = path, seal
        self._changes = 0
        self._writing = threading.Lock()
        self._writer = self._open()
        self._readers = threading.local()
        self._writer.execute("pragma journal_mode = wal")
        self._migrate(scripts(migrations))

    @property
    def changes(self) -> int:
        return self._changes

    @contextmanager
    def read(self) -> Iterator[Connection]:
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
        with self._writing:
            self._writer.execute("begin immediate")
            try:
                yield self._writer
                self._writer.execute("commit")
                self._changes += 1
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    def copy(self, target: Path) -> None:
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
        fold_in(target)

    def close(self) -> None:
        """Lets go of the file, as far as this thread reads it; the last to go folds the write-ahead log in."""
        with self._writing:
            self._writer.close()
        if hasattr(self._readers, "connection"):
            self._readers.connection.close()
            del self._readers.connection

    def _migrate(self, scripts: dict[int, Path]) -> None:
        """Runs the scripts that the store lacks, each in a transaction: another process may be doing the same."""
        latest = max(scripts)
        while (version := self._writer.value("pragma user_version")) < latest:
            with self.write() as db:
                if db.value("pragma user_version") == version:
                    for statement in statements(scripts[version + 1].read_text()):
                        db.execute(statement)
                    db.execute(f"pragma user_version = {version + 1:d}")
        refuse_newer(version, latest)

    def _open(self) -> Connection:
        options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "timeout": 30}
        opened = sqlite3.connect(self.path, factory=Connection, **options)
        opened.row_factory = _as_dict
        opened.sealing = self._seal
        opened.execute("pragma foreign_keys = on")
        opened.execute("pragma synchronous = full")
        return opened


def fill(target: Path, rows_of: Callable[[str, list[str]], Iterable[Row]]) -> None:
    """Makes a new file with the rows that `rows_of` gives of each table, asked by its name and its columns."""
    with closing(Database(target, str)) as made, closing(made._open()) as db:
        db.execute("pragma foreign_keys = off")
        db.execute("begin")
        db.execute("delete from sqlite_sequence")
        for name in [row["name"] for row in db.all(TABLES)]:
            columns = [row["name"] for row in db.all("select name from pragma_table_info(:table)", table=name)]
            places = ", ".join(f":{column}" for column in columns)
            db.executemany(f"insert into {name} values ({places})", rows_of(name, columns))
        db.execute("delete from sqlite_sequence")  # what the inserts noted
        db.executemany("insert into sqlite_sequence values (:name, :seq)", rows_of("sqlite_sequence", ["name", "seq"]))
        db.execute("commit")
    fold_in(target)


def fold_in(path: Path) -> None:
    """Makes it one file, without a write-ahead log beside it. Raises OperationalError where somebody has it open."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma journal_mode = delete")


TABLES = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"


def in_memory(rows: list[Row], columns: list[str]) -> Connection:
    """A database that has these rows as its table `found`."""
    opened = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    opened.row_factory = _as_dict
    opened.execute(f"create table found ({', '.join(columns)})")
    opened.execute("begin")
    places = ", ".join("?" * len(columns))
    opened.executemany(f"insert into found values ({places})", [tuple(row.values()) for row in rows])
    opened.execute("commit")
    return opened


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _as_dict(cursor: sqlite3.Cursor, values: tuple) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}
