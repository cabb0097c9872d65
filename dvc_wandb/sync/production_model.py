"""Lets the alias `production` follow git, also to a model of an earlier commit, which the registry may lack."""

from __future__ import annotations

import sys

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.production import alias, history
from dvc_wandb.production.alias import AliasBlockedError, Followed, ModelNotInRegistryError, RecordedModel
from dvc_wandb.project import cache, git
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import backfill, fetch, mirror
from dvc_wandb.sync.locks import exclusive
from dvc_wandb.sync.mirrored_project import MirroredProject


class NowhereError(AliasBlockedError):
    """The bytes of the model that git has in production are nowhere to be had from here."""

    def __init__(self, pipeline: Pipeline, execution: Execution, model: RecordedModel) -> None:
        origin = history.origin_of(pipeline.root, model.md5)
        commit = origin.commit if origin else model.source.commit
        author = git.output_or_none(pipeline.root, "log", "-1", "--format=%an", commit)
        super().__init__(
            f"{execution.meta['promotes']} names {model}, which neither this clone nor the registry nor a DVC remote "
            f"has, so it can't be {alias.ALIAS} here. {author}, who made the commit {commit[:10]}, may have it. "
            "`dvc-wandb push` there brings it into the DVC remote.",
            "dvc-wandb push, by whoever has it",
        )


def follow(
    pipeline: Pipeline, connection: RegistryConnection, execution: Execution, asked: bool = False
) -> Followed | None:
    """`alias.follow`, having mirrored the model from the commit that made it where the registry lacks it.

    Raises AliasBlockedError, also where the model is nowhere to be had.
    """
    with exclusive(pipeline.root, "alias"):
        try:
            return alias.follow(pipeline, execution, connection, asked)
        except ModelNotInRegistryError as error:
            _mirror_origin(pipeline, connection, execution, error.recorded)
            return alias.follow(pipeline, execution, connection, asked)


def _mirror_origin(
    pipeline: Pipeline, connection: RegistryConnection, execution: Execution, model: RecordedModel
) -> None:
    """Mirror the stages of the commit that first had the model, as far as the one that links it."""
    origin = history.origin_of(pipeline.root, model.md5)
    if not fetch.at_hand(pipeline, model.md5):
        cache.pull_object(pipeline, model.md5)
    if origin is None or not fetch.at_hand(pipeline, model.md5):
        raise NowhereError(pipeline, execution, model)
    then, registry = pipeline.at(origin.commit), MirroredProject(connection)
    for one in mirror.mirror_executions(then, connection, registry, _executions_up_to(then, model.md5)):
        print(f"dvc-wandb: {one.name} at {origin.commit[:10]} was not mirrored: {one.why}.", file=sys.stderr)
    backfill.move_latest(pipeline, connection, registry, pipeline.locked())


def push_note(pipeline: Pipeline, model: RecordedModel, executions: list[Execution]) -> str:
    """A sentence where DVC's remote lacks the model and `dvc push` would not bring it; "" elsewhere."""
    is_now = any(out.md5 == model.md5 for execution in executions for out in execution.outs)
    if is_now or not fetch.at_hand(pipeline, model.md5) or not cache.is_remote_without(pipeline, model.md5):
        return ""
    return (
        f"DVC's remote lacks {model}, which is {alias.ALIAS}: `dvc-wandb push` brings it. `dvc push` brings only what "
        "dvc.lock has now."
    )


def push(pipeline: Pipeline, record_path: str) -> tuple[int, list[str]]:
    """Push the models that the committed record ever named, and what they were made from.

    Returns how many files, and the md5s of the models that neither this clone nor the remote has. To the DVC remote
    that is set up now: DVC itself has none for the commits before it was. Raises DvcWandbError.
    """
    md5s: set[str] = set()
    models = sorted({md5 for one in history.from_git(pipeline.root, record_path) if (md5 := one.record.model_md5)})
    for model in models:
        if origin := history.origin_of(pipeline.root, model):
            then = pipeline.at(origin.commit)
            for out in (out for execution in _executions_up_to(then, model) for out in execution.outs):
                md5s |= {str(out.md5), *(then.listing(out) or {}).values()}
    at_hand = [md5 for md5 in sorted(md5s) if cache.object_path(pipeline, md5).exists()]
    count = cache.push_objects(pipeline, at_hand)
    return count, [one for one in models if not fetch.at_hand(pipeline, one) and not cache.is_in_remote(pipeline, one)]


def _executions_up_to(then: Pipeline, md5: str) -> list[Execution]:
    """The executions up to the one that links a model, at the commit that made it."""
    linking = [
        one.stage
        for one in then.locked()
        if any(dep.md5 == md5 and dep.path in (one.meta.get("links") or {}) for dep in one.deps)
    ]
    return then.locked(*linking)
