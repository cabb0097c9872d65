"""Keeps the alias `production` of a registered model where the record in git has it.

The record (production.json) is an output of the stage that names it in `meta.wandb.promotes`. The alias moves when that
stage runs on a branch in the parameter that `meta.wandb.branches` names, or when a person runs a command. An
experiment, another branch or a pull request records its decision and leaves the alias alone. By itself the alias moves
only from the model that the recorded one replaces: any other version has it by somebody's decision.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb import content_alias, production
from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record, registry_state
from dvc_wandb.production.registry_state import ALIAS, ModelVersion
from dvc_wandb.project import git
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import setting

BACKFILL_HINT = "`dvc-wandb mirror --all-commits` fills the registry with what git and DVC have of the past."


@dataclass(frozen=True)
class RecordedModel:
    """The model in production by the record: its md5 and its registered model."""

    record: Record
    md5: str

    @property
    def registered_model(self) -> str:
        return self.record.registered_model

    @property
    def version(self) -> str:
        return f"{self.registered_model}:{content_alias.make(self.md5)}"

    def __str__(self) -> str:
        return f"{self.registered_model} {self.md5[:8]}"


def recorded_model(pipeline: Pipeline, execution: Execution) -> RecordedModel | None:
    """The model in the record that `execution` writes; None if it writes none, or nothing is in production."""
    path = execution.meta.get("promotes")
    if not path:
        return None
    try:
        return model_of(production.read(pipeline.locate(execution.out(path))))
    except (OSError, DvcWandbError):
        raise DvcWandbError(
            f"{path} is no record of what is in production. `git checkout {path}` restores it."
        ) from None


def model_of(record: Record) -> RecordedModel | None:
    """None where nothing is in production."""
    return RecordedModel(record, record.model_md5) if record.model_md5 else None


def candidate_md5(pipeline: Pipeline, target: str) -> str | None:
    """The md5 of the model in the workspace that a stage links to `target`; None if no stage does."""
    for execution in pipeline.locked():
        for path, linked in (execution.meta.get("links") or {}).items():
            if linked == target:
                return next(
                    (dep.md5 for dep in pipeline.workspace_execution(execution.stage).deps if dep.path == path), None
                )
    return None


# ---- permission ----


def why_forbidden() -> str | None:
    """Why nobody may change production from here; None if one may."""
    if os.environ.get("DVC_EXP_NAME") or os.environ.get("DVC_EXP_BASELINE_REV"):
        return f"this is the experiment {os.environ.get('DVC_EXP_NAME', '')}".rstrip()
    if os.environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return "this is a pull request's job"
    return None


def why_not_automatic(pipeline: Pipeline, execution: Execution) -> str | None:
    """Why a run here doesn't move the alias by itself; None if it does."""
    if reason := why_forbidden():
        return reason
    name = execution.meta.get("branches", "")
    branches = setting(pipeline.root, name)
    if not isinstance(branches, list) or not all(isinstance(one, str) for one in branches):
        raise DvcWandbError(f"params.yaml: {name} is {branches!r}; it must be a list of branches, such as [main].")
    branch = _branch(pipeline.root)
    if branch not in branches:
        here = f"the branch {branch}" if branch else "a checkout without a branch"
        return f"this is {here}, not {' or '.join(branches) or 'one that promotes'}"
    return None


# ---- the alias ----


def production_md5(model: RecordedModel) -> str | None:
    """The md5 of the version that has the alias in the registry; "" for one that DVC doesn't know."""
    version = registry_state.find_version(model.registered_model)
    return version.md5 if version else None


def move_alias(
    connection: RegistryConnection, execution: Execution, model: RecordedModel, current: ModelVersion | None
) -> ModelVersion:
    """Move the alias from the `current` version to the recorded one. The record's own version gets it first.

    Returns the version that has it then; that is another one if somebody else moved it first. Raises DvcWandbError if
    the registry lacks the recorded version.
    """
    api = public_api()
    if not api.artifact_exists(model.version):
        raise DvcWandbError(
            f"the registry has no version of {model.registered_model} with the bytes that are in production "
            f"({model.md5}); the alias '{ALIAS}' stays where it is. {BACKFILL_HINT}"
        )
    version = api.artifact(model.version)
    recorded = registry_state.as_model_version(version)
    earlier_events = registry_state.alias_events(connection, recorded.collection_path) or []
    _add_alias_to_record(
        api,
        f"{registry_state.record_collection(connection, execution)}:{execution.out(execution.meta['promotes']).alias}",
        renew=ALIAS not in version.aliases,
    )
    _add_alias(version)
    last_id = earlier_events[-1]["id"] if earlier_events else 0
    later_events = registry_state.alias_events(connection, recorded.collection_path, after=last_id) or []
    first_move = later_events[0] if later_events else {"before": current and current.version, "after": recorded.version}
    winner = first_move["after"] if first_move["after"] != recorded.version else first_move["before"]
    if (first_move["before"], first_move["after"]) == (current and current.version, recorded.version) or winner is None:
        return recorded
    winning_version = registry_state.find_version(model.registered_model, winner)
    if winning_version and later_events[-1]["after"] == recorded.version:
        _return_alias(api, connection, execution, model.registered_model, winning_version)
    return winning_version or recorded


