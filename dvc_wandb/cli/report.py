"""dvc-wandb report: metrics against the base revision, plots, lineage and the promotion's decision on one page."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc_wandb.cli.show import registry_names
from dvc_wandb.client.connection import connect
from dvc_wandb.client.versions import RegistryProject
from dvc_wandb.errors import DvcWandbError, ProjectError, RegistryUnavailableError
from dvc_wandb.production import history
from dvc_wandb.project import git
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root
from dvc_wandb.report import report
from dvc_wandb.report.graph import Graph
from dvc_wandb.sync import attestations


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="one page for a pull request: promotion, metrics, plots, lineage",
        description="Prints one Markdown page for a pull request or a CI job's summary: the promotion's decision, "
        "metrics and plots against a base revision, what ran and why, the lineage.",
    )
    parser.add_argument(
        "--base",
        metavar="REV",
        help="hold it against this revision (default: what a job of GitHub or GitLab is to be merged into, else the "
        "commit before the last change)",
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="also write the page as self-contained HTML")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    executions = pipeline.locked()
    registry = registry_names(pipeline, Graph(executions, pipeline.added()))
    head, base = _revisions(pipeline, arguments.base)
    signatures = _signatures(pipeline, executions)
    page = report.collect(pipeline, project_name(pipeline.root), head, base, registry, signatures)
    if arguments.html:
        try:
            arguments.html.parent.mkdir(parents=True, exist_ok=True)
            arguments.html.write_text(report.html(page))
        except OSError as error:
            raise DvcWandbError(f"{arguments.html} can't be written: {error.strerror}.") from None
    print(report.markdown(page), end="")
    return 0


def _signatures(pipeline: Pipeline, executions: list[Execution]) -> dict[str, str]:
    """By stages that ask for a signed model, whether the one in production is; nothing while the registry is away."""
    signatures = {}
    for execution in executions:
        source = history.committed(pipeline.root, execution.meta["promotes"]) if "signed_by" in execution.meta else None
        if source and source.record.model_md5:
            with contextlib.suppress(RegistryUnavailableError):
                connection = connect(pipeline.root, project_name(pipeline.root))
                target, md5 = source.record.registered_model, source.record.model_md5
                known = RegistryProject(connection)
                signatures[execution.stage] = attestations.describe(pipeline, connection, known, execution, target, md5)
    return signatures


def _revisions(pipeline: Pipeline, base: str | None) -> tuple[report.ComparedRevision, report.ComparedRevision | None]:
    """The revision of the page and its base; None if there is nothing earlier."""
    if pipeline.commit is None:
        if base:
            raise ProjectError(f"this project has no commits, so there is no '{base}' to hold it against.")
        return report.ComparedRevision("the workspace", None), None
    committed = _is_committed(pipeline.root)
    head = report.ComparedRevision(pipeline.commit[:7] if committed else "the workspace", pipeline.commit)
    if base:
        return head, report.ComparedRevision(base, _commit(pipeline.root, base))
    for name in (*_merged_into(), "HEAD~1" if committed else "HEAD"):
        try:
            commit = _commit(pipeline.root, name)
            return head, report.ComparedRevision(f"{name} ({commit[:7]})", commit)
        except ProjectError as error:
            print(f"dvc-wandb: {error}", file=sys.stderr)
    return head, None


def _merged_into() -> Iterator[str]:
    """What a pull request's or a merge request's job is to be merged into, by the variables of GitHub and GitLab."""
    if branch := os.environ.get("GITHUB_BASE_REF"):
        yield f"origin/{branch}"
    if commit := os.environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"):
        yield commit[:10]


def _commit(root: Path, name: str) -> str:
    return revisions.named_commit(root, name, "to hold this one against")


def _is_committed(root: Path) -> bool:
    """Whether dvc.lock and what it names in git are those of HEAD."""
    return git.output_or_none(root, "diff", "--quiet", "HEAD", "--") is not None
