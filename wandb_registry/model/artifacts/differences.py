"""What changed between two versions, file by file."""

from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]

COUNTS = """
select coalesce(sum(after.digest <> before.digest), 0) as changed,
       coalesce(sum(after.path is null), 0) as removed,
       coalesce(sum(after.digest = before.digest), 0) as same
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
 order by before.path
 limit :limit
"""
ADDED = """
select after.path, null as md5_before, null as size_before, after.md5 as md5_after, after.size as size_after,
       'added' as state
  from entry after
 where after.artifact_id = :after
   and not exists (select 1 from entry where artifact_id = :before and path = after.path)
 order by after.path
 limit :limit
"""


@dataclass(frozen=True)
class FileDifferences:
    """How many files differ, and the first of those that do."""

    changed: int
    added: int
    removed: int
    same: int
    rows: list[Row]


def files(db: Connection, before: Row, after: Row, limit: int) -> FileDifferences:
    """The files of two versions, told apart by their digests."""
    if before["digest"] == after["digest"]:
        return FileDifferences(0, 0, 0, before["file_count"], [])
    pair = {"before": before["id"], "after": after["id"]}
    counts = db.row(COUNTS, **pair)
    added = after["file_count"] - counts["changed"] - counts["same"]
    differ = counts["changed"] + counts["removed"]
    rows = db.all(DIFFERING, **pair, limit=limit) if differ else []
    rows += db.all(ADDED, **pair, limit=min(limit, added)) if added else []
    return FileDifferences(counts["changed"], added, counts["removed"], counts["same"], rows)
