"""A DVC project whose modules have the names of ours, or names that anybody may choose: none hides another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

NAMES = ("registry", "lineage", "errors", "client")
IMPORTED = """
import pathlib
pathlib.Path(__file__).with_suffix(".imported").touch()
raise SystemExit("a module of the project was imported by accident")
"""
STAGES = """
stages:
  fit:
    cmd: python fit.py
    deps: [fit.py]
    outs: [model.txt]
  count:
    cmd: wc -c < model.txt > count.txt
    deps: [model.txt]
    outs: [count.txt]
    meta: {wandb: {tables: "shown:tables"}}
"""
FIT = """
from dvc_wandb import tracked_run

with tracked_run("fit", live=True) as run:
    run.wandb_run().log({"loss": 0.5})
    run.out("model.txt").write_text("a model")
"""
SHOWN = """
def tables(*paths):
    return {}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = project_in(tmp_path_factory.mktemp("shadowing") / "project")
    made.env.pop("PYTHONPATH", None)
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    for name in NAMES:
        (made.path / f"{name}.py").write_text(IMPORTED)
    for name, text in {"dvc.yaml": STAGES, "fit.py": FIT, "shown.py": SHOWN, ".gitignore": "/.registry/\n"}.items():
        (made.path / name).write_text(text)
    yield made
    daemon.stop(made.path / ".registry")


def imported(project: Clone) -> list[Path]:
    return list(project.path.glob("*.imported"))


def test_a_tracked_stage_mirror_verify_and_the_registry_import_none_of_the_projects_modules(project: Clone):
    """In a project with a `registry.py`, `python -m` once ran that file instead of this program's package."""
    project.run("dvc", "repro")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Two stages")
    assert "count.txt:v0" in project.run("dvc-wandb", "mirror").text
    assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify", "--deep").text
    assert "all equal to the byte" in project.run("dvc-wandb", "reproduce").text
    assert project.run("wandb-registry", "check").code == 0
    assert project.run("python", "-m", "dvc_wandb", "verify").code == 0
    assert imported(project) == []
