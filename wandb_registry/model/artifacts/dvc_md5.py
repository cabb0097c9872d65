"""Whether a version has the bytes that DVC names: the md5s of its files against the md5 in its metadata.

DVC's md5 of a folder is that of a JSON list of its files, each with path and md5. The tables and pictures that W&B
shows of a folder lie beside its files in the version; they are not DVC's.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
CONTENT_ALIAS_PREFIX = "dvc-"  # DVC's md5 follows
MOST = 5_000  # files that are read for a folder's md5

FILES = """
select path, md5, size
  from entry
 where artifact_id = :artifact and path >= :start and path < :end and md5 is not null
   and (:views or path not like '%.table.json')
 order by path
 limit :limit
"""
MEDIA, BEHIND_MEDIA, END = "media/", "media0", "\U0010ffff"  # where the SDK puts the pictures of a table


def is_content_alias(name: str) -> bool:
    return name.startswith(CONTENT_ALIAS_PREFIX)


def content_alias(md5: str) -> str:
    """The alias of the content with this md5, or with the beginning of one."""
    return f"{CONTENT_ALIAS_PREFIX}{md5}"


def md5_of_alias(name: str) -> str:
    """DVC's md5 that an alias of the content names; other texts as they are."""
    return name.removeprefix(CONTENT_ALIAS_PREFIX)


@dataclass(frozen=True)
class DvcMatch:
    """What a version's metadata says that DVC has, and the version's files that give this md5. No files: they don't."""

    path: str
    md5: str
    files: dict[str, str]
    size: int
    checked: bool  # False: too many files to read for a page

    @property
    def same(self) -> bool:
        return bool(self.files)


def of_version(db: Connection, artifact: Row) -> DvcMatch | None:
    """None for a version whose metadata doesn't name a content of DVC."""
    recorded = _recorded(artifact)
    if recorded is None:
        return None
    md5, path = recorded
    for views in (False, True):
        rows = _files(db, artifact["id"], views)
        if len(rows) > MOST:
            return DvcMatch(path, md5, {}, 0, checked=False)
        files = rows if md5.endswith(".dir") else [row for row in rows if row["md5"] == md5][:1]
        if files and (not md5.endswith(".dir") or folder_md5(files) == md5):
            return DvcMatch(
                path, md5, {row["path"]: row["md5"] for row in files}, sum(row["size"] for row in files), True
            )
        if artifact["file_count"] > MOST:
            return DvcMatch(path, md5, {}, 0, checked=False)
    return DvcMatch(path, md5, {}, 0, checked=True)


def folder_list(db: Connection, artifact: Row) -> tuple[str, bytes] | None:
    """The md5, without `.dir`, and the bytes of DVC's list of the folder that a version is; None if it is none."""
    recorded = _recorded(artifact)
    if recorded is None or not recorded[0].endswith(".dir"):
        return None
    for views in (False, True):
        files = _list(_files(db, artifact["id"], views, limit=-1))
        if _md5(files) == recorded[0]:
            return recorded[0].removesuffix(".dir"), files
    return None


def _recorded(artifact: Row) -> tuple[str, str] | None:
    """The md5 and the path that DVC has for a version, as its metadata says."""
    recorded = json.loads(artifact["metadata"] or "{}").get("dvc")
    if not isinstance(recorded, dict) or not all(isinstance(recorded.get(key), str) for key in ("md5", "path")):
        return None
    return recorded["md5"], recorded["path"]


def _files(db: Connection, artifact_id: int, views: bool, limit: int = MOST + 1) -> list[Row]:
    """A version's files, with or without the tables and pictures that the SDK adds; with a limit of -1 all of them."""
    ranges = [("", END)] if views else [("", MEDIA), (BEHIND_MEDIA, END)]
    rows = []
    for start, end in ranges:
        rows += db.all(FILES, artifact=artifact_id, start=start, end=end, views=views, limit=limit)
    return rows


def folder_md5(rows: list[Row]) -> str:
    """DVC's md5 of a folder with these files."""
    return _md5(_list(rows))


def _list(rows: list[Row]) -> bytes:
    listed = sorted(({"md5": row["md5"], "relpath": row["path"]} for row in rows), key=lambda file: file["relpath"])
    return json.dumps(listed, sort_keys=True).encode()


def _md5(listed: bytes) -> str:
    return hashlib.md5(listed, usedforsecurity=False).hexdigest() + ".dir"
