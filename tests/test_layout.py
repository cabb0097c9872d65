"""Imports flow one way: stages → dvc_wandb → wandb → HTTP → wandb_registry."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.working_tree import ROOT

SCRIPTS = {f"stages/{name}.py" for name in ("prepare", "train", "register", "evaluate", "promote")}
FORBIDDEN = {
    "stages": {"wandb_registry", "dvc"},
    "dvc_wandb": {"stages", "wandb_registry"},
    "wandb_registry": {"stages", "dvc_wandb", "wandb", "dvc"},
}
SEAMS = {("dvc_wandb/client/local_server.py", "wandb_registry")}
FILES = sorted(path.relative_to(ROOT) for package in FORBIDDEN for path in (ROOT / package).rglob("*.py"))


def imported_roots(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_flow_one_way(path: Path):
    for module in imported_roots(ast.parse((ROOT / path).read_text())):
        allowed = module not in FORBIDDEN[path.parts[0]] or (path.as_posix(), module) in SEAMS
        assert allowed, f"{path} imports {module}: data flows stages → dvc_wandb → wandb → wandb_registry"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_can_be_read_in_a_sitting(path: Path):
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= (120 if path.as_posix() in SCRIPTS else 400)


def test_the_benchmarks_contender_without_a_mirror_can_run_every_stage(clone: Clone):
    """It lacked what `promote` imports, and the benchmark ended at its second contender."""
    (clone.path / "dvc_wandb/recorder/tracked_run.py").write_text((ROOT / "benchmarks/untracked.py").read_text())
    clone.run("python", "-c", f"import {', '.join(name[:-3].replace('/', '.') for name in sorted(SCRIPTS))}")
