"""lineage promote: puts the alias `production` where the record in git has it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lineage import mirror, promotion
from lineage.connection import connect
from lineage.errors import LineageError
from lineage.holdings import Holdings
from lineage.pipeline import Pipeline, project_root


def add(commands: Any) -> None:
    one = commands.add_parser(
        "promote",
        help="put the alias `production` where production.json has it",
        description="Puts the registry's alias `production` on the model that the record in git names, on any branch: "
        "calling this is a person's decision. `dvc repro promote` runs the gate that writes the record.",
    )
    one.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    executions = [execution for execution in pipeline.locked() if execution.meta.get("promotes")]
    if not executions:
        raise LineageError(
            "no stage of this project promotes: dvc.yaml names none in meta.wandb.promotes, or none has run."
        )
    connection = connect(pipeline.root)
    left = mirror.make_up(pipeline, connection, Holdings(connection), pipeline.locked())
    for execution in executions:
        print(promotion.follow(pipeline, execution, connection, asked=True))
    for one in left:
        print(f"lineage: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
    return 1 if left else 0
