"""Keeps the alias `production` of a registered model where git's committed record has it.

The record (production.json) is an output of the stage that names it in `meta.wandb.promotes`. The alias follows the
record in HEAD, on a branch in the parameter that `meta.wandb.branches` names. A decision that is not committed moves
nothing. Without being asked we move the alias only from a commit of this branch. Otherwise somebody clicked, or
promoted a commit that this clone lacks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from dvc_wandb import content_alias, production
from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.client.promotion_requests import RefusedError
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import approvals, history, registry_state
from dvc_wandb.production.history import CommittedRecord
from dvc_wandb.production.registry_state import ALIAS, FollowedCommit, ModelVersion
from dvc_wandb.project import git
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import setting

PROMOTE = "dvc-wandb promote"
APPROVE = 'dvc-wandb approve --reason "…"'
FROM_REGISTRY = "dvc-wandb promote --from registry"


class AliasBlockedError(DvcWandbError):
    """The alias can't move until a person runs `command`."""

    def __init__(self, sentence: str, command: str) -> None:
        super().__init__(sentence)
        self.command = command


class ModelNotInRegistryError(AliasBlockedError):
    """The registry has no version of the model that the committed record names."""

    def __init__(self, recorded: RecordedModel) -> None:
        super().__init__(f"the registry has no version of {recorded.target} with the md5 {recorded.md5}.", PROMOTE)
        self.recorded = recorded


@dataclass(frozen=True)
class RecordedModel:
    """The model that the committed record has in production."""

    target: str  # the registered model
    md5: str
    source: CommittedRecord

    def __str__(self) -> str:
        return f"{self.target} {self.md5[:8]}"


@dataclass(frozen=True)
class Followed:
    """The result of following git: a sentence, and whether the alias moved, or waits for a second person's yes."""

    sentence: str
    moved: bool = False
    waits: bool = False


def recorded_model(pipeline: Pipeline, execution: Execution) -> RecordedModel | None:
    """The model that should have the alias; None if git has none in production, or the alias can't be moved from here.

    Raises DvcWandbError if the committed record can't be read.
    """
    path = execution.meta.get("promotes")
    if not path or why_fixed(pipeline, execution):
        return None
    source = history.committed(pipeline.root, path)
    if source is None or source.record.model_md5 is None:
        return None
    return RecordedModel(source.record.registered_model, source.record.model_md5, source)


def candidate_md5(pipeline: Pipeline, target: str) -> str | None:
    """The md5 of the model in the workspace that a stage links to `target`; None if no stage does."""
    for execution in pipeline.locked():
        for path, linked in (execution.meta.get("links") or {}).items():
            if linked == target:
                return next(
                    (dep.md5 for dep in pipeline.workspace_execution(execution.stage).deps if dep.path == path), None
                )
    return None


def why_fixed(pipeline: Pipeline, execution: Execution) -> str | None:
    """Why the alias can't be moved from here; None if it can."""
    if os.environ.get("DVC_EXP_NAME") or os.environ.get("DVC_EXP_BASELINE_REV"):
        return f"this is the experiment {os.environ.get('DVC_EXP_NAME', '')}".rstrip()
    name = execution.meta.get("branches")
    if not name:
        return "dvc.yaml names no branches that promote, in `meta.wandb.branches`"
    branches = setting(pipeline.root, name)
    if not isinstance(branches, list) or not all(isinstance(one, str) for one in branches):
        raise DvcWandbError(f"params.yaml: {name} is {branches!r}; it must be a list of branches, such as [main].")
    if git.output_or_none(pipeline.root, "rev-parse", "--git-dir") is None:
        return "it follows what is committed, and there is no git repository here"
    branch = git.output_or_none(pipeline.root, "symbolic-ref", "--short", "-q", "HEAD")
    if branch in branches:
        return None
    here = f"the branch {branch}" if branch else "a checkout without a branch"
    return f"this is {here}, not {' or '.join(branches) or 'one that promotes'}"


def uncommitted_note(pipeline: Pipeline, execution: Execution) -> str | None:
    """A sentence on a decision that is not committed; None if there is none. Raises DvcWandbError."""
    path = str(execution.meta.get("promotes"))
    file = pipeline.root / path
    now = production.read(file) if file.is_file() else None
    if now is None or now.model_md5 is None:
        return None
    names = f"{path} names {now.registered_model} {now.model_md5[:8]}"
    if reason := why_fixed(pipeline, execution):
        return f"{names}; the alias '{ALIAS}' stays where it is: {reason}"
    source = history.committed(pipeline.root, path)
    if source and (source.record.registered_model, source.record.model_md5) == (now.registered_model, now.model_md5):
        return None
    return f"{names}; commit it, then `{PROMOTE}` moves the alias '{ALIAS}'"


