"""Records in PostgreSQL, for any number of server processes.

One transaction writes at a time, whichever process it belongs to: it holds the database's advisory lock until it is on
disk. So all that the model reads before it writes is still so when it does, as in SQLite. Readers wait for nobody.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import psycopg.rows
import psycopg_pool
from psycopg import errors, sql
from psycopg.types.numeric import NumericLoader

from wandb_registry.db import connection, dialect, sqlite
from wandb_registry.db.connection import MIGRATIONS, Functions, Row, refuse_newer, scripts
from wandb_registry.errors import BadInput, DatabaseAway, RegistryError, StoreFull

Raw = psycopg.Connection[Any]
Pool = psycopg_pool.ConnectionPool[Raw]
PRELUDE = Path(__file__).parent / "postgresql.sql"
OLDEST = 13
READERS = 8  # connections of a process, beside one that writes and one that listens
PATIENCE = 15.0  # seconds that a request waits for a database that restarts
AT_ONCE = 500  # statements that are sent together
CHANNEL = "wandb_registry"
LOCK = "pg_advisory_xact_lock(hashtext('wandb-registry'), hashtext(current_schema()))"
BEGIN_READ = "begin isolation level repeatable read, read only"
BEGIN_WRITE = f"begin; select {LOCK}"
# A process that hangs in a transaction would keep all others from writing: the server ends its connection
SESSION = """
set timezone = 'UTC'; set jit = off; set client_min_messages = warning; set idle_in_transaction_session_timeout = '30s'
"""
NETWORK = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "wandb-registry",
}
FOUND = re.compile(r"\bfound\.(\w+)")


class Connection(connection.Connection):
    """A transaction."""

    def __init__(self, raw: Raw, seal: Callable[[str], str]):
        self._raw, self._seal = raw, seal

    def execute(self, sql: str, parameters: Mapping[str, Any] = {}, /) -> Any:
        statement = dialect.statement(sql)
        return self._raw.execute(statement.sql, dialect.parameters(parameters, statement.lists))  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        statement, rest = dialect.statement(sql), iter(rows)
        with psycopg.ClientCursor(self._raw) as cursor:
            while part := list(islice(rest, AT_ONCE)):
                filled = (cursor.mogrify(statement.sql, dialect.parameters(row, statement.lists)) for row in part)  # type: ignore[arg-type]
                cursor.execute(";\n".join(filled))  # type: ignore[arg-type]

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        return self.execute(sql, parameters).fetchall()

    def stream(self, sql: str) -> Iterator[Row]:
        with self._raw.cursor("streamed") as cursor:
            yield from cursor.execute(dialect.statement(sql).sql)  # type: ignore[arg-type]

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Puts rows with their ids into a table, which gives higher ids from then on."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        with psycopg.ClientCursor(self._raw) as cursor:
            with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), names)) as copy:
                for row in rows:
                    copy.write_row(row)
            if "id" in columns:
                self._give_higher_ids(table)

    def sift(self, rows: str, sql: str, functions: Functions, /, **parameters: Any) -> list[Row]:
        """Fetches the rows, of them only the columns that are named, and asks SQLite in memory."""
        columns = "*" if "select *" in sql else ", ".join(sorted({*FOUND.findall(sql), "id"}))
        cursor = self.execute(f"select {columns} from ({rows}) as found", parameters)
        names = [column.name for column in cursor.description]
        with closing(sqlite.in_memory(cursor.fetchall(), names)) as memory:
            return memory.sift("select * from main.found", sql, functions, **parameters)

    def _give_higher_ids(self, table: str) -> None:
        """As in SQLite the next id is the highest and one more. Those of `next_id` come from a table of their own."""
        counter = self.value("select pg_get_serial_sequence(:table, 'id')", table=f'"{table}"')
        if counter:
            highest = sql.SQL("select setval(%s, coalesce(max(id), 0) + 1, false) from {}").format(
                sql.Identifier(table)
            )
            self._raw.execute(highest, [counter])

    def seal(self, text: str) -> str:
        return self._seal(text)

    def damage(self) -> list[str]:
        """PostgreSQL checks its pages as it reads them (`--data-checksums`), and its references always hold."""
        return []


class Reader(Connection):
    """A transaction that only reads. It begins together with its first statement: each message costs a wait."""

    def __init__(self, pool: Pool, seal: Callable[[str], str]):
        self._pool, self._begun, self._seal = pool, None, seal

    @property
    def _raw(self) -> Raw:
        if self._begun is None:
            self._begun, _ = _sent(self._pool, BEGIN_READ)
        return self._begun

    def execute(self, sql: str, parameters: Mapping[str, Any] = {}, /) -> Any:
        if self._begun:
            return super().execute(sql, parameters)
        statement = dialect.statement(sql)
        given = dialect.parameters(parameters, statement.lists)
        self._begun, cursor = _sent(self._pool, f"{BEGIN_READ}; {statement.sql}", given)
        cursor.nextset()  # what `begin` answered
        return cursor

    def end(self) -> None:
        if self._begun:
            _give_back(self._pool, self._begun)


class Database(connection.Database):
    """The records of a registry in the database that a URL names."""

    def __init__(self, url: str, seal: Callable[[str], str], migrations: Path = MIGRATIONS):
        """Connects, and makes or upgrades the schema. Raises RegistryError where that is impossible."""
        self._seal, self._name = seal, secrets.token_hex(8)
        self._url, self._options = _complete(url)
        self._writing = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()
        self._changes = 0
        with _told(self._url), self._connect() as raw:
            if raw.info.server_version < OLDEST * 10_000:
                version = raw.info.server_version // 10_000
                raise RegistryError(
                    f"The PostgreSQL of {_shown(self._url)} is version {version}; the registry takes {OLDEST} or newer."
                )
            self._migrate(raw, scripts(migrations))
        self._writers, self._readers = self._pool(1), self._pool(READERS)

    @property
    def name(self) -> str:
        """What people call it, without its password."""
        return _shown(self._url)

    @property
    def changes(self) -> int:
        if self._listener is None:
            self._listener = threading.Thread(target=self._listen, name="listen", daemon=True)
            self._listener.start()
        return self._changes

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _told(self._url):
            reader = Reader(self._readers, self._seal)
            try:
                yield reader
            finally:
                reader.end()

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Without a transaction: a statement sees one moment by itself."""
        statement = dialect.statement(sql)
        with _told(self._url):
            raw, cursor = _sent(self._readers, statement.sql, dialect.parameters(parameters, statement.lists))
            self._readers.putconn(raw)
            return cursor.fetchone()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._writing, _told(self._url):
            raw, _ = _sent(self._writers, BEGIN_WRITE)
            try:
                yield Connection(raw, self._seal)
                raw.execute(sql.SQL("select pg_notify({}, {}); commit").format(CHANNEL, self._name))
            finally:
                _give_back(self._writers, raw)
            self._changes += 1

    def copy(self, target: Path) -> None:
        with self.read() as db:
            sqlite.fill(target, lambda table, columns: db.stream(f"select {', '.join(columns)} from {table}"))

    def close(self) -> None:
        self._closed.set()
        self._writers.close()
        self._readers.close()

    def _connect(self) -> Raw:
        raw = psycopg.connect(self._url, **self._options)
        _configure(raw)
        return raw

    def _pool(self, most: int) -> Pool:
        pool: Pool = psycopg_pool.ConnectionPool(
            self._url,
            kwargs=self._options,
            configure=_configure,
            min_size=0,
            max_size=most,
            timeout=PATIENCE,
            reconnect_timeout=PATIENCE,
            open=True,
        )
        return pool

    def _migrate(self, raw: Raw, scripts: dict[int, Path]) -> None:
        """Runs the scripts that the database lacks, all in one transaction: whoever comes first, the others wait."""
        raw.execute(BEGIN_WRITE)
        if not raw.execute("select to_regclass('registry_schema') is not null as there").fetchone()["there"]:  # type: ignore[index]
            raw.execute(PRELUDE.read_text())  # type: ignore[arg-type]
        version = raw.execute("select version from registry_schema").fetchone()["version"]  # type: ignore[index]
        latest = max(scripts)
        for number in range(version + 1, latest + 1):
            for statement in dialect.schema(scripts[number].read_text()):
                raw.execute(statement, {})  # type: ignore[arg-type]
        if version < latest:
            raw.execute(sql.SQL("update registry_schema set version = {}").format(latest))
        raw.execute("commit")
        refuse_newer(version, latest)

    def _listen(self) -> None:
        """Counts the transactions of other processes."""
        while not self._closed.is_set():
            try:
                with psycopg.connect(self._url, **self._options) as raw:
                    raw.execute(f"listen {CHANNEL}")  # type: ignore[arg-type]
                    self._changes += 1  # whatever was written while nobody listened
                    while not self._closed.is_set():
                        for note in raw.notifies(timeout=1):
                            self._changes += note.payload != self._name
            except psycopg.Error:
                self._closed.wait(1)


