"""The locks of past commits, for `show --commits` and `why`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.lock_cache import LockCache
from dvc_wandb.project.pipeline import Pipeline

PROGRESS_INTERVAL = 2.0  # seconds


@dataclass(frozen=True)
class Commit:
    """A commit with its locked executions and added files; `sha` is "" for the workspace.

    At the boundary of a shallow clone all may be older than the commit.
    """

    sha: str
    date: str
    subject: str
    executions: list[Execution] = field(compare=False)
    added: list[Content] = field(compare=False)
    is_boundary: bool = False

    def __str__(self) -> str:
        name = f"{self.sha[:7]} {self.date} {self.subject}" if self.sha else self.subject
        return f"{name}, or earlier" if self.is_boundary else name


def commits(pipeline: Pipeline) -> Iterator[Commit]:
    """The commits up to HEAD that changed a lock, oldest first, then the workspace. Without git it is the latter alone.

    Says on stderr which ones DVC can't read, whether the clone is shallow, and how far it is where that takes long.
    """
    if pipeline.commit:
        yield from _past(pipeline)
    yield Commit("", "", "the workspace, not committed", pipeline.locked(), pipeline.added())


def _past(pipeline: Pipeline) -> Iterator[Commit]:
    descriptions = revisions.describe_commits(pipeline.root, "HEAD")
    boundary = revisions.shallow_boundary(pipeline.root)
    if incomplete := revisions.why_incomplete(pipeline.root):
        _tell(f"dvc-wandb: {incomplete}.")
    lock_cache = LockCache(pipeline)
    all_commits = [revision.commit for revision in revisions.commit_range(pipeline.root, "HEAD")]
    lock_cache.prepare(all_commits)
    last_told = time.monotonic()
    for number, sha in enumerate(all_commits, start=1):
        try:
            yield Commit(sha, *descriptions[sha], *lock_cache.read(sha), sha in boundary)
        except ProjectError as error:
            _tell(f"dvc-wandb: left out: {error}")
        if time.monotonic() - last_told > PROGRESS_INTERVAL:
            _tell(f"read {number} of {len(all_commits)} commits …")
            last_told = time.monotonic()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
