"""The files of a version as folders, fit for versions of many thousands of files."""

from dataclasses import dataclass
from typing import Any

from registry.db.connect import Connection

Row = dict[str, Any]
MOST_FOLDERS = 200
END = "\U0010ffff"  # behind every path that begins the same

NEXT_NESTED = """
select path
  from entry
 where artifact_id = :artifact and path >= :start and path < :end and instr(substr(path, :from), '/') > 0
 order by path
 limit 1
"""
WITHIN = """
select count(*) as files, coalesce(sum(size), 0) as size
  from entry
 where artifact_id = :artifact and path >= :start and path < :end
"""
DIRECT = """
select *
  from entry
 where artifact_id = :artifact and path >= :start and path < :end and instr(substr(path, :from), '/') = 0
 order by path
 limit :limit offset :offset
"""
COUNT_DIRECT = """
select count(*)
  from entry
 where artifact_id = :artifact and path >= :start and path < :end and instr(substr(path, :from), '/') = 0
"""
NAMED = """
select *
  from entry
 where artifact_id = :artifact and instr(lower(path), lower(:text)) > 0
 order by path
 limit :limit offset :offset
"""
COUNT_NAMED = """
select count(*) from entry where artifact_id = :artifact and instr(lower(path), lower(:text)) > 0
"""


@dataclass(frozen=True)
class Folder:
    """A folder of a version with all that lies in it, however deep."""

    path: str  # with its '/' at the end
    files: int
    size: int


def entry(db: Connection, artifact_id: int, path: str) -> Row | None:
    return db.one("select * from entry where artifact_id = :artifact and path = :path", artifact=artifact_id, path=path)


def folders(db: Connection, artifact_id: int, inside: str = "") -> list[Folder]:
    """The folders right in a folder ('' or 'media/'). Goes from one to the next without reading what lies in them."""
    found: list[Folder] = []
    place = {"artifact": artifact_id, "end": inside + END, "from": len(inside) + 1}
    start = inside
    while len(found) < MOST_FOLDERS:
        path = db.value(NEXT_NESTED, start=start, **place)
        if path is None:
            break
        name = inside + path[len(inside) :].partition("/")[0] + "/"
        within = db.row(WITHIN, artifact=artifact_id, start=name, end=name + END)
        found.append(Folder(name, within["files"], within["size"]))
        start = name + END
    return found


def files(db: Connection, artifact_id: int, inside: str, limit: int, offset: int) -> list[Row]:
    """The files right in a folder."""
    place = {"artifact": artifact_id, "start": inside, "end": inside + END, "from": len(inside) + 1}
    return db.all(DIRECT, **place, limit=limit, offset=offset)


def count_files(db: Connection, artifact_id: int, inside: str) -> int:
    place = {"artifact": artifact_id, "start": inside, "end": inside + END, "from": len(inside) + 1}
    return db.value(COUNT_DIRECT, **place)


def named(db: Connection, artifact_id: int, text: str, limit: int, offset: int) -> list[Row]:
    """The files whose path holds the text, in all folders."""
    return db.all(NAMED, artifact=artifact_id, text=text, limit=limit, offset=offset)


def count_named(db: Connection, artifact_id: int, text: str) -> int:
    return db.value(COUNT_NAMED, artifact=artifact_id, text=text)
