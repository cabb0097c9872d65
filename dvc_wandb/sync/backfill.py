"""Mirrors the locks of past commits: each execution as a run, at the first commit that has it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import ProjectError, error_reason
from dvc_wandb.project.git.revisions import Revision
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.lock_cache import LockCache
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import compare, mirror
from dvc_wandb.sync.locks import exclusive
from dvc_wandb.sync.mirror import NotMirrored
from dvc_wandb.sync.mirrored_project import MirroredProject

BATCH_SIZE = 100  # revisions per query


def mirror_revisions(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    revisions: list[Revision],
    runs: mirror.RunCounter,
) -> list[NotMirrored]:
    """Mirror the locks of `revisions`, in their order. An execution belongs to the first revision that has it.

    Queries the registry for many revisions at once, and opens with DVC only those that it lacks something of.
    """
    with exclusive(pipeline.root, "mirror"):
        mirror.finish_killed_run(pipeline, connection)
    failures: list[NotMirrored] = []
    for batch in _batches(pipeline, revisions, failures):
        compare.load(
            registry,
            [made for one in batch for made in one.executions],
            [added for one in batch for added in one.added],
        )
        for one in batch:
            print(f"{one.revision.name} ({one.number} of {len(revisions)})", file=sys.stderr, flush=True)
            if _is_mirrored(pipeline, registry, one):
                continue
            one.forget(registry)
            pipeline_then = pipeline.at(one.revision.commit)
            failed = mirror.mirror_executions(
                pipeline_then, connection, registry, one.executions, one.added, one.revision.experiment, runs
            )
            failures += [NotMirrored(f"{failure.name} at {one.revision.name}", failure.why) for failure in failed]
    return failures


@dataclass(frozen=True)
class _NewContents:
    """What a revision's locks have that earlier ones lack; `number` counts the revisions from 1."""

    number: int
    revision: Revision
    executions: list[Execution]
    added: list[Content]

    def sources(self) -> list[Content]:
        """The contents that no stage makes."""
        return mirror.source_contents(self.executions, self.added)

    def forget(self, registry: MirroredProject) -> None:
        """Drop it all from the cache: another process may have mirrored it since."""
        registry.forget(self.sources())
        for execution in self.executions:
            registry.forget(execution.outs, execution)


def _batches(
    pipeline: Pipeline, revisions: list[Revision], failures: list[NotMirrored]
) -> Iterator[list[_NewContents]]:
    """The new contents of `revisions`, in batches. Adds those that DVC can't read to `failures`."""
    seen: set[str | Content] = set()
    lock_cache = LockCache(pipeline)
    lock_cache.prepare(revision.commit for revision in revisions)
    for start in range(0, len(revisions), BATCH_SIZE):
        batch = []
        for at, revision in enumerate(revisions[start : start + BATCH_SIZE], start=start + 1):
            try:
                locked, added = lock_cache.read(revision.commit)
            except ProjectError as error:
                failures.append(NotMirrored(revision.name, error_reason(error)))
                continue
            new = [one for one in locked if one.key not in seen], [one for one in added if one not in seen]
            batch.append(_NewContents(at, revision, *new))
            seen |= {*(one.key for one in locked), *added}
        yield batch


def _is_mirrored(pipeline: Pipeline, registry: MirroredProject, new: _NewContents) -> bool:
    """Whether the registry has all of it; needs no query if all was loaded."""
    sources = (one for one in new.sources() if one.md5)
    return not any(compare.content_drifts(pipeline, registry, one, read_manifests=False) for one in sources) and all(
        next(compare.execution_drifts(pipeline, registry, one, read_manifests=False), None) is None
        for one in new.executions
    )


def move_latest(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, executions: list[Execution]
) -> None:
    """Put the alias `latest` on the outs of today's dvc.lock: older versions, logged later, took it."""
    outs = [out for execution in executions for out in execution.outs]
    registry.forget(outs)  # their aliases have changed
    registry.load(outs)
    for out in outs:
        version = registry.version_of(out)
        if version and "latest" not in version.aliases:
            artifact = public_api().artifact(f"{connection.path}/{version.name}")
            artifact.aliases = [*artifact.aliases, "latest"]
            artifact.save()
            registry.forget([out])
