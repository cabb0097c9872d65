"""dvc-wandb why: what made an out's stage run the last time, and what has changed since."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from dvc_wandb.cli.show import find_nodes
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.report import why
from dvc_wandb.report.graph import Graph


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "why",
        help="say what changed when the stage of an out last ran, and since",
        description="Says which commit last made the stage of PATH run, what had changed (parameters, code, data, "
        "upstream too), and what the workspace has changed since. Asks no registry.",
    )
    parser.add_argument("path", metavar="PATH", help="an out, or a stage")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    graph = Graph(pipeline.locked(), pipeline.added())
    asked = {one.stage: one for one in graph.stages_without_outs(arguments.path)}
    asked = asked or {key[0]: graph.makers.get(key) for key in find_nodes(graph, arguments.path, pipeline.root)}
    found = {name: why.explain(pipeline, graph, maker) if maker else None for name, maker in asked.items()}
    if arguments.json:
        print(json.dumps({path: _facts(one) if one else None for path, one in found.items()}, indent=2))
    else:
        print("\n\n".join(_told(path, one) for path, one in found.items()))
    return 0


def _facts(found: why.Explanation) -> dict[str, Any]:
    return {
        "stage": found.stage,
        "commit": found.commit.sha or None,
        "after": found.before.sha if found.before else None,
        "then": [asdict(one) for one in found.then],
        "now": [asdict(one) for one in found.now],
    }


def _told(path: str, found: why.Explanation | None) -> str:
    if found is None:
        return f"{path} is made by no stage; `dvc-wandb show {path} --commits` says since when it is as it is."
    after = f"after {found.before}" if found.before else "for the first time"
    lines = [f"{path}: {found.stage} last ran for {found.commit}", f"  {after}", *_lines(found.then)]
    if found.now:
        lines += ["since then, in the workspace", *_lines(found.now), "`dvc repro` would bring it up to date."]
    else:
        lines.append("since then: nothing has changed")
    return "\n".join(lines)


def _lines(reasons: list[why.StageChanges]) -> list[str]:
    found = []
    for one in reasons:
        indent = "  " * (one.indent + 1)
        changed = one.changed or ["what it was given was the same: it ran by force, or gave other bytes"]
        found += [f"{indent}{one.stage}", *(f"{indent}  {line}" for line in changed)]
    return found
