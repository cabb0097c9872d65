"""A store's folder and its private files. Only the standard library, so that starting a server stays cheap.

api-key      the API key of the person who runs the registry
bucket       where its contents are, as s3://BUCKET/PREFIX, and on a second line the endpoint; without it in blobs/
database     the address of the database that has its records; without this file they are in registry.db
server.json  where the store is served, or was last
server.lock  held by the server as long as it lives
start.lock   held by whoever starts or ends the server
server.log   what a server in the background has to say
"""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wandb_registry import file_system
from wandb_registry.storage.fsync import fsync

API_KEY = "api-key"
DATABASE = "database"
DATABASE_VARIABLE = "REGISTRY_DATABASE"
BUCKET = "bucket"
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

    Raises DaemonError if it can't be written, or lies on a network's file system while its records are in a file.
    """
    in_a_file = not os.environ.get(DATABASE_VARIABLE) and not is_shared(store)
    if in_a_file and (kind := file_system.of_a_network(store)):
        raise DaemonError(
            f"The registry's folder {store} lies on a network's file system ({kind}), where its database can't live: "
            "SQLite's log is shared memory of one machine. Name a folder on a disk of this machine with REGISTRY_DIR; "
            "for several machines run 'wandb-registry serve' on one; the others set WANDB_BASE_URL and WANDB_API_KEY."
        )
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


def database_url(store: Path) -> str | None:
    """The database that has the store's records, as the environment or the store itself names it; None: it has a file.

    Raises DaemonError where records lie in a file although a database is named: one of them would be forgotten.
    """
    named = os.environ.get(DATABASE_VARIABLE)
    try:
        url = named or (store / DATABASE).read_text().strip()
    except FileNotFoundError:
        return None
    if (store / "registry.db").exists():
        raise DaemonError(
            f"{store} has its records in the file registry.db, and a database is named beside it. "
            f"Choose a new folder with REGISTRY_DIR, or unset {DATABASE_VARIABLE}."
        )
    return url


def keep_database_url(store: Path, url: str) -> None:
    """Notes the database in the store, so that all commands on this folder find it."""
    _write_beside(store / DATABASE, url).replace(store / DATABASE)


@dataclass(frozen=True)
class BucketAddress:
    """Where contents are: `s3://BUCKET/PREFIX`, at a server of one's own or, without an endpoint, at Amazon's."""

    bucket: str
    prefix: str
    endpoint: str | None

    @property
    def text(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}\n{self.endpoint or ''}"


def bucket_address(store: Path) -> BucketAddress | None:
    """The bucket that has the store's contents, as the environment or the store itself names it; None: its folder has.

    Raises DaemonError for what is no address of a bucket, and where contents lie in the folder although one is named.
    """
    named = os.environ.get(BUCKET_VARIABLE)
    try:
        text = named or (store / BUCKET).read_text().strip()
    except FileNotFoundError:
        return None
    address, _, endpoint = text.partition("\n")
    endpoint = os.environ.get(ENDPOINT_VARIABLE, endpoint) if named else endpoint
    parsed = BUCKET_ADDRESS.fullmatch(address)
    if parsed is None:
        raise DaemonError(
            f"'{address}' is no address of a bucket, as s3://BUCKET or s3://BUCKET/PREFIX is. "
            "A bucket's name has 3 to 63 small letters, digits, dots and hyphens."
        )
    if endpoint and not re.fullmatch(r"https?://[^/\s]+/?", endpoint):
        raise DaemonError(f"'{endpoint}' is no endpoint of a bucket, as https://s3.example.com is.")
    if any((store / "blobs").glob("*/*")):
        raise DaemonError(
            f"{store} has its contents in the folder blobs, and a bucket is named beside it. "
            f"Choose a new folder with REGISTRY_DIR, or unset {BUCKET_VARIABLE}."
        )
    return BucketAddress(parsed[1], parsed[2].strip("/"), endpoint.rstrip("/") or None)


def keep_bucket(store: Path, address: BucketAddress) -> None:
    """Notes the bucket in the store, so that all commands on this folder find it."""
    _write_beside(store / BUCKET, address.text).replace(store / BUCKET)


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
