"""What the rest of the registry asks of its database, whichever engine keeps the records.

SQL is written once, in SQLite's words; `dialect.py` puts it into PostgreSQL's. A write is acknowledged after its
transaction is on disk, and one transaction writes at a time, so that rules which read before they write can't be
overtaken.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from wandb_registry.errors import RegistryError

Row = dict[str, Any]
Functions = Mapping[str, Callable[..., Any]]  # of Python, by their names in SQL
SCHEMA = Path(__file__).parent / "schema.sql"
MIGRATIONS = Path(__file__).parent / "migrations"


class Cursor(Protocol):
    """What a statement answered. Iterating it gives its rows."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def __iter__(self) -> Any: ...


class Connection(ABC):
    """A transaction's connection. It answers in dicts and takes named parameters."""

    @abstractmethod
    def execute(self, sql: str, parameters: Mapping[str, Any] = ..., /) -> Cursor: ...

    @abstractmethod
    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> Any: ...

    @abstractmethod
    def all(self, sql: str, **parameters: Any) -> list[Row]: ...

    @abstractmethod
    def stream(self, sql: str) -> Iterator[Row]:
        """The rows of a query part by part, however many they are."""

    @abstractmethod
    def sift(self, rows: str, sql: str, functions: Functions, /, **parameters: Any) -> list[Row]:
        """Asks for what SQLite alone can say: JSON inside a text, functions in Python.

        `sql` reads the table `found`, which has the rows of the query `rows`, and names its columns `found.…`.
        """

    @abstractmethod
    def seal(self, text: str) -> str:
        """A hash of a text that nobody can compute from the database alone."""

    @abstractmethod
    def damage(self) -> list[str]:
        """What the engine itself finds wrong with its data, a sentence each."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        return self.execute(sql, parameters).fetchone()

    def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, **parameters)
        return next(iter(row.values())) if row else None

    def row(self, sql: str, **parameters: Any) -> Row:
        """The one row that must be there, such as that of `returning *`."""
        row = self.one(sql, **parameters)
        if row is None:
            raise LookupError(sql)
        return row


class Database(ABC):
    """The registry's records, opened for any number of readers and one writer at a time."""

    @property
    @abstractmethod
    def changes(self) -> int:
        """Counts transactions since it was opened: whoever watches sees that there is something new."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """A reader, looking at one moment: what is committed meanwhile isn't seen in the block."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """The first row of a query that stands alone."""
        with self.read() as db:
            return db.one(sql, **parameters)

    @abstractmethod
    def write(self) -> AbstractContextManager[Connection]:
        """One transaction: on disk when the block ends, as if it never was when the block raises."""

    @abstractmethod
    def copy(self, target: Path) -> None:
        """Writes all records as of one moment into a new file, which the embedded engine opens."""

    @abstractmethod
    def close(self) -> None: ...


def scripts(migrations: Path) -> dict[int, Path]:
    """The scripts that make the schema, by the version that each leads to."""
    return {1: SCHEMA} | {int(file.stem): file for file in sorted(migrations.glob("*.sql"))}


def refuse_newer(version: int, latest: int) -> None:
    if version > latest:
        raise RegistryError(
            f"The store was written by a newer registry (its schema is {version}, this one knows {latest}). "
            "Update this checkout, or choose another folder with REGISTRY_DIR."
        )