class _NumberLoader(NumericLoader):
    """Sums of integers have no fraction, and are integers again."""

    def load(self, data: Any) -> Any:
        number: Decimal = super().load(data)
        return int(number) if number == number.to_integral_value() else float(number)


def _complete(url: str) -> tuple[str, dict[str, Any]]:
    """The address, and what every connection has beside it."""
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise RegistryError(
            f"This is no address of a database: {str(error).strip()}. One reads like postgresql://USER@HOST/DATABASE."
        ) from None
    network = {key: value for key, value in NETWORK.items() if key not in given}
    return url, network | {
        "autocommit": True,
        "row_factory": psycopg.rows.dict_row,
        "cursor_factory": psycopg.ClientCursor,
    }


def _configure(raw: Raw) -> None:
    raw.adapters.register_loader("numeric", _NumberLoader)
    raw.execute(SESSION)


def _sent(pool: Pool, first: str, parameters: Mapping[str, Any] = {}) -> tuple[Raw, Any]:
    """A connection, and what it answered to its first statement. One that a restart of the database cut is replaced."""
    deadline = time.monotonic() + PATIENCE
    while True:
        raw = pool.getconn(max(1.0, deadline - time.monotonic()))
        try:
            return raw, raw.execute(first, parameters)  # type: ignore[arg-type]
        except psycopg.OperationalError:
            raw.close()
            pool.putconn(raw)
            if time.monotonic() > deadline:
                raise
        except BaseException:
            raw.close()
            pool.putconn(raw)
            raise


