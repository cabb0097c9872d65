"""Moves a store from its folder to a database and a bucket, and back. The folder keeps its key and its secret.

Contents go first, then records. Each of the two is copied, compared, and only then named in the folder: until that,
they are where they were. So whatever ends a move, the store is whole, and the next call goes on: it looks what is
there. What was in the folder stays beside it, as `blobs.moved` and `registry.db.moved`; databases and buckets keep what
they had.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from wandb_registry.db import records, sqlite
from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import BadInput, RegistryError
from wandb_registry.listener import refuse_other_machine, unserved
from wandb_registry.maintenance import REFERRED_MD5S
from wandb_registry.model import activity_log
from wandb_registry.storage.blobs import Blobs, md5_of
from wandb_registry.storage.fsync import fsync
from wandb_registry.store import bucket_at, claim_bucket, database_at, seal_of, signer_of
from wandb_registry.store_folder import (
    BUCKET,
    CONTENTS,
    DATABASE,
    RECORDS,
    BucketAddress,
    has_contents,
    keep_bucket,
    keep_database_url,
    moving,
    noted_bucket,
    noted_database,
    prepare,
    refuse_network,
)

if TYPE_CHECKING:
    from wandb_registry.db import postgresql
    from wandb_registry.storage.bucket import Bucket

AT_ONCE = 200  # contents, after which it is told how far the move is
Tell = Callable[[str], None]


@dataclass
class Report:
    """What a move did. None: it wasn't asked to move that, or it was there already."""

    records: int | None = None  # rows of all tables
    events: int | None = None  # of the activity log
    faults: tuple[str, ...] = ()  # that this log had before, and still has
    replaced: int = 0  # texts in which NUL became another character, since PostgreSQL can't hold it
    contents: int | None = None  # all that are there now
    sent: int = 0  # of these, those that weren't there before
    bytes: int = 0  # of all contents
    left: tuple[str, ...] = ()  # files and folders that nothing needs any more


def to_team(folder: Path, database: str | None, bucket: BucketAddress | None, tell: Tell) -> Report:
    """Moves records to a database and contents to a bucket, or one of them. `tell` hears how far it is.

    Raises DaemonError where the store is served, and RegistryError where a target can't be used, has other records or
    doesn't end up with the same as the store.
    """
    with _alone(folder):
        _refuse_leftovers(folder, database is not None, bucket is not None)
        report = Report()
        target = _target(folder, database, report) if database else None
        if bucket:
            with closing(_database(folder)) as db:
                _contents_to_bucket(folder, bucket, db, report, tell)
        if database and target:
            with closing(target):
                _records_to_database(folder, target, report, tell)
            _name_database(folder, database, report)
        return report


