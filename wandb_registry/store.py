"""A store, opened: its records, its files, and the secret that signs addresses."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wandb_registry.db import sqlite
from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import RegistryError
from wandb_registry.model.accounts import teams, users
from wandb_registry.model.artifacts.folder_listing import FolderListings
from wandb_registry.model.runs.series import SeriesCache
from wandb_registry.storage.blobs import Blobs
from wandb_registry.storage.multipart_uploads import MultipartUploads
from wandb_registry.storage.signing import Signer
from wandb_registry.store_folder import api_key, database_url, prepare, private_text, replace_api_key


@dataclass(frozen=True)
class Store:
    folder: Path
    db: Database
    blobs: Blobs
    multipart_uploads: MultipartUploads
    signer: Signer
    series: SeriesCache = field(default_factory=SeriesCache)
    folders: FolderListings = field(default_factory=FolderListings)


def open_store(folder: Path) -> Store:
    """Opens the store of a folder and makes what a new one lacks, down to the first account."""
    prepare(folder)
    secret = private_text(folder / "secret", lambda: secrets.token_hex(32))
    signer, blobs = Signer(bytes.fromhex(secret)), Blobs(folder)
    store = Store(
        folder=folder,
        db=open_database(folder, partial(signer.mark, "LOG")),
        blobs=blobs,
        multipart_uploads=MultipartUploads(blobs),
        signer=signer,
    )
    with store.db.write() as db:
        teams.make_first(db, api_key(folder))
        keep_key(db, folder)
    return store


def open_database(folder: Path, seal: Callable[[str], str]) -> Database:
    """The records of a store: in the database that it names, else in a file."""
    url = database_url(folder)
    if url is None:
        return sqlite.Database(folder / "registry.db", seal)
    try:
        from wandb_registry.db import postgresql  # here alone: without a database nobody needs its driver
    except ImportError:
        raise RegistryError(
            "A registry with its records in PostgreSQL needs two more packages: pip install 'dvc-wandb[team]'."
        ) from None
    return postgresql.Database(url, seal)


def keep_key(db: Connection, folder: Path) -> None:
    """Sees to it that the key in the store's file 'api-key' works: one that was taken back is replaced by another."""
    if not users.is_key(db, api_key(folder)):
        users.add_key(db, users.operator(db), replace_api_key(folder))
