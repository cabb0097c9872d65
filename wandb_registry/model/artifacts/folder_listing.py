"""The files of a version as folders, fit for versions of many thousands of files."""

import re
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

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
BETWEEN = """
select *
  from entry
 where artifact_id = :artifact and path >= :start and path < :end
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


def folders(db: Connection, artifact_id: int, inside: str = "") -> list[Folder]:
    """The folders right in a folder ('' or 'media/'). Goes from one to the next without reading what lies in them."""
    folders: list[Folder] = []
    place = {"artifact": artifact_id, "end": inside + END, "from": len(inside) + 1}
    start = inside
    while len(folders) < MOST_FOLDERS:
        path = db.value(NEXT_NESTED, start=start, **place)
        if path is None:
            break
        name = inside + path[len(inside) :].partition("/")[0] + "/"
        within = db.row(WITHIN, artifact=artifact_id, start=name, end=name + END)
        folders.append(Folder(name, within["files"], within["size"]))
        start = name + END
    return folders


def count_files(db: Connection, artifact_id: int, inside: str, folders: list[Folder]) -> int:
    """How many files lie right in a folder, that is in none of its folders."""
    within = db.row(WITHIN, artifact=artifact_id, start=inside, end=inside + END)["files"]
    return within - sum(folder.files for folder in folders)


def files(db: Connection, artifact_id: int, inside: str, folders: list[Folder], limit: int, offset: int) -> list[Row]:
    """The files right in a folder: those before, between and behind its folders, in the order of paths."""
    page: list[Row] = []
    starts = [inside, *(folder.path + END for folder in folders)]
    ends = [*(folder.path for folder in folders), inside + END]
    for start, end in zip(starts, ends, strict=True):
        rows = db.all(BETWEEN, artifact=artifact_id, start=start, end=end, limit=limit, offset=offset)
        page += rows[: limit - len(page)]
        if len(page) == limit:
            break
        if offset and not rows:
            offset -= db.row(WITHIN, artifact=artifact_id, start=start, end=end)["files"]
        else:
            offset = 0
    return page


def named(db: Connection, artifact_id: int, text: str, limit: int, offset: int) -> list[Row]:
    """The files whose path holds the text, in all folders."""
    return db.all(NAMED, artifact=artifact_id, pattern=_pattern(text), limit=limit, offset=offset)


def count_named(db: Connection, artifact_id: int, text: str) -> int:
    return db.value(COUNT_NAMED, artifact=artifact_id, pattern=_pattern(text))


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
