"""lineage mirror: makes the registry hold what dvc.lock names."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from lineage import embedded, mirror, overview, promotion
from lineage.connection import connect
from lineage.errors import LineageError, in_a_sentence
from lineage.holdings import Holdings
from lineage.pipeline import Pipeline, project_root


def add(commands: Any) -> None:
    one = commands.add_parser(
        "mirror",
        help="make the registry hold what dvc.lock names",
        description="Makes the registry hold what dvc.lock names: stages that DVC skipped or restored from its run "
        "cache, and what was run while the registry was away. What is there already is left alone.",
    )
    one.add_argument("targets", nargs="*", metavar="STAGE", help="only up to these stages (default: all)")
    one.add_argument("--json", action="store_true", help="print the table as JSON")
    one.add_argument("--md", action="store_true", help="print the table as Markdown")
    one.add_argument("--lenient", action="store_true", help="a registry that is away is no error")
    one.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    connection = connect(pipeline.root)
    holdings = Holdings(connection)
    executions = pipeline.locked(*arguments.targets)
    added = [] if arguments.targets else pipeline.added()
    left = mirror.make_up(pipeline, connection, holdings, executions, added)
    for execution in executions:
        try:
            if said := promotion.fill_in(pipeline, execution, connection):
                print(said, file=sys.stderr)
        except LineageError as error:
            left.append(mirror.Left(promotion.ALIAS, in_a_sentence(error)))
    rows = overview.rows(holdings, executions)
    look = (embedded.address(pipeline.root) if connection.embedded else None) or connection.project_url
    if arguments.json:
        print(json.dumps({"outs": [asdict(row) for row in rows], "left": [asdict(one) for one in left], "url": look}))
    elif arguments.md:
        print(overview.markdown(rows))
    else:
        print(f"{overview.table(rows)}\n\nLook at it: {look}")
    for one in left:
        print(f"lineage: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
    return 1 if left else 0
