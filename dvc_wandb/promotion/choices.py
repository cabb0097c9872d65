"""The record after a person's decision: for a version, the registry's alias, or the model before."""

from __future__ import annotations

from typing import Any

from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import Record, alias, history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, ModelVersion
from dvc_wandb.project.git import revisions
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import fetch


def version(stage: PromotingStage, name: str, reason: str) -> Record:
    """The record with `name` in production, a version or an alias of the registered model."""
    before = stage.last_record()
    return _choose(stage, _find_version(_connect(stage), before.registered_model, name), reason)


def from_registry(stage: PromotingStage, reason: str | None) -> Record:
    """The record with the version that has the alias in the registry."""
    before, connection = stage.last_record(), _connect(stage)
    current = registry_state.find_version(connection, before.registered_model)
    if current is None:
        raise DvcWandbError(
            f"no version of {before.registered_model} is {ALIAS} in the registry; there is none to follow."
        )
    moves = registry_state.alias_moves(connection, current) or []
    by = f" by {moves[-1].people}" if moves else ""
    return _choose(stage, current, reason or f"moved in the registry{by}")


def rollback(stage: PromotingStage, reason: str | None) -> Record:
    """The record with the model before in production again."""
    record, pipeline = stage.required_record(), Pipeline(stage.root)
    earlier = history.rollback_target(history.with_workspace(stage.root, stage.record_path), record)
    if earlier is None or earlier.model_md5 is None:
        if incomplete := revisions.why_incomplete(stage.root):
            raise DvcWandbError(f"the model before is not known: {incomplete}.")
        raise DvcWandbError(
            f"git's history of {stage.record_path} has no model before this one to go back to. `dvc-wandb promote "
            '--version v3 --reason "…"` puts any other in production.'
        )
    fetch.find_model(pipeline, record.registered_model, earlier.model_md5, stage.connect)
    return record.by_person(
        earlier.model_md5,
        reason or f"rolled back from {str(record.model_md5)[:8]}",
        earlier,
        alias.candidate_md5(pipeline, record.registered_model),
        rollback=True,
    )


def _choose(stage: PromotingStage, chosen: ModelVersion, reason: str) -> Record:
    """The record with `chosen` in production; unchanged if it is there already."""
    before = stage.last_record()
    if not chosen.md5:
        raise DvcWandbError(
            f"{chosen.version} was not made by this pipeline: DVC has no md5 of it, so git can't name it."
        )
    if chosen.md5 == before.model_md5:
        return before
    candidate = alias.candidate_md5(Pipeline(stage.root), before.registered_model)
    last_record = history.last_record_of(history.with_workspace(stage.root, stage.record_path), chosen.md5)
    return before.by_person(chosen.md5, reason, last_record, candidate)


def _connect(stage: PromotingStage) -> RegistryConnection:
    """The connection. Raises DvcWandbError without one: only the registry knows the version."""
    try:
        return stage.connect()
    except RegistryUnavailableError as error:
        raise DvcWandbError(
            f"{error_reason(error)}, and only the registry knows which model that is. Nothing was changed; run this "
            "again when it is back."
        ) from None


def _find_version(connection: RegistryConnection, target: str, name: str) -> ModelVersion:
    version = registry_state.find_version(connection, target, name)
    if version is None:
        raise DvcWandbError(
            f"{target} has no version or alias '{name}' in the registry.{_list_versions(public_api(), target)}"
        )
    return version


def _list_versions(api: Any, target: str) -> str:
    """A sentence that lists the versions of a registered model."""
    if not api.artifact_exists(f"{target}:latest"):
        return ""
    newest = api.artifact(f"{target}:latest")
    path = f"{newest.entity}/{newest.project}/{newest.name.rpartition(':')[0]}"
    return f" It has {', '.join(sorted(one.version for one in api.artifacts(newest.type, path)))}."
