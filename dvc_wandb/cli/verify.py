"""dvc-wandb verify: proves that dvc.lock and the registry agree, or lists every difference."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from dvc_wandb.client.connection import connect
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root
from dvc_wandb.project.undeclared import undeclared_deps
from dvc_wandb.recorder import client
from dvc_wandb.sync import verify
from dvc_wandb.sync.mirrored_project import MirroredProject


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="prove dvc.lock and the registry equal, or list every difference",
        description="Holds dvc.lock against the registry: the files and md5s of every out, the edges of every stage, "
        "the model in production. Ends with 0 only if all agree; each difference is named with what either side has "
        "and the command that mends it. Notes which files stages read beside their deps.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="only up to these stages or outs (default: all)")
    parser.add_argument(
        "--deep", action="store_true", help="also download and hash every file, and rehash the DVC cache"
    )
    parser.add_argument("--strict", action="store_true", help="also fail where a stage reads what is none of its deps")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    connection = connect(pipeline.root, project_name(pipeline.root), sdk=False)
    executions = pipeline.locked(*arguments.targets)
    added = [] if arguments.targets else pipeline.added()
    client.wait_until_idle(pipeline.root)  # for a stage that ended before the lock was read
    report = verify.compare_all(pipeline, connection, MirroredProject(connection), executions, added, arguments.deep)
    if arguments.json:
        print(json.dumps({"agree": not report.drifts, "registry": connection.project_url, **asdict(report)}, indent=2))
    else:
        _print_report(report, connection.project_url)
    return 1 if report.drifts or (arguments.strict and report.undeclared_deps) else 0


def _print_report(report: verify.VerifyReport, registry: str) -> None:
    for drift in report.drifts:
        print(drift)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    for line in undeclared_deps.messages(report.undeclared_deps):
        print(line, file=sys.stderr)
    totals = f"{_count(report.stages, 'stage')}, {_count(report.edges, 'edge')}, {_count(report.files, 'file')}"
    if report.downloaded or report.rehashed:
        totals += f" ({report.downloaded} downloaded, {report.rehashed} objects of DVC's cache rehashed)"
    verdict = _count(len(report.drifts), "difference") if report.drifts else "dvc.lock and the registry agree"
    if report.undeclared_deps:
        verdict += f"; {_count(len(report.undeclared_deps), 'undeclared dep')}"
    print(f"{totals}: {verdict} ({registry})")


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' if count != 1 else ''}"
