"""A store's folder and its private files. Only the standard library, so that starting a server stays cheap.

api-key      the API key of the person who runs the registry
bucket       where its contents are, as s3://BUCKET/PREFIX, and on a second line the endpoint; without it in blobs/
database     the address of the database that has its records; without this file they are in registry.db
move.lock    held by a move of records or contents to another place, as long as it lasts
server.json  where the store is served, or was last
server.lock  held by the server as long as it lives
start.lock   held by whoever starts or ends the server
server.log   what a server in the background has to say
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from wandb_registry import file_system
from wandb_registry.storage.fsync import fsync

API_KEY = "api-key"
RECORDS = "registry.db"
CONTENTS = "blobs"
DATABASE = "database"
DATABASE_VARIABLE = "REGISTRY_DATABASE"
BUCKET = "bucket"
MOVE_LOCK = "move.lock"
BUCKET_VARIABLE = "REGISTRY_BUCKET"
ENDPOINT_VARIABLE = "REGISTRY_BUCKET_ENDPOINT"
BUCKET_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()-]+)*)/?")


class DaemonError(Exception):
    """The server of a store can't be found, started or stopped; the text says why and what to do."""


def default_store() -> Path:
    """`REGISTRY_DIR`, else `.registry` in the current folder."""
    return Path(os.environ.get("REGISTRY_DIR") or ".registry").absolute()


def prepare(store: Path) -> None:
    """Makes the store's folder, for this user only and ignored by git.

    Raises DaemonError if it can't be written, is being moved, or lies on a network's file system while its records are
    in a file.
    """
    if not os.environ.get(DATABASE_VARIABLE) and not is_shared(store):
        refuse_network(store)
    if _is_moving(store):
        raise DaemonError(f"{store} is being moved to another place. Wait until 'wandb-registry move' has ended.")
    try:
        if not store.is_dir():
            store.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync(store.parent)  # else a power cut could take the whole store
        ignore = store / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        api_key(store)
    except OSError as error:
        raise DaemonError(
            f"The registry can't write to its folder {store}: {error.strerror}. "
            "Make it writable, or choose another with REGISTRY_DIR."
        ) from None


def refuse_network(store: Path) -> None:
    """Raises DaemonError where the folder can't have records in a file."""
    if kind := file_system.of_a_network(store):
        raise DaemonError(
            f"The registry's folder {store} lies on a network's file system ({kind}), where its database can't live: "
            "SQLite's log is shared memory of one machine. Name a folder on a disk of this machine with REGISTRY_DIR; "
            "for several machines run 'wandb-registry serve' on one; the others set WANDB_BASE_URL and WANDB_API_KEY."
        )


def database_url(store: Path) -> str | None:
    """The database that has the store's records, as the environment or the store itself names it; None: it has a file.

    Raises DaemonError where records lie in a file although a database is named, or in another database: one of them
    would be forgotten.
    """
    named, noted = os.environ.get(DATABASE_VARIABLE), noted_database(store)
    if named and noted and _place_of_database(named) != _place_of_database(noted):
        raise DaemonError(
            f"{store} has its records in another database than {DATABASE_VARIABLE} or --database names. "
            + _two_places(store, DATABASE)
        )
    url = named or noted
    if url and (store / RECORDS).exists():
        raise DaemonError(
            f"{store} has its records in the file {RECORDS}, and a database is named beside it. "
            + _settle(store, DATABASE, DATABASE_VARIABLE)
        )
    return url


def noted_database(store: Path) -> str | None:
    """The database that the store itself names."""
    return _note(store / DATABASE)


def keep_database_url(store: Path, url: str) -> None:
    """Notes the database in the store, so that all commands on this folder find it."""
    _write_beside(store / DATABASE, url).replace(store / DATABASE)


