"""Maintenance of a store, also while it is served: `check` proves it whole, `gc` removes, `backup` copies."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, RegistryError
from wandb_registry.model import activity_log
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import artifacts, manifests, memberships, references
from wandb_registry.storage.blobs import Content, md5_of, to_base64
from wandb_registry.store import Store, claim_bucket

Row = dict[str, Any]
GRACE_SECONDS = 24 * 3600  # uploads may take so long: what is younger is left alone
BATCH = 500  # contents removed in one transaction, so that writers don't wait long

REFERENCES = """
select entry.md5, entry.size,
       entity.name || '/' || project.name || '/' || collection.name || ':v' || artifact.version_index
         || '/' || entry.path as path
  from entry
  join artifact on artifact.id = entry.artifact_id
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where entry.md5 is not null
 union all
select run_file.md5, run_file.size, entity.name || '/' || project.name || '/' || run.name || '/' || run_file.name
  from run_file
  join run on run.id = run_file.run_id
  join project on project.id = run.project_id
  join entity on entity.id = project.entity_id
"""
COMMITTED = """
select artifact.id, artifact.digest, artifact.size, artifact.file_count,
       entity.name || '/' || project.name || '/' || collection.name || ':v' || artifact.version_index as path,
       exists (select 1
                 from membership
                where membership.artifact_id = artifact.id
                  and membership.collection_id = artifact.collection_id
                  and membership.version_index = artifact.version_index) as placed
  from artifact
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
 where artifact.state = 'COMMITTED'
"""


# ---- check ----


@dataclass
class CheckReport:
    """What `check` found."""

    versions: int = 0
    contents: int = 0
    events: int = 0
    faults: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    young: list[str] = field(default_factory=list)  # of an upload that is under way, or orphans since today
    orphan_bytes: int = 0


def check(store: Store, head: str | None = None) -> CheckReport:
    """Proves that all that is recorded is there and as it was recorded, as of one moment; and that the activity log
    still holds the event that was its head before.
    """
    report = CheckReport()
    with store.db.read() as db:
        report.events = db.value("select count(*) from event")
        report.faults += db.damage()
        report.faults += activity_log.faults(db, head)
        for version in db.all(COMMITTED):
            report.versions += 1
            report.faults += _version_faults(db, version)
        references: dict[str, list[Row]] = {}
        for row in db.all(REFERENCES):
            references.setdefault(row["md5"], []).append(row)
    report.contents = len(references)
    for md5, found in store.blobs.inspect(list(references)):
        report.faults += _content_faults(found, md5, references[md5])
    for content in store.blobs.listing():
        if content.md5 not in references and time.time() - content.modified > GRACE_SECONDS:
            report.orphans.append(content.md5)
            report.orphan_bytes += content.size
        elif content.md5 not in references:
            report.young.append(content.md5)
    return report


def _version_faults(db: Connection, version: Row) -> list[str]:
    entries = {row["path"]: row for row in manifests.entries_of(db, version["id"])}
    faults = []
    if manifests.digest_of(entries) != version["digest"]:
        faults.append(f"{version['path']}: its files don't give its digest {version['digest']}.")
    if (len(entries), sum(row["size"] for row in entries.values())) != (version["file_count"], version["size"]):
        faults.append(f"{version['path']}: its files are not as many or as large as it says.")
    for path, row in entries.items():
        if row["md5"] and to_base64(row["md5"]) != row["digest"]:
            faults.append(f"{version['path']}/{path}: its content is recorded as {row['md5']}, its digest is another.")
    if not version["placed"]:
        faults.append(f"{version['path']}: it has no place in its collection.")
    return faults


def _content_faults(found: Content | OSError, md5: str, rows: list[Row]) -> list[str]:
    if isinstance(found, FileNotFoundError):
        return [f"{row['path']}: its content (md5 {md5}) is missing." for row in rows]
    if isinstance(found, OSError):
        return [f"{row['path']}: its content (md5 {md5}) can't be read: {found.strerror}." for row in rows]
    if found.md5 != md5:
        return [f"{row['path']}: its content is damaged: its md5 is {found.md5}, not {md5}." for row in rows]
    return [
        f"{row['path']}: its content has {found.size} bytes, recorded are {row['size']}."
        for row in rows
        if row["size"] != found.size
    ]


# ---- gc ----

REMOVE_STALE = """
delete from artifact
 where state = 'PENDING' and created_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :age)
returning id
"""
EXPIRED = """
select *
  from artifact
 where state = 'COMMITTED' and ttl > 0
   and cast(strftime('%s', created_at) as integer) + ttl < cast(strftime('%s', 'now') as integer)
   and not exists (select 1
                     from membership
                    where membership.artifact_id = artifact.id
                      and membership.collection_id <> artifact.collection_id)
