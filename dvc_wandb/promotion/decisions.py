"""Carries out a decision of the gate, or of a person.

Writes it to the record and runs the stage, so dvc.lock agrees and `dvc repro` has nothing left to do. The alias follows
once it is committed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import Record, alias
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.promotion.stage_run import decision, repro
from dvc_wandb.sync import mirror, production_model
from dvc_wandb.sync.mirrored_project import MirroredProject

T = TypeVar("T")


def by_gate(stage: PromotingStage) -> None:
    """Let the stage decide, then let the registry follow the commit."""
    from wandb.errors import Error

    repro(stage)
    print(decision(stage))
    try:
        stage.query_registry(lambda: _follow_git(stage))
    except (RegistryUnavailableError, Error) as error:
        raise DvcWandbError(
            f"{stage.record_path} has the decision; the registry was not told: {error_reason(error)}. "
            f"`{alias.PROMOTE}` tells it when it is back."
        ) from None


def by_person(stage: PromotingStage, record: Record) -> None:
    """Write a person's decision to the record, and run the stage with it."""
    before = stage.record_file.read_bytes()
    production.write(stage.record_file, record)
    try:
        repro(stage, single_item=True)
    except DvcWandbError:
        stage.record_file.write_bytes(before)
        raise
    print(decision(stage))
    pipeline = Pipeline(stage.root)
    note = alias.uncommitted_note(pipeline, stage.execution(pipeline))
    print(note or f"git has that in {stage.record_path} already; `{alias.PROMOTE}` makes the registry follow it")


def require_registry(stage: PromotingStage, work: Callable[[], T]) -> T:
    """What `work` returns, which queries the registry before anything is changed. Raises DvcWandbError."""
    try:
        return stage.query_registry(work)
    except RegistryUnavailableError as error:
        raise DvcWandbError(f"{error_reason(error)}. Nothing was changed; run this again when it is back.") from None


def _follow_git(stage: PromotingStage) -> None:
    pipeline, connection = Pipeline(stage.root), stage.connect()
    execution = stage.execution(pipeline)
    for one in mirror.mirror_executions(pipeline, connection, MirroredProject(connection), pipeline.locked()):
        print(f"dvc-wandb: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
    followed = production_model.follow(pipeline, connection, execution, asked=True)
    for sentence in (followed and followed.sentence, alias.uncommitted_note(pipeline, execution)):
        if sentence:
            print(sentence)
