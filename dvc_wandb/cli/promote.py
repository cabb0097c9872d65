"""dvc-wandb promote and rollback: let the gate or a person decide which model is in production."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record
from dvc_wandb.production.promoting_stage import PromotingStage, find_promoting_stage
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.promotion import choices, decisions, dry_run
from dvc_wandb.promotion.decisions import require_registry
from dvc_wandb.sync.locks import exclusive


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "promote",
        help="run the gate, or decide oneself; then make the registry follow what is committed",
        description="Runs the stage whose record says what is in production, or writes a person's decision. Then the "
        "registry's alias `production` follows the record as it is committed on a branch that promotes.",
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--version", metavar="V", help="put this version in production, such as v3; the gate isn't asked")
    who.add_argument("--from", dest="source", choices=["registry"], help="git follows the registry's alias")
    _add_common_options(parser)
    parser.set_defaults(command=run)
    parser = commands.add_parser(
        "rollback",
        help="put the model before back in production",
        description="Puts the model that was in production before, by git's history of the record, back into the "
        "record. The one that it replaces is not promoted again by the gate, only by a person. Commit it, then "
        "`dvc-wandb promote` moves the registry's alias.",
    )
    _add_common_options(parser)
    parser.set_defaults(command=run_rollback)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="WHY", help="what the record says of a person's decision")
    parser.add_argument("--dry", action="store_true", help="say what would happen, and change nothing")


def run(arguments: argparse.Namespace) -> int:
    stage = find_promoting_stage(Pipeline(project_root()))
    if arguments.version and not arguments.dry and not (arguments.reason or "").strip():
        raise DvcWandbError('say why, for the record: dvc-wandb promote --version v3 --reason "…".')
    if arguments.version:
        return _decide(stage, arguments, lambda: choices.version(stage, arguments.version, arguments.reason or ""))
    if arguments.source:
        return _decide(stage, arguments, lambda: choices.from_registry(stage, arguments.reason))
    if arguments.reason:
        raise DvcWandbError("a reason belongs to a person's decision: name a --version, or --from registry.")
    if arguments.dry:
        return _print_dry_run(stage, lambda: dry_run.try_gate(stage))
    with exclusive(stage.root, "promotion"):
        decisions.by_gate(stage)
    return 0


def run_rollback(arguments: argparse.Namespace) -> int:
    stage = find_promoting_stage(Pipeline(project_root()))
    return _decide(stage, arguments, lambda: choices.rollback(stage, arguments.reason))


def _decide(stage: PromotingStage, arguments: argparse.Namespace, choose: Callable[[], Record]) -> int:
    """Carry out a person's decision: `choose` returns the new record."""
    if arguments.dry:
        return _print_dry_run(stage, lambda: dry_run.try_record(stage, choose()))
    with exclusive(stage.root, "promotion"):
        decisions.by_person(stage, require_registry(stage, choose))
    return 0


def _print_dry_run(stage: PromotingStage, trial: Callable[[], Iterator[str]]) -> int:
    """Say what would happen."""

    def print_lines() -> None:
        for line in trial():
            print(line, flush=True)

    require_registry(stage, print_lines)
    return 0
