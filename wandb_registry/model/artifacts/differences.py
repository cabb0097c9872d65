"""What changed between two versions, file by file."""

from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]

COUNTS = """
select count(*) filter (where after.digest <> before.digest) as changed,
       count(*) filter (where after.path is null) as removed,
       count(*) filter (where after.digest = before.digest) as same
  from entry before
  left join entry after on after.artifact_id = :after and after.path = before.path
 where before.artifact_id = :before
"""
DIFFERING = """
select before.path, before.md5 as md5_before, before.size as size_before, after.md5 as md5_after,
       after.size as size_after, case when after.path is null then 'removed' else 'changed' end as state
  from entry before
  left join entry after on after.artifact_id = :after and after.path = before.path
 where before.artifact_id = :before and (after.path is null or after.digest <> before.digest)
 union all
select after.path, null, null, after.md5, after.size, 'added'
  from entry after
 where after.artifact_id = :after
   and not exists (select 1 from entry where artifact_id = :before and path = after.path)
 order by path
 limit :limit offset :offset
"""


@dataclass(frozen=True)
class FileDifferences:
    """How many files differ in which way, and how many don't."""

    changed: int
    added: int
    removed: int
    same: int

    @property
    def total(self) -> int:
        return self.changed + self.added + self.removed


def count(db: Connection, before: Row, after: Row) -> FileDifferences:
    """How many files of two versions differ, by their digests."""
    if before["digest"] == after["digest"]:
        return FileDifferences(0, 0, 0, before["file_count"])
    counts = db.row(COUNTS, before=before["id"], after=after["id"])
    added = after["file_count"] - counts["changed"] - counts["same"]
    return FileDifferences(counts["changed"], added, counts["removed"], counts["same"])


def page(db: Connection, before: Row, after: Row, limit: int, offset: int) -> list[Row]:
    """Files that differ, by their paths, with size and md5 in both versions."""
    return db.all(DIFFERING, before=before["id"], after=after["id"], limit=limit, offset=offset)