def to_folder(folder: Path, tell: Tell) -> Report:
    """Moves records and contents back into the store's folder. Raises as `to_team` does."""
    refuse_network(folder)
    with _alone(folder):
        report = Report()
        if (folder / RECORDS).exists():  # of a move that ended before its last step
            _records_to_folder(folder, report, tell)
        if address := noted_bucket(folder):
            with closing(_database(folder)) as db:
                _contents_to_folder(folder, bucket_at(address, folder, db), db, report, tell)
        _records_to_folder(folder, report, tell)
        return report


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No server has the store meanwhile, and no other command opens it."""
    if not (folder / RECORDS).exists() and noted_database(folder) is None:
        raise BadInput(f"{folder} holds no registry. REGISTRY_DIR names the folder of the one to move.")
    prepare(folder)
    refuse_other_machine(folder)
    with moving(folder), unserved(folder):
        try:
            with FileLock(folder / "maintenance.lock").acquire(timeout=0):
                yield
        except Timeout:
            raise RegistryError(f"A 'gc' or a 'backup' of {folder} is at work. Move when it has ended.") from None


def _seal(folder: Path) -> Callable[[str], str]:
    return seal_of(signer_of(folder))


def _database(folder: Path) -> Database:
    """The records where they are now, whatever the environment names: of two places the one that was moved from."""
    url = noted_database(folder)
    if (folder / RECORDS).exists() or url is None:
        return sqlite.Database(folder / RECORDS, _seal(folder))
    return database_at(url, _seal(folder))


# ---- records ----


def _target(folder: Path, url: str, report: Report) -> "postgresql.Database | None":
    """The database that gets the records; None if it has them. Raises RegistryError where it has others."""
    if not (folder / RECORDS).exists():
        if noted_database(folder) != url:
            raise BadInput(
                f"{folder} has its records in another database. Bring them back first: wandb-registry move --to-folder."
            )
        return None
    target = database_at(url, _seal(folder))
    with closing(sqlite.Database(folder / RECORDS, _seal(folder))) as source, source.read() as here:
        columns = records.tables(here)
        with target.read() as there:
            if records.is_empty(there, columns):
                return target
            same = records.read(there, columns).tables == records.read(here, columns).tables
    target.close()
    if not same:
        raise RegistryError(
            f"The database {target.name} has records already, and not those of this store as they are now. "
            "Name an empty one."
        )
    _name_database(folder, url, report)  # a move ended before this step
    return None


def _records_to_database(folder: Path, target: "postgresql.Database", report: Report, tell: Tell) -> None:
    """Copies in one transaction: the database has all records, or none."""
    with closing(sqlite.Database(folder / RECORDS, _seal(folder))) as source, source.write() as here:
        columns = records.tables(here)
        with target.write() as there:
            copied = records.copy(here, there, columns, lambda table, rows: tell(f"records: {table} {rows:,}"))
            tell("records: being compared")
            _prove(copied, records.read(there, columns), here, there, report)


def _name_database(folder: Path, url: str, report: Report) -> None:
    keep_database_url(folder, url)
    sqlite.fold_in(folder / RECORDS)
    _set_aside(folder, RECORDS, report)


def _records_to_folder(folder: Path, report: Report, tell: Tell) -> None:
    url, file = noted_database(folder), folder / RECORDS
    if url is None:
        return
    part = file if file.exists() else file.with_suffix(".db.part")
    with closing(database_at(url, _seal(folder))) as source:
        if part is not file:
            for left in folder.glob(f"{part.name}*"):  # of a move that was interrupted, also what SQLite has beside it
                left.unlink()
            tell("records: being copied")
            source.copy(part)
        tell("records: being compared")
        with closing(sqlite.Database(part, _seal(folder))) as target, target.read() as here, source.read() as there:
            columns = records.tables(here)
            _prove(records.read(there, columns), records.read(here, columns), there, here, report)
    sqlite.fold_in(part)
    fsync(part)
    part.rename(file)
    fsync(folder)
    (folder / DATABASE).unlink()
    fsync(folder)


def _prove(
    wanted: records.Copied, found: records.Copied, source: Connection, target: Connection, report: Report
) -> None:
    """Notes what was copied. Raises RegistryError where it isn't what it is a copy of."""
    differing = [table for table, rows in wanted.tables.items() if found.tables[table] != rows]
    if differing:
        raise RegistryError(
            f"The copy differs in {', '.join(differing)}, so the records stay where they are. If no other server "
            "writes to the database, this is a fault of the registry."
        )
    faults, before = activity_log.faults(target), activity_log.faults(source)
    if faults != before:
        raise RegistryError(f"The activity log would lose its proof, so the records stay where they are: {faults[0]}")
    report.records, report.replaced, report.faults = found.count, wanted.replaced, tuple(faults)
    report.events = target.value("select count(*) from event")


# ---- contents ----


def _contents_to_bucket(folder: Path, address: BucketAddress, db: Database, report: Report, tell: Tell) -> None:
    noted = noted_bucket(folder)
    if noted and noted != address:
        raise BadInput(
            f"{folder} has its contents in another bucket. Bring them back first: wandb-registry move --to-folder."
        )
    if noted and not has_contents(folder):
        return
    blobs, bucket = Blobs(folder), bucket_at(address, folder, db)
    bucket.check_reachable()
    claim_bucket(bucket, db, signer_of(folder))
    files = {one.md5: blobs.path(one.md5) for one in blobs.listing()}
    if missing := _referred(db) - files.keys():
        raise _incomplete(missing)
    bucket.forget(bucket.noted().keys() - files.keys())  # of a move to another bucket that was given up
    sizes = {md5: path.stat().st_size for md5, path in files.items()}
    done = _Progress(len(sizes), sum(sizes.values()), tell)
    for part in _parts(list(files)):
        try:
            report.sent += len(bucket.put_files({md5: files[md5] for md5 in part}))
        except BadInput:
            if damaged := {md5 for md5 in part if not _is_right(files[md5], md5)}:
                raise _incomplete(damaged) from None
            raise
        done.add(len(part), sum(sizes[md5] for md5 in part))
    report.contents, report.bytes = done.contents, done.bytes
    keep_bucket(folder, address)
    if files:
        _set_aside(folder, CONTENTS, report)


