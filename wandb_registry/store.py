"""A store, opened: its records, its files, and the secret that signs addresses."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_registry.db import sqlite
from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import RegistryError
from wandb_registry.model.accounts import teams, users
from wandb_registry.model.artifacts.folder_listing import FolderListings
from wandb_registry.model.runs.series import SeriesCache
from wandb_registry.storage.blobs import Blobs
from wandb_registry.storage.multipart_uploads import MultipartUploads
from wandb_registry.storage.signing import Signer
from wandb_registry.store_folder import (
    RECORDS,
    BucketAddress,
    api_key,
    bucket_address,
    database_url,
    is_shared,
    prepare,
    private_text,
    replace_api_key,
)

if TYPE_CHECKING:
    from wandb_registry.db import postgresql
    from wandb_registry.storage.bucket import Bucket


CLAIM = "insert into owner (one, mark) values (1, :mark) on conflict do nothing"
NAME_RECORDS = "update owner set id = :id where id is null"


@dataclass(frozen=True)
class Store:
    folder: Path
    db: Database
    blobs: Blobs
    bucket: "Bucket | None"  # the same, if they are in one: then clients send and fetch contents past the server
    multipart_uploads: MultipartUploads
    signer: Signer
    series: SeriesCache = field(default_factory=SeriesCache)
    folders: FolderListings = field(default_factory=FolderListings)


def open_store(folder: Path) -> Store:
    """Opens the store of a folder and makes what a new one lacks, down to the first account."""
    prepare(folder)
    signer = signer_of(folder)
    database = open_database(folder, seal_of(signer))
    bucket = open_bucket(folder, database)
    blobs = bucket or Blobs(folder)
    store = Store(
        folder=folder,
        db=database,
        blobs=blobs,
        bucket=bucket,
        multipart_uploads=MultipartUploads(blobs),
        signer=signer,
    )
    with store.db.write() as db:
        if is_shared(folder):
            _claim(db, signer, folder)
        teams.make_first(db, api_key(folder))
        keep_key(db, folder)
    return store


def signer_of(folder: Path) -> Signer:
    """What signs addresses and seals the log, by the store's secret, which is made with it."""
    return Signer(bytes.fromhex(private_text(folder / "secret", lambda: secrets.token_hex(32))))


def owner_mark(signer: Signer) -> str:
    """What tells the records and contents of this registry from another's: all its servers have one secret."""
    return signer.mark("OWNER", "")


def claim_bucket(bucket: "Bucket", db: Database, signer: Signer) -> None:
    """Sees to it that the contents of a bucket are those of these records. Raises RegistryError where they aren't."""
    mark = owner_mark(signer)
    with db.write() as connection:
        connection.execute(CLAIM, {"mark": mark})
        connection.execute(NAME_RECORDS, {"id": secrets.token_hex(16)})
        records = connection.value("select id from owner")
    bucket.claim(mark, records)


def _claim(db: Connection, signer: Signer, folder: Path) -> None:
    """Sees to it that the records of a database are this registry's. Raises RegistryError where they are another's."""
    db.execute(CLAIM, {"mark": owner_mark(signer)})
    if db.value("select mark from owner") != owner_mark(signer):
        raise RegistryError(
            f"The database that {folder} names has the records of a registry with another secret. For one more server "
            "of that registry, copy the files 'secret' and 'api-key' of its folder into this one; for another "
            "registry, name an empty database."
        )


def seal_of(signer: Signer) -> Callable[[str], str]:
    return partial(signer.mark, "LOG")


def open_database(folder: Path, seal: Callable[[str], str]) -> Database:
    """The records of a store: in the database that it names, else in a file."""
    url = database_url(folder)
    return database_at(url, seal) if url else sqlite.Database(folder / RECORDS, seal)


def database_at(url: str, seal: Callable[[str], str]) -> "postgresql.Database":
    """The database at an address, with the registry's tables. Raises RegistryError where it can't be used."""
    try:
        from wandb_registry.db import postgresql  # here alone: without a database nobody needs its driver
    except ImportError:
        raise RegistryError(
            "A registry with its records in PostgreSQL needs two more packages: pip install 'dvc-wandb[team]'."
        ) from None
    return postgresql.Database(url, seal)


def open_bucket(folder: Path, database: Database) -> "Bucket | None":
    """The bucket with the contents of a store, if it names one; else they are in its folder."""
    address = bucket_address(folder)
    return bucket_at(address, folder, database) if address else None


def bucket_at(address: BucketAddress, folder: Path, database: Database) -> "Bucket":
    """The bucket at an address. What it has is noted in the database."""
    from wandb_registry.storage.bucket import Bucket  # here alone: it takes boto3
    from wandb_registry.storage.object_store import ObjectStore

    return Bucket(folder, ObjectStore(address.bucket, address.prefix, address.endpoint), database)


def keep_key(db: Connection, folder: Path) -> None:
    """Sees to it that the key in the store's file 'api-key' works: one that was taken back is replaced by another."""
    if not users.is_key(db, api_key(folder)):
        users.add_key(db, users.operator(db), replace_api_key(folder))
