"""What can be attested: an out of a stage, at the commit whose dvc.lock has it."""

from __future__ import annotations

from dataclasses import dataclass

from dvc_wandb.errors import DvcWandbError, ProjectError
from dvc_wandb.production import history
from dvc_wandb.project import git
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline


@dataclass(frozen=True)
class Subject:
    """An out, and the project at a commit whose dvc.lock has it."""

    pipeline: Pipeline
    out: Content


def of_path(pipeline: Pipeline, path: str) -> Subject:
    """The out at `path`, as the last commit that changed a lock has it. Raises DvcWandbError."""
    committed = pipeline.at(_lock_commit(pipeline))
    outs = [out for one in committed.locked() for out in one.outs]
    found = next((out for out in outs if out.path == path and out.md5), None)
    if found is None:
        known = ", ".join(out.path for out in outs) or "none; run `dvc repro`, then commit"
        raise DvcWandbError(f"the dvc.lock that is committed has no out called '{path}'. It has: {known}.")
    return Subject(committed, found)


def of_model(pipeline: Pipeline, md5: str) -> Subject:
    """The model `md5`, as the last commit has it that changed a lock, or the first that ever had it.

    Raises DvcWandbError where no commit of this clone has it.
    """
    if found := _out(pipeline.at(_lock_commit(pipeline)), md5):
        return found
    origin = history.origin_of(pipeline.root, md5)
    if origin and (found := _out(pipeline.at(origin.commit), md5)):
        return found
    incomplete = revisions.why_incomplete(pipeline.root)
    raise DvcWandbError(
        f"no dvc.lock that is committed has the model {md5}, so nothing tells how it was made"
        f"{f' ({incomplete})' if incomplete else ''}."
    )


def _out(pipeline: Pipeline, md5: str) -> Subject | None:
    outs = (out for one in pipeline.locked() for out in one.outs)
    return next((Subject(pipeline, out) for out in outs if out.md5 == md5), None)


def _lock_commit(pipeline: Pipeline) -> str:
    """The last commit that changed a lock: those after it have the same executions."""
    arguments = ("rev-list", "--max-count=1", "HEAD", "--", *revisions.LOCKS)
    commit = git.output_or_none(pipeline.root, *arguments)
    if not commit:
        raise ProjectError("a commit is what can be attested, and none here has a dvc.lock. Commit it first.")
    return commit