"""
NEEDED = """
select exists (select 1 from entry where md5 = :md5) or exists (select 1 from run_file where md5 = :md5)
"""


@dataclass
class Left:
    """Contents that were left alone."""

    contents: int = 0
    bytes: int = 0

    def add(self, content: Content) -> None:
        self.contents += 1
        self.bytes += content.size


@dataclass
class GcReport:
    """What `gc` removed, and what it left although nothing in the registry refers to it."""

    pending: int = 0
    expired: int = 0
    contents: int = 0
    bytes: int = 0
    needed: Left = field(default_factory=Left)  # by a lock, though no version or run has it
    doubtful: Left = field(default_factory=Left)  # in a bucket: what no version or run has, and a lock may need
    foreign: Left = field(default_factory=Left)  # in a bucket: what the registry never had


def collect(store: Store, grace: float = GRACE_SECONDS, needed: set[str] | None = None) -> GcReport:
    """Removes versions that were never finished or whose time is over, and contents that nothing refers to.

    `needed` are md5s that locks name; what they need is left. A bucket is a DVC remote too, and a lock that nobody has
    named may need any of its contents: there none is removed if `needed` is None.

    What was uploaded or asked for within the grace is left alone. Contents are removed while nobody else writes, so an
    upload that counts on one either finds it or is told to send it again.
    """
    removed = GcReport()
    if store.bucket:
        claim_bucket(store.bucket, store.db, store.signer)
    with _maintenance_lock(store):
        # first, since on a full disk nothing else can be written before
        _remove_contents(store, grace, removed, needed)
        with store.db.write() as db:
            removed.pending = len(db.all(REMOVE_STALE, age=f"-{int(grace)} seconds"))
            for version in db.all(EXPIRED):
                if not memberships.in_production(db, version["id"]):
                    artifacts.delete(db, users.OPERATOR, version, with_aliases=True)
                    removed.expired += 1
            references.release_unreferred(db)
            db.execute("delete from login_token where expires_at < :now", {"now": int(time.time())})
        if removed.expired:
            _remove_contents(store, grace, removed, needed)
        store.blobs.clear_abandoned(max(grace, GRACE_SECONDS))
    return removed


def _remove_contents(store: Store, grace: float, removed: GcReport, needed: set[str] | None) -> None:
    removed.needed, removed.doubtful, removed.foreign = Left(), Left(), Left()
    spared = _of_locks(store, needed or set())
    old = [content for content in store.blobs.listing() if time.time() - content.modified > grace]
    for start in range(0, len(old), BATCH):
        with store.db.write() as db:
            unneeded = [one for one in old[start : start + BATCH] if not db.value(NEEDED, md5=one.md5)]
            going = [one.md5 for one in unneeded if _may_go(db, store, one, removed, spared, needed is not None)]
            gone, failure = store.blobs.remove(db, going, time.time() - grace)
            for md5, size in gone.items():
                db.execute("delete from holding where md5 = :md5", {"md5": md5})
                removed.contents += 1
                removed.bytes += size
        if failure:
            raise failure


def _may_go(
    db: Connection, store: Store, content: Content, report: GcReport, spared: set[str], locks_are_named: bool
) -> bool:
    """Whether no lock needs a content to which nothing in the registry refers; else the report says why it is left."""
    left = (
        report.needed if content.md5 in spared
        else report.foreign if store.bucket and not store.bucket.still_there(db, content.md5)
        else report.doubtful if store.bucket and not locks_are_named
        else None
    )  # fmt: skip
    if left:
        left.add(content)
    return left is None


def _of_locks(store: Store, named: set[str]) -> set[str]:
    """The contents that locks need: those whose md5s they name, and the files of the folders that they name."""
    folders = {md5.removesuffix(".dir") for md5 in named if md5.endswith(".dir")}
    lists = store.bucket.folders_of_dvc(folders) if store.bucket else ()
    try:
        return named | {file["md5"] for files in lists for file in json.loads(files)}
    except (ValueError, KeyError, TypeError):
        raise RegistryError(
            "A list of a folder that a lock names is damaged in the bucket, so it isn't known which files the lock "
            "needs. Nothing was removed."
        ) from None


def _maintenance_lock(store: Store) -> FileLock:
    """No other `gc` or `backup` of this store works meanwhile."""
    return FileLock(store.folder / "maintenance.lock")


# ---- backup ----

REFERRED_MD5S = "select md5 from entry where md5 is not null union select md5 from run_file"


def backup(store: Store, target: Path) -> int:
    """Copies the store as of one moment into a new folder that can be served itself. Answers the number of contents.

    The records are copied first, then every content that they name; the copy is complete when it has its `registry.db`.
    """
    if target.exists() and any(target.iterdir()):
        raise BadInput(f"{target} is not empty. Name a new folder for the copy.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _maintenance_lock(store):
        records = target / "registry.db.part"
        store.db.copy(records)
        with closing(sqlite3.connect(records)) as copy:
            wanted = [md5 for (md5,) in copy.execute(REFERRED_MD5S)]
        for md5 in wanted:
            _copy(store, md5, target / "blobs" / md5[:2] / md5[2:])
        for name in ("secret", "api-key"):
            shutil.copy2(store.folder / name, target / name)
        os.sync()
        records.rename(target / "registry.db")
        os.sync()
    return len(wanted)


def _copy(store: Store, md5: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(store.blobs.local(md5), target)
        with target.open("rb") as file:
            whole = md5_of(file) == md5
    except FileNotFoundError:
        whole = False
    if not whole:
        raise RegistryError(
            f"The content {md5} is missing or damaged in the store, so the copy is not complete. "
            "'wandb-registry check' says which versions have it."
        )