def _contents_to_folder(folder: Path, bucket: "Bucket", db: Database, report: Report, tell: Tell) -> None:
    bucket.check_reachable()
    name = CONTENTS if has_contents(folder) else f"{CONTENTS}.part"
    blobs, referred, noted = Blobs(folder, name), _referred(db), bucket.noted()
    wanted = sorted(referred | noted.keys())
    done = _Progress(len(wanted), sum(noted.values()), tell)

    def fetch(md5: str) -> bool | None:
        """Whether it had to be fetched; None where that can't be: what nothing refers to may be gone."""
        if blobs.has_undamaged(md5, blobs.size_of(md5) or 0):
            return False
        try:
            with blobs.writer() as writer:
                bucket.fetch(md5, writer)
        except (FileNotFoundError, BadInput):
            return None
        return True

    for part in _parts(wanted):
        fetched = dict(zip(part, bucket.objects.each(fetch, part), strict=True))
        if lost := {md5 for md5, how in fetched.items() if how is None} & referred:
            raise _incomplete(lost)
        report.sent += sum(how is True for how in fetched.values())
        there = [blobs.size_of(md5) or 0 for md5, how in fetched.items() if how is not None]
        done.add(len(there), sum(there))
    report.contents, report.bytes = done.contents, done.bytes
    blobs.folder.rename(folder / CONTENTS)
    fsync(folder)
    (folder / BUCKET).unlink()
    fsync(folder)
    bucket.forget(set(noted))


class _Progress:
    """How many contents are where they shall be."""

    def __init__(self, contents: int, bytes: int, tell: Tell):
        self._all, self._tell = f"{contents:,} ({bytes / 2**20:,.1f} MiB)", tell
        self.contents = self.bytes = 0

    def add(self, contents: int, bytes: int) -> None:
        self.contents += contents
        self.bytes += bytes
        self._tell(f"contents: {self.contents:,} ({self.bytes / 2**20:,.1f} MiB) of {self._all}")


def _referred(db: Database) -> set[str]:
    with db.read() as connection:
        return {row["md5"] for row in connection.all(REFERRED_MD5S)}


def _parts(md5s: list[str]) -> Iterator[list[str]]:
    return (md5s[start : start + AT_ONCE] for start in range(0, len(md5s), AT_ONCE))


def _is_right(path: Path, md5: str) -> bool:
    with path.open("rb") as file:
        return md5_of(file) == md5


def _incomplete(md5s: set[str]) -> RegistryError:
    return RegistryError(
        f"{len(md5s)} contents are missing or damaged in the store, such as {min(md5s)}, so they can't be moved. "
        "'wandb-registry check' says which versions have them: delete these or log them again. "
        "What no version has, 'wandb-registry gc --grace 0' removes."
    )


def _refuse_leftovers(folder: Path, moves_records: bool, moves_contents: bool) -> None:
    """Raises BadInput where an earlier move has left what this one would leave."""
    going = {RECORDS: moves_records and (folder / RECORDS).exists(), CONTENTS: moves_contents and has_contents(folder)}
    left = [f"{name}.moved" for name, goes in going.items() if goes and (folder / f"{name}.moved").exists()]
    if left:
        raise BadInput(
            f"{folder} still holds {' and '.join(left)} of an earlier move. Remove that, or take it elsewhere, and "
            "move again."
        )


def _set_aside(folder: Path, name: str, report: Report) -> None:
    """Keeps what was moved out of the folder beside it, for who wants to go back."""
    (folder / name).rename(folder / f"{name}.moved")
    fsync(folder)
    report.left += (f"{name}.moved",)
