"""dvc-wandb mirror: makes the registry hold what dvc.lock names."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvc_wandb.client import local_server
from dvc_wandb.client.connection import RegistryConnection, connect
from dvc_wandb.client.watched import watched
from dvc_wandb.errors import LineageError, in_a_sentence
from dvc_wandb.production import alias
from dvc_wandb.project import revisions
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.revisions import Revision
from dvc_wandb.project.settings import name_of, project_root
from dvc_wandb.report import summary
from dvc_wandb.sync import backfill, mirror
from dvc_wandb.sync.mirrored_project import MirroredProject


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "mirror",
        help="make the registry hold what dvc.lock names",
        description="Makes the registry hold what dvc.lock names: stages that DVC skipped or restored from its run "
        "cache, and what was run while the registry was away. What is there already is left alone.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="only up to these stages or outs (default: all)")
    past = parser.add_argument_group(
        "the past", "what the locks of other commits hold, in their order, each as its run"
    )
    past.add_argument("-A", "--all-commits", action="store_true", help="of every commit, then the workspace")
    past.add_argument("-T", "--all-tags", "--tags", action="store_true", help="of every tagged commit")
    past.add_argument("--range", metavar="A..B", help="of these commits, as `git rev-list` takes them")
    past.add_argument(
        "--experiments", action="store_true", help="of DVC's experiments, under their names, and their base"
    )
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("--md", action="store_true", help="print the table as Markdown")
    parser.add_argument("--lenient", action="store_true", help="a registry that is away is no error")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    asked = arguments.all_commits or arguments.all_tags or arguments.range or arguments.experiments
    past = _past(arguments, pipeline.root)
    connection = connect(pipeline.root, name_of(pipeline.root), sdk=False)
    registry = MirroredProject(connection)
    executions = pipeline.locked(*arguments.targets)

    def work() -> list[mirror.NotMirrored]:
        runs = mirror.RunCounter()
        left = backfill.make_up(pipeline, connection, registry, past, runs)
        if not asked or arguments.all_commits:
            added = [] if arguments.targets else pipeline.added()
            left += _workspace(pipeline, connection, registry, executions, added, runs)
        if past:
            backfill.make_latest(pipeline, connection, registry, executions)
        registry.load(out for one in executions for out in one.outs)
        return left

    left = watched(connection, work)
    _tell(arguments, summary.rows(registry, executions), left, _look(pipeline, connection))
    return 1 if left else 0


def _workspace(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    added: list[Content],
    runs: mirror.RunCounter,
) -> list[mirror.NotMirrored]:
    """Mirror what dvc.lock has now, and what it says of production."""
    promoting = [one for one in executions if one.meta.get("promotes")]
    unfinished = {one.key for one in promoting if not registry.runs(one)}
    left = mirror.make_up(pipeline, connection, registry, executions, added, runs=runs)
    return left + _follow(pipeline, connection, registry, promoting, unfinished)


def _past(arguments: argparse.Namespace, root: Path) -> list[Revision]:
    """The commits and experiments that were asked for, each once."""
    found: list[Revision] = []
    if arguments.all_commits:
        found += _some("commits that changed a lock", revisions.all_commits(root))
    if arguments.all_tags:
        found += _some("tags", revisions.tagged_commits(root))
    if arguments.range:
        found += _some(
            f"commits in {arguments.range} that changed a lock", revisions.commit_range(root, arguments.range)
        )
    if arguments.experiments:
        found += _some("experiments", revisions.experiments(root))
    return list(dict.fromkeys(found))


def _some(what: str, found: list[Revision]) -> list[Revision]:
    if not found:
        print(f"dvc-wandb: there are no {what}.", file=sys.stderr)
    return found


def _follow(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    unfinished: set[str],
) -> list[mirror.NotMirrored]:
    """Set the alias `production` where no version has it, or where a promotion stopped: `unfinished` are their keys."""
    left = []
    for execution in executions:
        if _promoted(pipeline, registry, execution):
            continue
        try:
            if said := alias.complete_promotion(
                pipeline, execution, connection, unfinished=execution.key in unfinished
            ):
                print(said, file=sys.stderr)
        except LineageError as error:
            left.append(mirror.NotMirrored(alias.ALIAS, in_a_sentence(error)))
    return left


def _promoted(pipeline: Pipeline, registry: MirroredProject, execution: Execution) -> bool:
    """Whether the alias is seen to be where the record has it, without a question."""
    production = alias.recorded_model(pipeline, execution)
    return production is not None and registry.has_alias(production.registered_model, production.md5, alias.ALIAS)


def _look(pipeline: Pipeline, connection: RegistryConnection) -> str:
    return (local_server.address(pipeline.root) if connection.embedded else None) or connection.project_url


def _tell(arguments: argparse.Namespace, rows: list[summary.OutRow], left: list[mirror.NotMirrored], look: str) -> None:
    if arguments.json:
        print(json.dumps({"outs": [asdict(row) for row in rows], "left": [asdict(one) for one in left], "url": look}))
    elif arguments.md:
        print(summary.markdown(rows))
    else:
        print(f"{summary.table(rows)}\n\nLook at it: {look}")
    for one in left:
        print(f"dvc-wandb: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