def _give_back(pool: Pool, raw: Raw) -> None:
    """Lets others use a connection. Its transaction is rolled back unless it was committed."""
    with suppress(psycopg.Error):
        if raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raw.execute("rollback")
    pool.putconn(raw)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turns what the database says no to into sentences."""
    try:
        yield
    except errors.DiskFull:
        raise StoreFull() from None
    except errors.InsufficientPrivilege as error:
        user = psycopg.conninfo.conninfo_to_dict(url).get("user") or os.environ.get("PGUSER", "its user")
        raise RegistryError(
            f"In the database {_shown(url)} '{user}' lacks a right ({_first_line(error)}). "
            f"Make it the owner: 'alter database NAME owner to {user}', and the same for the schema."
        ) from None
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
        raise DatabaseAway(_shown(url), _first_line(error)) from error
    except errors.NumericValueOutOfRange:
        raise OverflowError from None
    except psycopg.DataError as error:
        if "NUL" not in str(error):
            raise
        raise BadInput("A text of this request holds a NUL character, which the database can't keep.") from None


def _shown(url: str) -> str:
    """The address without its password."""
    given = psycopg.conninfo.conninfo_to_dict(url)
    host, port = given.get("host") or "localhost", given.get("port") or 5432
    return f"'{given.get('dbname') or given.get('user') or 'postgres'}' at {host}:{port}"


def _first_line(error: Exception) -> str:
    """What the database said, without where it said it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^(connection failed: )?(connection to server at .*? failed: )?(FATAL|ERROR):\s*", "", line)
