"""The locks of past commits, for `show --commits` and `why`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dvc_wandb.errors import ProjectError
from dvc_wandb.project import revisions
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.lock_cache import LockCache
from dvc_wandb.project.pipeline import Pipeline


@dataclass(frozen=True)
class Commit:
    """A commit with its locked executions and added files; `sha` is "" for the workspace."""

    sha: str
    date: str
    subject: str
    executions: list[Execution] = field(compare=False)
    added: list[Content] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.sha[:7]} {self.date} {self.subject}" if self.sha else self.subject


def commits(pipeline: Pipeline) -> Iterator[Commit]:
    """The commits up to HEAD that changed a lock, oldest first, then the workspace.

    Leaves out those that DVC can't read. Without git it is the workspace alone.
    """
    if pipeline.commit:
        descriptions = revisions.describe_commits(pipeline.root, "HEAD")
        lock_cache = LockCache(pipeline)
        for revision in revisions.commit_range(pipeline.root, "HEAD"):
            try:
                yield Commit(revision.commit, *descriptions[revision.commit], *lock_cache.read(revision.commit))
            except ProjectError:
                continue
    yield Commit("", "", "the workspace, not committed", pipeline.locked(), pipeline.added())
