"""The files of a run by name. Their contents are blobs, under their md5."""

import json
import posixpath
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.runs import offline_parts

Row = dict[str, Any]


def clean_name(name: str) -> str:
    """The name without './' and the like. Raises BadInput for one that leads out of the run's folder."""
    cleaned = posixpath.normpath(name)
    if cleaned in (".", "..") or cleaned.startswith(("/", "../")) or "\x00" in cleaned:
        raise BadInput(f"'{name}' is not a name for a run's file.")
    return cleaned


PUT = """
insert into run_file (run_id, name, md5, size, part_started) values (:run, :name, :md5, :size, :started)
    on conflict (run_id, name) do update
   set md5 = excluded.md5, size = excluded.size, part_started = excluded.part_started,
       updated_at = strftime('%Y-%m-%dT%H:%M:%SZ')
"""


def put(db: Connection, run_id: int, name: str, md5: str, size: int) -> None:
    """Records that the file of this name has this content now, unless it is from an offline part before the other's."""
    part = offline_parts.sending(db, run_id)
    started = part["started"] if part else None
    if started is not None:
        there = db.one("select * from run_file where run_id = :run and name = :name", run=run_id, name=name)
        if not offline_parts.keeps_file(db, {"id": run_id}, there, started):
            return
    db.execute(PUT, {"run": run_id, "name": name, "md5": md5, "size": size, "started": started})


def page(
    db: Connection, run_id: int, names: list[str] | None, pattern: str | None, limit: int, offset: int
) -> list[Row]:
    """A run's files by name: all, those of `names`, or those that match `pattern`, in the syntax of SQL's `like`."""
    if names:
        return named(db, run_id, [clean_name(name) for name in names], pattern)[offset : offset + limit]
    return db.all(
        """
        select *
          from run_file
         where run_id = :run and name like :pattern
         order by name
         limit :limit offset :offset
        """,
        run=run_id,
        pattern=pattern or "%",
        limit=limit,
        offset=offset,
    )


def named(db: Connection, run_id: int, names: list[str], pattern: str | None = None) -> list[Row]:
    """Those of a run's files that have these names; `pattern` as in `page`."""
    return db.all(
        """
        select *
          from run_file
         where run_id = :run and name in (select value from json_each(:names)) and name like :pattern
         order by name
        """,
        run=run_id,
        names=json.dumps(names),
        pattern=pattern or "%",
    )


def count(db: Connection, run_id: int, pattern: str = "%") -> int:
    """How many files a run has; `pattern` as in `page`."""
    sql = "select count(*) from run_file where run_id = :run and name like :pattern"
    return db.value(sql, run=run_id, pattern=pattern)


def by_id(db: Connection, number: int) -> Row | None:
    return db.one("select * from run_file where id = :id", id=number)


def delete(db: Connection, number: int) -> None:
    """Removes the file from its run. Its content stays while anything else refers to it."""
    db.execute("delete from run_file where id = :id", {"id": number})