def _return_alias(
    api: Any, connection: RegistryConnection, execution: Execution, target: str, winner: ModelVersion
) -> None:
    """Give the alias back to the version that got it first, and to its record."""
    if promoted := registry_state.promoting_record(connection, execution, winner):
        record_version, _ = promoted
        record = f"{registry_state.record_collection(connection, execution)}:{record_version}"
        _add_alias_to_record(api, record, renew=True)
    _add_alias(api.artifact(f"{target}:{winner.version}"))


def _add_alias_to_record(api: Any, name: str, renew: bool) -> None:
    """Put the alias on a record; with `renew` again, since the log's order of events tells a promotion from a click."""
    if not api.artifact_exists(name):
        return
    record = api.artifact(name)
    if renew and ALIAS in record.aliases:
        record.aliases.remove(ALIAS)
        record.save()
    _add_alias(record)


def _add_alias(version: Any) -> None:
    if ALIAS not in version.aliases:
        version.aliases.append(ALIAS)
        version.save()


def may_move_from(
    pipeline: Pipeline,
    execution: Execution,
    connection: RegistryConnection,
    model: RecordedModel,
    current: ModelVersion | None,
    record_changed: bool,
) -> bool:
    """Whether the alias may move by itself from the `current` version to the recorded one.

    It may if no version has it, or the one that the gate compared with or a person replaced. It may not if the gate
    changed nothing, or if the alias followed this record before: then somebody has moved it since. With
    `record_changed` the stage has decided again, so the latter doesn't count.
    """
    if current is None or current.md5 == model.md5:
        return True
    by_person = model.record.decided_by == production.PERSON
    if current.md5 != model.record.replaces:
        return False
    if not by_person and candidate_md5(pipeline, model.registered_model) != model.md5:
        return False
    return record_changed or not registry_state.was_followed(connection, execution, model.record, model.version)


def follow_record(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, record_changed: bool = False
) -> str | None:
    """Make the registry agree with the record, if that is allowed. Returns a sentence on the result.

    `record_changed` says that it changed while the stage ran.
    """
    model = recorded_model(pipeline, execution)
    if model is None:
        return "nothing is in production" if execution.meta.get("promotes") else None
    if reason := why_not_automatic(pipeline, execution):
        return f"the record names {model}; the alias '{ALIAS}' stays where it is: {reason}"
    current = registry_state.find_version(model.registered_model)
    if not may_move_from(pipeline, execution, connection, model, current, record_changed):
        return drift_message(execution, model, current)
    holder = move_alias(connection, execution, model, current)
    if holder.md5 != model.md5:
        return drift_message(execution, model, holder)
    already = current and current.md5 == model.md5
    return f"{model} is {ALIAS}{'' if already else ' now'}, in {execution.meta['promotes']} and at {connection.url}"


def complete_promotion(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, unfinished: bool = False
) -> str | None:
    """Set the alias if no version has it. Returns a sentence if another version than the recorded one has it.

    That may be a person's click, so it stays: `promote` decides. If the run of the stage is `unfinished`, since it
    stopped or had no registry, this moves the alias as the run would have.
    """
    model = recorded_model(pipeline, execution)
    if model is None or why_not_automatic(pipeline, execution):
        return None
    current = registry_state.find_version(model.registered_model)
    if current is None:
        return follow_record(pipeline, execution, connection)
    if current.md5 == model.md5:
        return None
    if unfinished and may_move_from(pipeline, execution, connection, model, current, record_changed=False):
        current = move_alias(connection, execution, model, current)
    if current.md5 == model.md5:
        return f"{model} is {ALIAS} now: a promotion that had stopped before the registry knew is complete"
    return drift_message(execution, model, current)


def drift_message(execution: Execution, model: RecordedModel, current: ModelVersion | None) -> str:
    """The sentence that the two sides differ, with the two ways out."""
    return (
        f"{execution.meta['promotes']} names {model.md5[:8]}, but in the registry {current or 'nothing'} is {ALIAS} of "
        f"{model.registered_model}: `dvc-wandb promote` makes the registry follow git, `dvc-wandb promote --from "
        "registry` makes git follow the registry"
    )


def _branch(root: Path) -> str | None:
    return git.output_or_none(root, "symbolic-ref", "--short", "-q", "HEAD") or None
