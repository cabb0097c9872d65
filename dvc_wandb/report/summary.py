"""The short table at the end: which stage made what, at which md5, and its version in the registry."""

from __future__ import annotations

from dataclasses import dataclass

from tabulate import tabulate

from dvc_wandb.project.lock import Execution
from dvc_wandb.sync.mirrored_project import MirroredProject


@dataclass(frozen=True)
class OutRow:
    stage: str
    out: str
    md5: str
    version: str | None


def rows(registry: MirroredProject, executions: list[Execution]) -> list[OutRow]:
    """One row per output; its version is None if the registry lacks it."""
    return [
        OutRow(execution.stage, out.path, out.md5 or "", registry.version_name(out))
        for execution in executions
        for out in execution.outs
    ]


def table(rows: list[OutRow]) -> str:
    """The rows as text, stages named once."""
    return tabulate(_cells(rows), tablefmt="plain", disable_numparse=True)


def markdown(rows: list[OutRow]) -> str:
    """The rows as a Markdown table."""
    head, *body = (f"| {' | '.join(line)} |" for line in _cells(rows))
    return "\n".join([head, "|---" * 4 + "|", *body])


def _cells(rows: list[OutRow]) -> list[tuple[str, str, str, str]]:
    cells = [("stage", "made", "md5", "in the registry")]
    for before, row in zip([None, *rows], rows, strict=False):
        stage = "" if before and before.stage == row.stage else row.stage
        cells.append((stage, row.out, row.md5, row.version or "not there"))
    return cells
