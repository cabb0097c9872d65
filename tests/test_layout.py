"""Imports flow one way: between packages, folders, and the files of a folder. Files and folders are small.

stages → dvc_wandb → wandb → HTTP → wandb_registry
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import yaml

from tests import working_tree
from tests.conftest import Clone
from tests.working_tree import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SCRIPTS = {f"stages/{name}.py" for name in STAGES}
FORBIDDEN = {
    "stages": {"wandb_registry", "dvc"},
    "dvc_wandb": {"stages", "wandb_registry"},
    "wandb_registry": {"stages", "dvc_wandb", "wandb", "dvc"},
    "dvc_wandb/project": {"wandb"},
    "dvc_wandb/provenance": {"wandb"},
    "dvc_wandb/client": {"dvc"},
}
# Where the bridge meets the embedded registry: it starts one, and draws as the registry's pages do
SEAMS = {"dvc_wandb/client/local_server.py": "wandb_registry", "dvc_wandb/report": "wandb_registry.drawing"}
# Each layer imports those below it, and nothing beside it
LAYERS = {
    "dvc_wandb": [
        {"__main__"},
        {"cli"},
        {"promotion", "parallel"},
        {"recorder"},
        {"report"},
        {"sync"},
        {"provenance"},
        {"production"},
        {"client", "project"},
        {"content_alias"},
        {"errors", "interrupts", "machine", "processes", "temporary_folders"},
    ],
    "wandb_registry": [
        {"__main__"},
        {"cli"},
        {"serve", "move"},
        {"maintenance"},
        {"app"},
        {"web"},
        {"http", "graphql"},
        {"store"},
        {"model"},
        {"daemon", "workers"},
        {"listener"},
        {"store_folder"},
        {"storage"},
        {"db"},
        {"drawing", "openid"},
        {"defaults", "errors", "file_system", "machine"},
    ],
}
MOST_FILES = 16
LONGEST_LINE = 160  # characters, of a template


def module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


FILES = [path for path in working_tree.files(*("stages", "dvc_wandb", "wandb_registry")) if path.endswith(".py")]
MODULES = {module(path): path for path in FILES}
TEMPLATES = [path for path in working_tree.files("wandb_registry/web/templates") if path.endswith(".html")]


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All of a file's syntax but what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from nodes(node)


def imports(path: str) -> Iterator[str]:
    """What a file imports, at its top or in a function: modules where they are ours, else names as they stand."""
    for node in nodes(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively; the others name the package"
            found = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name if name in MODULES else str(node.module) for name in found)


def is_in(place: str, name: str, by: str = ".") -> bool:
    return f"{name}{by}".startswith(f"{place}{by}")


EDGES = [(module(path), name) for path in FILES for name in imports(path) if name in MODULES]


@pytest.mark.parametrize("path", FILES)
def test_imports_flow_one_way(path: str):
    forbidden = {name for place, names in FORBIDDEN.items() if is_in(place, path, "/") for name in names}
    allowed = [name for place, name in SEAMS.items() if is_in(place.removesuffix(".py"), path.removesuffix(".py"), "/")]
    for name in imports(path):
        assert name.split(".")[0] not in forbidden or any(is_in(one, name) for one in allowed), f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("stages/")])
def test_a_stage_sees_the_public_face_of_the_bridge(path: str):
    assert {name for name in imports(path) if is_in("dvc_wandb", name)} <= {"dvc_wandb", "dvc_wandb.production"}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_depends_on_all_that_it_imports(stage: dict[str, Any]):
    """`train` read the digits by a module that was a dep of `prepare` alone: changing it re-ran nothing."""
    script = stage["cmd"].removeprefix("python -m ")
    graph = nx.DiGraph([edge for edge in EDGES if is_in("stages", edge[1])])
    imported = {MODULES[name] for name in nx.descendants(graph, script)}
    assert {MODULES[script], "stages/__init__.py", *imported} <= set(stage["deps"])


@pytest.mark.parametrize("package", LAYERS)
def test_a_layer_imports_those_below_it(package: str):
    floor = {name: at for at, layer in enumerate(LAYERS[package]) for name in layer}
    for name, imported in EDGES:
        if is_in(package, name) and is_in(package, imported) and package not in (name, imported):
            above, below = name.split(".")[1], imported.split(".")[1]
            assert above == below or floor[above] < floor[below], f"{name} imports {imported}"


@pytest.mark.parametrize("folder", sorted({str(Path(path).parent) for path in FILES}))
def test_the_files_and_folders_of_a_folder_have_an_order(folder: str):
    """No circle: whoever reads them from the top meets nothing that comes back."""
    place = folder.replace("/", ".")

    def child(name: str) -> str:
        return name.removeprefix(f"{place}.").partition(".")[0]

    inside = [pair for pair in EDGES if all(is_in(place, name) and name != place for name in pair)]
    graph = nx.DiGraph((child(one), child(other)) for one, other in inside if child(one) != child(other))
    circles = [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]
    assert not circles, [pair for pair in inside if {*map(child, pair)} <= {*circles[0]}]


@pytest.mark.parametrize("folder", sorted({str(Path(path).parent) for path in FILES}))
def test_a_folder_is_seen_at_a_glance_and_says_what_it_is_for(folder: str):
    assert len([path for path in FILES if str(Path(path).parent) == folder]) <= MOST_FILES
    assert ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))


@pytest.mark.parametrize("path", FILES)
def test_a_file_can_be_read_in_a_sitting(path: str):
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= (120 if path in SCRIPTS else 400)


@pytest.mark.parametrize("path", TEMPLATES)
def test_a_line_of_a_template_can_be_reviewed(path: str):
    assert not [line for line in (ROOT / path).read_text().splitlines() if len(line) > LONGEST_LINE]


def test_drawing_is_pure():
    """Reports and pages share it, so it needs nothing but the standard library."""
    inside = {name for path in FILES if is_in("wandb_registry/drawing", path, "/") for name in imports(path)}
    foreign = {name for name in inside if name.split(".")[0] not in sys.stdlib_module_names}
    assert all(is_in("wandb_registry.drawing", name) for name in foreign)


def test_the_benchmarks_contender_without_a_mirror_can_run_every_stage(clone: Clone):
    """It lacked what `promote` imports, and the benchmark ended at its second contender."""
    (clone.path / "dvc_wandb/recorder/tracked_run.py").write_text((ROOT / "benchmarks/untracked.py").read_text())
    clone.run("python", "-c", f"import {', '.join(name[:-3].replace('/', '.') for name in sorted(SCRIPTS))}")
