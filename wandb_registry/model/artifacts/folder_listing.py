"""The files of a version as folders, fit for versions of many thousands of files."""

import re
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
END = "\U0010ffff"  # behind every path that begins the same

# What lies in a folder, and the name in it that each path goes through; :from is where these names begin
INSIDE = """
select path, size, instr(substr(path, :from), '/') as slash
  from entry
 where artifact_id = :artifact and path >= :start and path < :end
"""
FOLDERS = f"""
select substr(path, 1, :from - 1 + slash) as path, count(*) as files, sum(size) as size
  from ({INSIDE})
 where slash > 0
 group by 1
 order by 1
 limit :limit offset :offset
"""
COUNTS = f"""
select count(distinct iif(slash > 0, substr(path, 1, :from - 1 + slash), null)) as folders,
       coalesce(sum(slash = 0), 0) as files
  from ({INSIDE})
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


def entry(db: Connection, artifact_id: int, path: str) -> Row | None:
    return db.one("select * from entry where artifact_id = :artifact and path = :path", artifact=artifact_id, path=path)


def counts(db: Connection, artifact_id: int, inside: str) -> tuple[int, int]:
    """How many folders and how many files lie right in a folder ('' or 'media/')."""
    row = db.row(COUNTS, **_place(artifact_id, inside))
    return row["folders"], row["files"]


def folders(db: Connection, artifact_id: int, inside: str, limit: int, offset: int) -> list[Folder]:
    """The folders right in a folder, by name."""
    return [Folder(**row) for row in db.all(FOLDERS, **_place(artifact_id, inside), limit=limit, offset=offset)]


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
