"""The record as a person wants it: a version by name, what the registry has, or the model before."""

from __future__ import annotations

from typing import Any

from dvc_wandb import content_alias
from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import LineageError, RegistryAway, in_a_sentence
from dvc_wandb.production import Record, alias, history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, ModelVersion
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.promotion import agreement
from dvc_wandb.promotion.agreement import TAKE_OVER


def version(stage: PromotingStage, name: str, reason: str) -> Record:
    """The record once a person has put `name`, a version or an alias of the registered model, in production."""
    before = agreement.required_record(stage)
    _connect(stage)
    _check_nobody_promoted(stage, before)
    return _choose(stage, _find_version(before.registered_model, name), reason)


def from_registry(stage: PromotingStage, reason: str | None) -> Record:
    """The record once git follows the registry: whoever moved the alias there has decided."""
    before, connection = agreement.required_record(stage), _connect(stage)
    current = registry_state.find_version(before.registered_model)
    if current is None:
        raise LineageError(
            f"no version of {before.registered_model} is {ALIAS} in the registry; there is none to follow."
        )
    if theirs := agreement.promoting_record(stage, current):  # another clone's decision
        return _choose(stage, current, reason or f"taken over from the registry: {theirs.reason}")
    moves = registry_state.alias_moves(connection, current) or []
    by = f" by {moves[-1].by}" if moves else ""
    return _choose(stage, current, reason or f"moved in the registry{by}")


def rollback(stage: PromotingStage, reason: str | None) -> Record:
    """The record once the model before is in production again."""
    record = agreement.required_record(stage)
    earlier = history.rollback_target(history.from_git(stage.root, stage.record_path), record)
    if earlier is None or earlier.model_md5 is None:
        if incomplete := history.why_incomplete(stage.root):
            raise LineageError(f"the model before is not known: {incomplete}.")
        raise LineageError(
            f"git's history of {stage.record_path} has no model before this one to go back to. `dvc-wandb promote "
            '--version v3 --reason "…"` puts any other in production.'
        )
    _check_in_registry(stage, earlier)
    _check_nobody_promoted(stage, record)
    last = alias.candidate_md5(Pipeline(stage.root), record.registered_model)
    return record.by_person(earlier.model_md5, reason or f"rolled back from {str(record.model_md5)[:8]}", earlier, last)


def _choose(stage: PromotingStage, chosen: ModelVersion, reason: str) -> Record:
    """The record once a person has chosen a version; as it is where that is in production already."""
    before = agreement.required_record(stage)
    if not chosen.md5:
        raise LineageError(
            f"{chosen.version} was not made by this pipeline: DVC has no md5 of it, so git can't name it."
        )
    if chosen.md5 == before.model_md5:
        return before
    last = alias.candidate_md5(Pipeline(stage.root), before.registered_model)
    known = history.last_record_of(history.from_git(stage.root, stage.record_path), chosen.md5)
    return before.by_person(chosen.md5, reason, known, last)


def _connect(stage: PromotingStage) -> RegistryConnection:
    """The registry, which alone knows what is meant."""
    try:
        return stage.connect()
    except RegistryAway as error:
        raise LineageError(
            f"{in_a_sentence(error)}, and only the registry knows which model that is. Nothing was changed; run this "
            "again when it is back."
        ) from None


def _check_nobody_promoted(stage: PromotingStage, record: Record) -> None:
    """Raises LineageError where another clone has promoted since: who decides here doesn't know of it."""
    current = agreement.current_version(stage)
    if current is None or current.md5 == record.model_md5 or not agreement.promoting_record(stage, current):
        return
    if not agreement.was_chosen_over(stage, record, current):
        raise LineageError(f"{agreement.meanwhile(stage, current)} Nothing was changed; {TAKE_OVER}")


def _check_in_registry(stage: PromotingStage, record: Record) -> None:
    """Raises LineageError where the registry lacks the model; one that is away learns of it later."""
    try:
        stage.connect()
    except RegistryAway:
        return
    model = alias.model_of(record)
    if model and registry_state.find_version(model.registered_model, content_alias.make(model.md5)) is None:
        raise LineageError(
            f"the registry has no version of {model.registered_model} with the bytes of {model.md5}, so nothing was "
            f"changed. {alias.FILL}"
        )


def _find_version(target: str, name: str) -> ModelVersion:
    found = registry_state.find_version(target, name)
    if found is None:
        raise LineageError(f"{target} has no version or alias '{name}' in the registry.{_offer(public_api(), target)}")
    return found


def _offer(api: Any, target: str) -> str:
    """A sentence on the versions that there are."""
    if not api.artifact_exists(f"{target}:latest"):
        return ""
    newest = api.artifact(f"{target}:latest")
    path = f"{newest.entity}/{newest.project}/{newest.name.rpartition(':')[0]}"
    return f" It has {', '.join(sorted(one.version for one in api.artifacts(newest.type, path)))}."
