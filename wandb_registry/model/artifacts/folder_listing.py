"""The files of a version as folders, fit for versions of many thousands of files."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
MOST_KEPT = 100_000  # folders that `FolderListings` keeps: some 20 MB
END = "\U0010ffff"  # behind every path that begins the same

# What lies in a folder, and the name in it that each path goes through; :from is where these names begin
INSIDE = """
select path, size, instr(substr(path, :from), '/') as slash
  from entry
 where artifact_id = :artifact and path >= :start and path < :end
"""
FOLDERS = f"""
select iif(slash > 0, substr(path, 1, :from - 1 + slash), '') as path, count(*) as files, sum(size) as size
  from ({INSIDE}) as inside
 group by 1
 order by 1
"""
FILES = """
select *
  from entry
 where artifact_id = :artifact and path >= :start and path < :end and instr(substr(path, :from), '/') = 0
 order by path
 limit :limit offset :offset
"""
NAMED = """
select *
  from entry
 where artifact_id = :artifact and path like :pattern escape '\\'
 order by path
 limit :limit offset :offset
"""
COUNT_NAMED = """
select count(*) from entry where artifact_id = :artifact and path like :pattern escape '\\'
"""


@dataclass(frozen=True)
class Folder:
    """A folder of a version with all that lies in it, however deep."""

    path: str  # with its '/' at the end
    files: int
    size: int


@dataclass(frozen=True)
class Contents:
    """The folders right in a folder, by name, and how many files lie right in it."""

    folders: tuple[Folder, ...]
    files: int


def entry(db: Connection, artifact_id: int, path: str) -> Row | None:
    return db.one("select * from entry where artifact_id = :artifact and path = :path", artifact=artifact_id, path=path)


class FolderListings:
    """Keeps what lies in the folders that were looked at last: a folder of a million files takes a second to read, and
    a version never changes.
    """

    def __init__(self, most: int = MOST_KEPT):
        self.most = most
        self._kept: OrderedDict[tuple[int, str], Contents] = OrderedDict()
        self._lock = Lock()

    def contents(self, db: Connection, artifact_id: int, inside: str) -> Contents:
        """What lies right in a folder ('' or 'media/') of a version that is committed."""
        key = (artifact_id, inside)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
        found = _contents(db, artifact_id, inside)
        if len(found.folders) < self.most:
            with self._lock:
                self._kept[key] = found
                total = sum(1 + len(one.folders) for one in self._kept.values())
                while total > self.most:
                    total -= 1 + len(self._kept.popitem(last=False)[1].folders)
        return found


def _contents(db: Connection, artifact_id: int, inside: str) -> Contents:
    rows = db.all(FOLDERS, **_place(artifact_id, inside))
    folders = tuple(Folder(**row) for row in rows if row["path"])
    return Contents(folders, sum(row["files"] for row in rows if not row["path"]))


def files(db: Connection, artifact_id: int, inside: str, limit: int, offset: int) -> list[Row]:
    """The files right in a folder, by name."""
    return db.all(FILES, **_place(artifact_id, inside), limit=limit, offset=offset)


def _place(artifact_id: int, inside: str) -> Row:
    return {"artifact": artifact_id, "start": inside, "end": inside + END, "from": len(inside) + 1}


def beside(db: Connection, file: Row, ending: str) -> list[str]:
    """The paths of the files with this ending in the folder of a file, its own among them."""
    inside = file["path"][: file["path"].rfind("/") + 1]
    return [row["path"] for row in files(db, file["artifact_id"], inside, -1, 0) if row["path"].endswith(ending)]


def named(db: Connection, artifact_id: int, text: str, limit: int, offset: int) -> list[Row]:
    """The files whose path holds the text, in all folders."""
    return db.all(NAMED, artifact=artifact_id, pattern=_pattern(text), limit=limit, offset=offset)


def count_named(db: Connection, artifact_id: int, text: str) -> int:
    return db.value(COUNT_NAMED, artifact=artifact_id, pattern=_pattern(text))


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
