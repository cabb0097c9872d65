"""Maintenance of a store, also while it is served: `check` proves it whole, `gc` removes, `backup` copies."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
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
from wandb_registry.storage.blobs import MD5, md5_of, to_base64
from wandb_registry.store import Store

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
    for md5, rows in references.items():
        report.faults += _content_faults(store.blobs.path(md5), md5, rows)
    for md5, path in _contents(store):
        if md5 not in references and _age(path) > GRACE_SECONDS:
            report.orphans.append(md5)
            report.orphan_bytes += path.stat().st_size
        elif md5 not in references:
            report.young.append(md5)
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


def _content_faults(path: Path, md5: str, rows: list[Row]) -> list[str]:
    try:
        with path.open("rb") as file:
            actual = md5_of(file)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return [f"{row['path']}: its content (md5 {md5}) is missing." for row in rows]
    except OSError as error:
        return [f"{row['path']}: its content (md5 {md5}) can't be read: {error.strerror}." for row in rows]
    if actual != md5:
        return [f"{row['path']}: its content is damaged: its md5 is {actual}, not {md5}." for row in rows]
    return [
        f"{row['path']}: its content has {size} bytes, recorded are {row['size']}."
        for row in rows
        if row["size"] != size
    ]


def _contents(store: Store) -> Iterator[tuple[str, Path]]:
    for folder in sorted(path for path in store.blobs.folder.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if MD5.fullmatch(folder.name + path.name) and path.is_file():
                yield folder.name + path.name, path


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


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
class GcReport:
    """What `gc` removed."""

    pending: int = 0
    expired: int = 0
    contents: int = 0
    bytes: int = 0


def collect(store: Store, grace: float = GRACE_SECONDS) -> GcReport:
    """Removes versions that were never finished or whose time is over, and contents that nothing refers to.

    What was uploaded or asked for within the grace is left alone. Contents are removed while nobody else writes, so an
    upload that counts on one either finds it or is told to send it again.
    """
    removed = GcReport()
    with _maintenance_lock(store):
        _remove_contents(store, grace, removed)  # first, since on a full disk nothing else can be written before
        with store.db.write() as db:
            removed.pending = len(db.all(REMOVE_STALE, age=f"-{int(grace)} seconds"))
            for version in db.all(EXPIRED):
                if not memberships.in_production(db, version["id"]):
                    artifacts.delete(db, users.OPERATOR, version, with_aliases=True)
                    removed.expired += 1
            references.release_unreferred(db)
            db.execute("delete from login_token where expires_at < :now", {"now": int(time.time())})
        if removed.expired:
            _remove_contents(store, grace, removed)
        for leftover in store.blobs.incoming.iterdir():
            if _age(leftover) > max(grace, GRACE_SECONDS):
                leftover.unlink(missing_ok=True)
    return removed


def _remove_contents(store: Store, grace: float, removed: GcReport) -> None:
    old = [(md5, path) for md5, path in _contents(store) if _age(path) > grace]
    for start in range(0, len(old), BATCH):
        with store.db.write() as db:
            for md5, path in old[start : start + BATCH]:
                _remove_unneeded(db, md5, path, grace, removed)


def _remove_unneeded(db: Connection, md5: str, path: Path, grace: float, removed: GcReport) -> None:
    if db.value(NEEDED, md5=md5) or _age(path) <= grace:
        return
    db.execute("delete from holding where md5 = :md5", {"md5": md5})
    removed.contents += 1
    removed.bytes += path.stat().st_size
    path.unlink()


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
            _copy(store.blobs.path(md5), target / "blobs" / md5[:2] / md5[2:], md5)
        for name in ("secret", "api-key"):
            shutil.copy2(store.folder / name, target / name)
        os.sync()
        records.rename(target / "registry.db")
        os.sync()
    return len(wanted)


def _copy(source: Path, target: Path, md5: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
        with target.open("rb") as file:
            whole = md5_of(file) == md5
    except FileNotFoundError:
        whole = False
    if not whole:
        raise RegistryError(
            f"The content {md5} is missing or damaged in the store, so the copy is not complete. "
            "'wandb-registry check' says which versions have it."
        )