def check_may_move(
    pipeline: Pipeline,
    execution: Execution,
    model: RecordedModel,
    holder: ModelVersion,
    followed: FollowedCommit | None,
    asked: bool = False,
) -> None:
    """Raises AliasBlockedError if `holder` has the alias by a commit that this branch lacks, or by a click.

    A click is no obstacle if a person `asked`.
    """
    if followed and not history.is_here(pipeline.root, followed.commit):
        incomplete = revisions.why_incomplete(pipeline.root)
        raise AliasBlockedError(
            f"in the registry {holder} is {ALIAS} of {model.target} by the commit {followed.commit[:10]}, which this "
            f"branch lacks{f' ({incomplete})' if incomplete else ''}: `git pull` first. If that commit was given up, "
            f"`{FROM_REGISTRY}` makes git follow the registry.",
            "git pull",
        )
    if not asked and (followed is None or followed.model_md5 != holder.md5):
        raise AliasBlockedError(
            f"{execution.meta['promotes']} names {model.md5[:8]}, but in the registry {holder} is {ALIAS} of "
            f"{model.target}: `{PROMOTE}` makes the registry follow git, `{FROM_REGISTRY}` makes git follow the "
            "registry.",
            f"{PROMOTE}, or {FROM_REGISTRY}",
        )


def follow(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, asked: bool = False
) -> Followed | None:
    """Move the alias to the model in the committed record; None if there is none. Overrides a click if `asked`.

    Where that takes a second person's yes, ask for it.

    Raises AliasBlockedError.
    """
    model = recorded_model(pipeline, execution)
    if model is None:
        return None
    holder = registry_state.find_version(connection, model.target)
    followed = approvals.followed_commit(pipeline, execution, connection, holder)
    already = holder is not None and holder.md5 == model.md5
    if holder and not already:
        check_may_move(pipeline, execution, model, holder, followed, asked)
    if not already and approvals.are_needed(pipeline, execution):
        return _ask(pipeline, execution, connection, model, holder, asked)
    version = _put_alias(model)
    now = FollowedCommit(model.source.commit, model.md5)
    is_behind = already and followed and not asked and not history.is_here(pipeline.root, followed.commit)
    if followed != now and not is_behind:
        registry_state.write_followed_commit(connection, execution, model.source.md5, now)
    where = f"in {execution.meta['promotes']} and as {version.version} at {connection.url}"
    if already:
        return Followed(f"{model} is {ALIAS}, {where}")
    instead = f"; it was {describe(connection, holder)}" if holder else ""
    return Followed(f"{model} is {ALIAS} now, {where}{instead}", moved=True)


def _ask(
    pipeline: Pipeline,
    execution: Execution,
    connection: RegistryConnection,
    model: RecordedModel,
    holder: ModelVersion | None,
    asked: bool,
) -> Followed:
    """Ask a second person. Raises ModelNotInRegistryError, and AliasBlockedError after a no."""
    candidate = registry_state.find_version(connection, model.target, content_alias.make(model.md5))
    if candidate is None:
        raise ModelNotInRegistryError(model)
    try:
        request, page = approvals.ask(pipeline, execution, connection, candidate, model.source, again=asked)
    except RefusedError as error:
        raise AliasBlockedError(str(error), PROMOTE) from None
    return Followed(
        f"{model} ({candidate.version}) waits for a second person's yes, asked for by {request.asker}: {page} or "
        f"`{APPROVE}`; {holder or 'nothing'} stays {ALIAS} until then",
        waits=True,
    )


def describe(connection: RegistryConnection, holder: ModelVersion) -> str:
    """A version, and who gave it the alias and when: nobody's decision is undone without a word."""
    moves = [move for move in registry_state.alias_moves(connection, holder) or [] if move.version == holder.version]
    return f"{holder}{f', put there by {moves[-1].by} at {moves[-1].at:%Y-%m-%d %H:%M}' if moves else ''}"


def _put_alias(model: RecordedModel) -> ModelVersion:
    api, name = public_api(), f"{model.target}:{content_alias.make(model.md5)}"
    if not api.artifact_exists(name):
        raise ModelNotInRegistryError(model)
    version = api.artifact(name)
    if ALIAS not in version.aliases:
        version.aliases.append(ALIAS)
        version.save()
    return registry_state.as_model_version(version)
