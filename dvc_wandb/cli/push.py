"""dvc-wandb push: pushes the models of production to DVC's remote, also those that earlier commits made."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from dvc_wandb.production.promoting_stage import find_promoting_stage
from dvc_wandb.project.git import revisions
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.sync import production_model


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "push",
        help="push the models of production to DVC's remote, which `dvc push` leaves out if earlier commits made them",
        description="Pushes every model that was in production by git's history, and what it was made from, to the DVC "
        "remote that is set up now. `dvc push` pushes what dvc.lock has now, and `dvc push --all-commits` leaves out "
        "the commits before the remote was set up.",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    stage = find_promoting_stage(pipeline)
    pushed, lacking = production_model.push(pipeline, stage.record_path)
    if lacking:
        models = ", ".join(md5[:8] for md5 in lacking)
        print(
            f"dvc-wandb: neither this clone nor DVC's remote has {models}, which is or was in production.",
            file=sys.stderr,
        )
    if incomplete := revisions.why_incomplete(pipeline.root):
        print(f"dvc-wandb: {incomplete}.", file=sys.stderr)
    print(f"pushed {pushed} file{'' if pushed == 1 else 's'} of models that are or were in production")
    return 0
