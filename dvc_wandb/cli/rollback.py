"""dvc-wandb rollback: puts the model before back in production."""

from __future__ import annotations

import argparse
from typing import Any

from dvc_wandb.cli.promote import add_common_options, decide
from dvc_wandb.production.promoting_stage import find_promoting_stage
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.promotion import choices


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "rollback",
        help="put the model before back in production",
        description="Puts the model that was in production before, by git's history of the record, back into the "
        "record. The one that it replaces is not promoted again by the gate, only by a person. Commit it, then "
        "`dvc-wandb promote` moves the registry's alias.",
    )
    add_common_options(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    stage = find_promoting_stage(Pipeline(project_root()))
    return decide(stage, arguments, lambda: choices.rollback(stage, arguments.reason))
