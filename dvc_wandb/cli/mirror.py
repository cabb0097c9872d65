"""dvc-wandb mirror: makes the registry hold what dvc.lock names."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvc_wandb.client import timeouts
from dvc_wandb.client.connection import RegistryConnection, browser_url, connect
from dvc_wandb.errors import DvcWandbError, error_reason
from dvc_wandb.production import alias
from dvc_wandb.production.alias import AliasBlockedError
from dvc_wandb.project.git import revisions
from dvc_wandb.project.git.revisions import Revision
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root, projects_of_same_name
from dvc_wandb.recorder import client
from dvc_wandb.report import summary
from dvc_wandb.sync import backfill, mirror, production_model
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
    past_asked_for = arguments.all_commits or arguments.all_tags or arguments.range or arguments.experiments
    past = _past_revisions(arguments, pipeline.root)
    connection = connect(pipeline.root, project_name(pipeline.root), sdk=False)
    registry = MirroredProject(connection)
    if same := projects_of_same_name(pipeline.root):
        print(
            f"dvc-wandb: {', '.join(same)} has the same `project` in its params.yaml, so outs of one name are versions "
            "of one collection. Without that line each project of a repository has a W&B project of its own.",
            file=sys.stderr,
        )
    executions = pipeline.locked(*arguments.targets)
    client.wait_until_idle(pipeline.root)  # for a stage that ended before the lock was read

    def work() -> list[mirror.NotMirrored]:
        runs = mirror.RunCounter()
        failures = backfill.mirror_revisions(pipeline, connection, registry, past, runs)
        if not past_asked_for or arguments.all_commits:
            added = [] if arguments.targets else pipeline.added()
            failures += _mirror_workspace(pipeline, connection, registry, executions, added, runs)
        if past:
            backfill.move_latest(pipeline, connection, registry, executions)
        registry.load(out for one in executions for out in one.outs)
        return failures

    failures = timeouts.run_checked(work, timeouts.tolerant(connection.check))
    _print_result(arguments, summary.rows(registry, executions), failures, browser_url(connection, pipeline.root))
    return 1 if failures else 0


def _mirror_workspace(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    added: list[Content],
    runs: mirror.RunCounter,
) -> list[mirror.NotMirrored]:
    """Mirror what dvc.lock has now, and what it says of production."""
    failures = mirror.mirror_executions(pipeline, connection, registry, executions, added, runs=runs)
    return failures + _follow_git(pipeline, connection, registry, executions)


def _past_revisions(arguments: argparse.Namespace, root: Path) -> list[Revision]:
    """The commits and experiments that were asked for, each once."""
    selected: list[Revision] = []
    if arguments.all_commits:
        selected += _warn_if_empty("commits that changed a lock", revisions.all_commits(root))
    if arguments.all_tags:
        selected += _warn_if_empty("tags", revisions.tagged_commits(root))
    if arguments.range:
        selected += _warn_if_empty(
            f"commits in {arguments.range} that changed a lock", revisions.commit_range(root, arguments.range)
        )
    if arguments.experiments:
        selected += _warn_if_empty("experiments", revisions.experiments(root))
    if selected and (incomplete := revisions.why_incomplete(root)):
        print(f"dvc-wandb: {incomplete}.", file=sys.stderr)
    return list(dict.fromkeys(selected))


def _warn_if_empty(what: str, selected: list[Revision]) -> list[Revision]:
    if not selected:
        print(f"dvc-wandb: there are no {what}.", file=sys.stderr)
    return selected


def _follow_git(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, executions: list[Execution]
) -> list[mirror.NotMirrored]:
    """Let the alias `production` follow what git has committed; say where a person has to do something first."""
    failures = []
    for execution in executions:
        try:
            model = alias.recorded_model(pipeline, execution)
            if model is None:
                continue
            if note := production_model.push_note(pipeline, model, executions):
                print(f"dvc-wandb: {note}", file=sys.stderr)
            if registry.has_alias(model.target, model.md5, alias.ALIAS):
                continue
            followed = production_model.follow(pipeline, connection, execution)
            if followed and (followed.moved or followed.waits):
                print(f"{followed.sentence}.", file=sys.stderr)
        except AliasBlockedError as error:
            print(f"dvc-wandb: {error}", file=sys.stderr)
        except DvcWandbError as error:
            failures.append(mirror.NotMirrored(alias.ALIAS, error_reason(error)))
    return failures


def _print_result(
    arguments: argparse.Namespace, rows: list[summary.OutRow], failures: list[mirror.NotMirrored], url: str
) -> None:
    if arguments.json:
        print(
            json.dumps({"outs": [asdict(row) for row in rows], "left": [asdict(one) for one in failures], "url": url})
        )
    elif arguments.md:
        print(summary.markdown(rows))
    else:
        print(f"{summary.table(rows)}\n\nLook at it: {url}")
    for one in failures:
        print(f"dvc-wandb: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
