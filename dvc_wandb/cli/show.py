"""dvc-wandb show: draws the graph with the names of both sides; all of it, or around one artifact; across commits."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from dvc_wandb.client.connection import connect
from dvc_wandb.errors import ProjectError, RegistryUnavailableError, error_reason
from dvc_wandb.project import lock_history, remedies
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root
from dvc_wandb.report import graph_text
from dvc_wandb.report.graph import Graph, Key, key_of
from dvc_wandb.report.graph_svg import svg
from dvc_wandb.sync.mirrored_project import MirroredProject

UNCUT = 100_000  # columns


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "show",
        help="draw the lineage with the names of both sides",
        description="Draws what dvc.lock says: stages, what they read and make, and the version of each in the "
        "registry. Without a registry it shows DVC's names.",
    )
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="only what this file, folder or stage is connected with"
    )
    parser.add_argument("--upstream", action="store_true", help="only what PATH comes from")
    parser.add_argument("--downstream", action="store_true", help="only what comes from PATH")
    parser.add_argument(
        "--commits", action="store_true", help="every PATH of the past, and which commits' data made it"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--mermaid", action="store_true", help="as a Mermaid flowchart, which GitHub draws")
    form.add_argument("--svg", action="store_true", help="as a picture")
    form.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    if arguments.path is None and (arguments.upstream or arguments.downstream or arguments.commits):
        raise ProjectError("--upstream, --downstream and --commits ask about one artifact: `dvc-wandb show PATH …`.")
    if arguments.commits:
        return _show_past(pipeline, arguments)
    graph = Graph(pipeline.locked(), pipeline.added())
    if arguments.path is not None:
        graph = _connected(graph, arguments, pipeline.root)
    if not graph.contents and not graph.executions:
        command = remedies.for_stages_that_never_ran(pipeline.dvc)
        print(f"dvc-wandb: dvc.lock has nothing to draw yet; `{command}` fills it.", file=sys.stderr)
    registry = registry_names(pipeline, graph)
    if arguments.json:
        print(json.dumps(graph_text.facts(graph, registry), indent=2))
    elif arguments.mermaid:
        print(graph_text.mermaid(graph, registry))
        if limit := graph_text.mermaid_limit(graph):
            print(f"dvc-wandb: {limit}", file=sys.stderr)
    elif arguments.svg:
        print(svg(graph, registry, f"Lineage of {arguments.path or pipeline.root.name}"))
    else:
        print(graph_text.text(graph, registry, _width()))
    return 0


def _width() -> int:
    """The terminal's columns; where there is none, such as in a pipe, so many that nothing is cut."""
    return shutil.get_terminal_size((UNCUT, 24)).columns


def _connected(graph: Graph, arguments: argparse.Namespace, root: Path) -> Graph:
    """The part of the graph that is connected with the file, folder or stage asked for."""
    both = arguments.upstream == arguments.downstream
    if stages := graph.stages_without_outs(arguments.path):
        parts = [graph.leading_to(one) if both or arguments.upstream else Graph([one]) for one in stages]
    else:
        keys = find_nodes(graph, arguments.path, root)
        parts = [graph.upstream(keys)] if both or arguments.upstream else []
        parts += [graph.downstream(keys)] if both or arguments.downstream else []
    return parts[0].union(parts[-1])


def find_nodes(graph: Graph, name: str, root: Path) -> list[Key]:
    """The nodes called `name`, a path from the current folder or the project's root. Raises ProjectError."""
    here = os.path.relpath(Path.cwd() / name, root)
    if found := graph.find(here) or graph.find(name):
        return found
    known = sorted({key[0] for key in graph.contents})
    few = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise ProjectError(f"dvc.lock has nothing called '{name}'. It has: {few or 'nothing yet'}.")


def registry_names(pipeline: Pipeline, graph: Graph) -> graph_text.RegistryNames:
    """The registry's names for all of `graph`; none if it is away, which it prints."""
    try:
        connection = connect(pipeline.root, project_name(pipeline.root))
        registry = MirroredProject(connection)
        registry.load([content for content in graph.contents.values() if content.md5], graph.executions)
        versions = {key: registry.version_of(content) for key, content in graph.contents.items() if content.md5}
        runs = {one.key: registry.runs(one) for one in graph.executions}
    except RegistryUnavailableError as error:
        print(f"dvc-wandb: DVC's names only: {error_reason(error)}.", file=sys.stderr)
        return graph_text.RegistryNames()
    return graph_text.RegistryNames(
        connection.project_url,
        {key: version.name for key, version in versions.items() if version},
        {key: version.type for key, version in versions.items() if version},
        {key: found[0].id for key, found in runs.items() if found},
    )


# ---- across time ----


def _show_past(pipeline: Pipeline, arguments: argparse.Namespace) -> int:
    """Print each state of PATH, newest first, with its sources and the commit where each first appeared."""
    all_commits, first, states, known = Graph([]), {}, [], set()
    for commit in lock_history.commits(pipeline):
        graph_then = Graph(commit.executions, commit.added)
        all_commits.add(commit.executions, commit.added)
        for key in graph_then.contents:
            first.setdefault(key, commit)
        new = _same_path(pipeline, graph_then, arguments) - known
        states += [(key, all_commits.upstream([key])) for key in new]
        known |= new
    if not states:
        find_nodes(all_commits, arguments.path, pipeline.root)
    registry = registry_names(pipeline, all_commits)
    if arguments.json:
        states_as_json = [
            graph_text.facts(
                graph, registry, lambda key: {"commit": first[key].sha or None, "subject": first[key].subject}
            )
            | {"path": path, "md5": md5}
            for (path, md5), graph in reversed(states)
        ]
        print(json.dumps(states_as_json, indent=2))
        return 0
    width = _width()
    order = {commit.sha: at for at, commit in enumerate(dict.fromkeys(first.values()))}
    print("\n\n".join(_state(key, graph, first, order, registry, width) for key, graph in reversed(states)))
    return 0


def _same_path(pipeline: Pipeline, graph: Graph, arguments: argparse.Namespace) -> set[Key]:
    try:
        return {key for key in find_nodes(graph, arguments.path, pipeline.root) if key[1]}
    except ProjectError:
        return set()


def _state(
    key: Key,
    graph: Graph,
    first: dict[Key, lock_history.Commit],
    order: dict[str, int],
    registry: graph_text.RegistryNames,
    width: int,
) -> str:
    """The lines of one state: its names and commit, then each content upstream of it, oldest commit first."""
    lines = _lines(graph.content(key), first[key], registry, width, "")
    outs = {key_of(out) for one in graph.executions for out in one.outs}
    came = [one for one in graph.contents if one != key and (one in graph.readers or one not in outs)]
    for one in sorted(came, key=lambda one: (order[first[one].sha], one[0])):
        lines += _lines(graph.content(one), first[one], registry, width, "  ")
    return "\n".join(lines)


def _lines(
    content: Content, commit: lock_history.Commit, registry: graph_text.RegistryNames, width: int, indent: str
) -> list[str]:
    names = "  ".join(filter(None, [content.path, graph_text.short_md5(content.md5), registry.version(content)]))
    return [graph_text.truncate(f"{indent}{names}", width), graph_text.truncate(f"{indent}    since {commit}", width)]