def _place_of_database(url: str) -> tuple[str | None, ...]:
    """Where a database is, whoever signs in there and how."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme not in ("postgresql", "postgres") or query.keys() & {"host", "hostaddr", "port", "dbname"}:
        return (url,)  # libpq reads more than addresses
    host, _, port = parts.netloc.rpartition("@")[2].partition(":")
    return (host.lower(), port or "5432", parts.path.strip("/"), query.get("options"))


@dataclass(frozen=True)
class BucketAddress:
    """Where contents are: `s3://BUCKET/PREFIX`, at a server of one's own or, without an endpoint, at Amazon's."""

    bucket: str
    prefix: str
    endpoint: str | None

    @property
    def text(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}\n{self.endpoint or ''}"

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + (f" at {self.endpoint}" if self.endpoint else "")


def bucket_address(store: Path) -> BucketAddress | None:
    """The bucket that has the store's contents, as the environment or the store itself names it; None: its folder has.

    Raises DaemonError for what is no address of a bucket, and where contents lie in the folder, or in another bucket,
    although one is named.
    """
    text, noted = os.environ.get(BUCKET_VARIABLE), noted_bucket(store)
    named = parse_bucket(text, os.environ.get(ENDPOINT_VARIABLE, "")) if text else None
    if named and noted and named != noted:
        raise DaemonError(
            f"{store} has its contents in {noted.where}, and {BUCKET_VARIABLE} or --bucket names {named.where}. "
            + _two_places(store, BUCKET)
        )
    address = named or noted
    if address and has_contents(store):
        raise DaemonError(
            f"{store} has its contents in the folder {CONTENTS}, and a bucket is named beside it. "
            + _settle(store, BUCKET, BUCKET_VARIABLE)
        )
    return address


def noted_bucket(store: Path) -> BucketAddress | None:
    """The bucket that the store itself names."""
    text = _note(store / BUCKET)
    if text is None:
        return None
    address, _, endpoint = text.partition("\n")
    return parse_bucket(address, endpoint)


def parse_bucket(address: str, endpoint: str) -> BucketAddress:
    """Reads s3://BUCKET/PREFIX and an endpoint, which may be empty. Raises DaemonError for what is neither."""
    parsed = BUCKET_ADDRESS.fullmatch(address)
    if parsed is None:
        raise DaemonError(
            f"'{address}' is no address of a bucket, as s3://BUCKET or s3://BUCKET/PREFIX is. "
            "A bucket's name has 3 to 63 small letters, digits, dots and hyphens."
        )
    if endpoint and not re.fullmatch(r"https?://[^/\s]+/?", endpoint):
        raise DaemonError(f"'{endpoint}' is no endpoint of a bucket, as https://s3.example.com is.")
    return BucketAddress(parsed[1], parsed[2].strip("/"), endpoint.rstrip("/") or None)


def has_contents(store: Path) -> bool:
    """Whether contents lie in the store's folder."""
    return any((store / CONTENTS).glob("*/*"))


def keep_bucket(store: Path, address: BucketAddress) -> None:
    """Notes the bucket in the store, so that all commands on this folder find it."""
    _write_beside(store / BUCKET, address.text).replace(store / BUCKET)


@contextmanager
def taking_back_notes(store: Path) -> Iterator[Callable[[], None]]:
    """Leaves what is noted of database and bucket as it was where the block fails: they may be somebody else's.

    Once what the block is given was called, the notes stay, however it ends.
    """
    before = {name: _note(store / name) for name in (DATABASE, BUCKET)}
    try:
        yield before.clear
    except (Exception, SystemExit):
        for name, text in before.items():
            if text is None:
                (store / name).unlink(missing_ok=True)
            elif text != _note(store / name):
                _write_beside(store / name, text).replace(store / name)
        raise


@contextmanager
def moving(store: Path) -> Iterator[None]:
    """Keeps all other commands from opening the store. Raises DaemonError where another process is in the block."""
    lock = os.open(store / MOVE_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DaemonError(f"Another 'wandb-registry move' of {store} is at work. Wait until it has ended.") from None
    finally:
        os.close(lock)


def _is_moving(store: Path) -> bool:
    try:
        lock = os.open(store / MOVE_LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def _note(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


def _settle(store: Path, note: str, variable: str) -> str:
    """What to do where records or contents have two places."""
    if (store / note).exists():
        return "A move was interrupted: run the same 'wandb-registry move' again, and it goes on."
    return f"Move them there with 'wandb-registry move', choose a new folder with REGISTRY_DIR, or unset {variable}."


def _two_places(store: Path, note: str) -> str:
    """What to do where another place is named than the one that the store itself does."""
    return (
        "To move them there, bring them back first: 'wandb-registry move --to-folder', without the new name. "
        f"If they are there already, by another way, remove {store / note} and start again."
    )


def is_shared(store: Path) -> bool:
    """Whether several servers may serve this store at once: its records are in a database."""
    return (store / DATABASE).exists()


def log_path(store: Path) -> Path:
    """The log of a server in the background."""
    return store / "server.log"


def api_key(store: Path) -> str:
    """The API key of the person who runs the registry, made with the store."""
    return private_text(Path(store) / API_KEY, _new_api_key)


def replace_api_key(store: Path) -> str:
    """Writes another API key in place of that person's, and returns it."""
    key = _new_api_key()
    _write_beside(store / API_KEY, key).replace(store / API_KEY)
    return key


def private_text(path: Path, make: Callable[[], str]) -> str:
    """The text of a file that only this user may read. The first process that asks for it makes it."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    temporary = _write_beside(path, make())
    with suppress(FileExistsError):  # unlike a rename, a link fails when another process was first
        os.link(temporary, path)
    temporary.unlink()
    return path.read_text().strip()


def _new_api_key() -> str:
    return secrets.token_hex(20)


def _write_beside(path: Path, text: str) -> Path:
    """A new file beside this one, on disk, that only this user may read."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary
