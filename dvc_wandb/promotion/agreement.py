"""Makes the registry agree with the record, unless somebody else has promoted meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import Record, alias, history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, ModelVersion
from dvc_wandb.project import git
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import mirror
from dvc_wandb.sync.mirrored_project import MirroredProject

TAKE_OVER_HINT = (
    "`git pull` or `dvc-wandb promote --from registry` takes it over; then decide again if you still mean it."
)
T = TypeVar("T")


def require_registry(stage: PromotingStage, work: Callable[[], T]) -> T:
    """What `work` finds in the registry before anything changes. Raises DvcWandbError if it is unavailable."""
    try:
        return stage.query_registry(work)
    except RegistryUnavailableError as error:
        raise DvcWandbError(f"{error_reason(error)}. Nothing was changed; run this again when it is back.") from None


def update_registry(stage: PromotingStage, work: Callable[[], T]) -> T:
    """What `work` returns, which changes the registry. If that fails, raises DvcWandbError on both sides' state."""
    from wandb.errors import Error

    try:
        return stage.query_registry(work)
    except (RegistryUnavailableError, Error) as error:
        record = stage.record()
        model = (record and alias.model_of(record)) or "nothing"
        raise DvcWandbError(
            f"in production: {model} in {stage.record_path}{_uncommitted(stage)}; "
            f"the registry was not told: {error_reason(error)}. `dvc-wandb promote` tells it when it is back."
        ) from None


def apply_record(stage: PromotingStage, may_move_from: Callable[[ModelVersion], bool]) -> ModelVersion | None:
    """Move the alias to the version of the record, if it `may_move_from` the current one. Print what is in production.

    Returns the version that keeps the alias: because it may not move, or because somebody else moved it first.
    """
    pipeline, connection = Pipeline(stage.root), stage.connect()
    execution = stage.execution(pipeline)
    model = alias.recorded_model(pipeline, execution)
    for one in mirror.mirror_executions(pipeline, connection, MirroredProject(connection), pipeline.locked()):
        print(f"dvc-wandb: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
    if model is None:
        print(f"nothing is in production, by {stage.record_path}")
        return None
    current = registry_state.find_version(model.registered_model)
    if current and current.md5 != model.md5 and not may_move_from(current):
        return current
    replaced = describe(stage, current) if current and current.md5 != model.md5 else ""
    holder = alias.move_alias(connection, execution, model, current)
    if holder.md5 != model.md5:
        return holder
    if replaced:
        print(f"{ALIAS} moved from {replaced}, to {holder} in the registry.")
    print(
        f"in production: {model} in {stage.record_path}{_uncommitted(stage)}, and {holder.version} at {connection.url}"
    )
    return None


# ---- who promoted ----


def current_version(stage: PromotingStage) -> ModelVersion | None:
    """The version that has the alias; None also if the registry is unavailable."""
    record = stage.record()
    if record is None:
        return None
    try:
        return stage.query_registry(lambda: stage.connect() and registry_state.find_version(record.registered_model))
    except RegistryUnavailableError:
        return None


def clicked_version(stage: PromotingStage) -> ModelVersion | None:
    """The version that has the alias by a click: no record in the registry names it. None also if it is unavailable.

    Whoever runs the gate means that the registry follows git, so the alias may move from that version.
    """
    current = current_version(stage)
    try:
        clicked = current and stage.query_registry(lambda: promoting_record(stage, current)) is None
    except RegistryUnavailableError:
        return None
    return current if clicked else None


def promoting_record(stage: PromotingStage, version: ModelVersion) -> Record | None:
    """The record by which `version` got the alias; it may be another clone's, not pulled yet."""
    execution = Pipeline(stage.root).workspace_execution(stage.name)
    promoted = registry_state.promoting_record(stage.connect(), execution, version)
    return promoted[1] if promoted else None


def describe(stage: PromotingStage, version: ModelVersion) -> str:
    """A version, and who moved the alias there, when and why."""
    moves, record = registry_state.alias_moves(stage.connect(), version), promoting_record(stage, version)
    by = f", put there by {moves[-1].by} at {moves[-1].at:%Y-%m-%d %H:%M}" if moves else ""
    return f"{version}{by}{f' ({record.reason})' if record and record.reason else ''}"


def describe_conflict(stage: PromotingStage, other: ModelVersion | None) -> str:
    """The sentence on the `other` version that somebody promoted; "" without one."""
    if other is None:
        return ""
    record = promoting_record(stage, other)
    return f"meanwhile {other} became {ALIAS} in the registry ({record.reason if record else 'somebody moved it'})."


# ---- which decision stands ----


def was_chosen_over(stage: PromotingStage, record: Record | None, current: ModelVersion) -> bool:
    """Whether `record` was chosen over the `current` version in the registry.

    Git's history decides, unless the record was taken back since and git doesn't know. Or the record itself replaces
    that version, and the registry doesn't know yet.
    """
    if record is None or record.model_md5 is None:
        return False
    current_record = promoting_record(stage, current)
    if current_record in history.superseded(stage.root, stage.record_path, record):
        return not _was_taken_back(stage, record, current_record)
    return current.md5 == record.replaces and not _was_followed(stage, record)


def take_over(stage: PromotingStage, before: Record | None, own_record: Record | None, other: ModelVersion) -> Record:
    """The record by which somebody promoted the `other` version. `own_record` is what the gate made of `before`.

    Raises DvcWandbError if `own_record` is a person's decision: nobody knows which of the two is meant.
    """
    assert own_record is not None, "a gate that promoted has a record"
    if own_record == before and own_record.decided_by == production.PERSON and not _was_followed(stage, own_record):
        raise DvcWandbError(
            f"{describe_conflict(stage, other)} {stage.record_path} has a person's decision that doesn't know of it "
            f"({own_record.reason}), so the registry was left as it is; {TAKE_OVER_HINT}"
        )
    other_record = promoting_record(stage, other)
    if own_record == before and other_record in history.superseded(stage.root, stage.record_path, own_record):
        raise DvcWandbError(
            f"{describe_conflict(stage, other)} {stage.record_path} was in force before that, and git has no word "
            f"here of its being taken back, so the registry was left as it is; {TAKE_OVER_HINT}"
        )
    other_record = other_record or (before or own_record).by_person(other.md5, "moved in the registry", None, None)
    only_by_person = dict.fromkeys([*other_record.only_by_person, *own_record.only_by_person])
    return replace(other_record, only_by_person=tuple(md5 for md5 in only_by_person if md5 != other.md5))


def _was_taken_back(stage: PromotingStage, record: Record, current_record: Record | None) -> bool:
    """Whether the registry followed `record`, then an earlier one again: after a revert that isn't pulled yet."""
    if current_record == record or history.is_later(stage.root, stage.record_path, current_record, record):
        return False
    return _was_followed(stage, record)


def _was_followed(stage: PromotingStage, record: Record) -> bool:
    model, execution = alias.model_of(record), Pipeline(stage.root).workspace_execution(stage.name)
    return model is not None and registry_state.was_followed(stage.connect(), execution, record, model.version)


# ---- the record here ----


def required_record(stage: PromotingStage) -> Record:
    """The record. Raises DvcWandbError if there is none yet."""
    record = stage.record()
    if record is None:
        raise DvcWandbError(f"there is no {stage.record_path} yet; `dvc repro {stage.name}` makes it.")
    return record


def _uncommitted(stage: PromotingStage) -> str:
    changed = git.output_or_none(stage.root, "status", "--porcelain", "--", stage.record_path)
    return " (not committed yet)" if changed else ""
