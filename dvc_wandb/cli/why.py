"""dvc-wandb why: says what changed when an out's stage last ran, and what has changed since."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict
from typing import Any

from dvc_wandb.cli.show import find_nodes
from dvc_wandb.project import remedies
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
    makers = {one.stage: one for one in graph.stages_without_outs(arguments.path)}
    makers = makers or {key[0]: graph.makers.get(key) for key in find_nodes(graph, arguments.path, pipeline.root)}
    explanations = {name: why.explain(pipeline, graph, maker) if maker else None for name, maker in makers.items()}
    if arguments.json:
        print(json.dumps({path: _facts(one) if one else None for path, one in explanations.items()}, indent=2))
    else:
        print("\n\n".join(_describe(pipeline, path, one) for path, one in explanations.items()))
    return 0


def _facts(explanation: why.Explanation) -> dict[str, Any]:
    return {
        "stage": explanation.stage,
        "commit": explanation.commit.sha or None,
        "or_earlier": explanation.commit.is_boundary,
        "after": explanation.before.sha if explanation.before else None,
        "then": [asdict(one) for one in explanation.then],
        "now": [asdict(one) for one in explanation.now],
    }


def _describe(pipeline: Pipeline, path: str, explanation: why.Explanation | None) -> str:
    if explanation is None:
        command = f"dvc-wandb show {shlex.quote(path)} --commits"
        return f"{path} is made by no stage; `{command}` says since when it is as it is."
    lines = [f"{path}: {explanation.stage} last ran for {explanation.commit}"]
    if not explanation.commit.is_boundary:
        lines.append(f"  after {explanation.before}" if explanation.before else "  for the first time")
    lines += _lines(explanation.then)
    if explanation.now:
        command = remedies.for_outdated(pipeline.dvc, explanation.stage)
        lines += ["since then, in the workspace", *_lines(explanation.now), f"`{command}` would bring it up to date."]
    else:
        lines.append("since then: nothing has changed")
    return "\n".join(lines)


def _lines(reasons: list[why.StageChanges]) -> list[str]:
    lines = []
    for one in reasons:
        indent = "  " * (one.indent + 1)
        changed = one.changed or ["what it was given was the same: it ran by force, or gave other bytes"]
        lines += [f"{indent}{one.stage}", *(f"{indent}  {line}" for line in changed)]
    return lines
