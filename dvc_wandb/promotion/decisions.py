"""Carries out a decision on what is in production: of the gate, or of a person.

Whatever is decided is written to the record, and the stage is run on it: so dvc.lock agrees, and `dvc repro` has
nothing left to do. The alias moves only from a version that the command knew of; else it is decided again.
"""

from __future__ import annotations

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, ModelVersion
from dvc_wandb.promotion import agreement
from dvc_wandb.promotion.agreement import TAKE_OVER_HINT
from dvc_wandb.promotion.stage_run import decision, repro

MAX_ATTEMPTS = 3  # times that the gate runs because somebody else promoted meanwhile


def by_gate(stage: PromotingStage) -> None:
    """Let the stage decide, then make the registry agree; again where another clone promoted meanwhile."""
    before, clicked = stage.record(), agreement.clicked_version(stage)
    for _ in range(MAX_ATTEMPTS):
        repro(stage)
        print(decision(stage))
        other_record = agreement.update_registry(stage, lambda: _apply_or_take_over(stage, before, clicked))
        if other_record is None:
            return
        production.write(stage.record_file, other_record)
    raise DvcWandbError(
        f"production moves in the registry again and again; it was left alone after {MAX_ATTEMPTS} tries."
    )


def _apply_or_take_over(stage: PromotingStage, before: Record | None, clicked: ModelVersion | None) -> Record | None:
    """Make the registry agree: None. Or the record of who promoted meanwhile, to decide on it again."""
    other = agreement.apply_record(
        stage, lambda current: current == clicked or agreement.was_chosen_over(stage, stage.record(), current)
    )
    if other is None:
        return None
    other_record = agreement.take_over(stage, before, stage.record(), other)
    print(deciding_again_message(other), flush=True)
    return other_record


def deciding_again_message(other: ModelVersion) -> str:
    """The sentence on another clone's promotion, with which the gate's decision was not compared."""
    return (
        f"Another promotion was faster: {other} is {ALIAS} in the registry, which this one was not compared with. "
        "Deciding again."
    )


def by_person(stage: PromotingStage, record: Record) -> None:
    """Write a person's decision, have the stage take it up, and make the registry agree.

    Where somebody else decided meanwhile, neither knew of the other: the first stands, and this one is taken back.
    """
    before, expected = agreement.required_record(stage), agreement.current_version(stage)
    if expected and expected.md5 != record.model_md5:
        replaced = agreement.require_registry(stage, lambda: agreement.describe(stage, expected))
        print(f"{str(record.model_md5)[:8]} is to replace {replaced}.")
    production.write(stage.record_file, record)
    try:
        repro(stage, single_item=True)
    except DvcWandbError:
        production.write(stage.record_file, before)
        raise
    print(decision(stage))

    def may_move_from(current: ModelVersion) -> bool:
        if expected:
            return current == expected
        return agreement.was_chosen_over(stage, record, current)  # by git's history: nobody knew of it at first

    conflict = agreement.update_registry(
        stage, lambda: agreement.describe_conflict(stage, agreement.apply_record(stage, may_move_from))
    )
    if conflict:
        production.write(stage.record_file, before)
        repro(stage, single_item=True, silent=True)  # it says what it has said before
        raise DvcWandbError(f"{conflict} Your decision was taken back; {TAKE_OVER_HINT}")
