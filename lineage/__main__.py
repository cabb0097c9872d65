"""python -m lineage: keeps dvc.lock and the registry one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict

from lineage import embedded, mirror, overview, promotion
from lineage.connection import connect
from lineage.errors import LineageError, RegistryAway, in_a_sentence
from lineage.holdings import Holdings
from lineage.pipeline import Pipeline, project_root


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.command(arguments)
    except RegistryAway as error:
        print(
            f"lineage: not mirrored: {in_a_sentence(error)}. DVC has it all; run this again when it is back.",
            file=sys.stderr,
        )
        return 0 if arguments.lenient else 1
    except LineageError as error:
        print(f"lineage: {error}", file=sys.stderr)
    except BrokenPipeError:  # such as `| head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("lineage: interrupted; run it again to go on where it stopped.", file=sys.stderr)
    return 1


def run_mirror(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    connection = connect(pipeline.root)
    holdings = Holdings(connection)
    executions = pipeline.locked(*arguments.targets)
    left = mirror.make_up(pipeline, connection, holdings, executions)
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


def run_promote(arguments: argparse.Namespace) -> int:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lineage",
        description="Keeps dvc.lock and the W&B registry one. The registry is the embedded one, or that of "
        "WANDB_BASE_URL and WANDB_API_KEY where one of them is set.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

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
    one.set_defaults(command=run_mirror)

    one = commands.add_parser(
        "promote",
        help="put the alias `production` where production.json has it",
        description="Puts the registry's alias `production` on the model that the record in git names, on any branch: "
        "calling this is a person's decision. `dvc repro promote` runs the gate that writes the record.",
    )
    one.set_defaults(command=run_promote, lenient=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
