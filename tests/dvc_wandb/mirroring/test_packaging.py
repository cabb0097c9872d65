"""Another DVC project: the wheel in an environment of its own, its stage scripts untouched."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import working_tree
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from tests.working_tree import ROOT
from wandb_registry import daemon

pytestmark = pytest.mark.slow

PACKAGES = ("dvc_wandb", "wandb_registry")
STAGES = """
stages:
  count:
    cmd: wc -l < words.txt > count.txt
    deps: [words.txt]
    outs: [count.txt]
  double:
    cmd: cat count.txt count.txt > twice.txt
    deps: [count.txt]
    outs: [twice.txt]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git has, so that the working tree stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    source = working_tree.copy(folder / "source", *PACKAGES, "pyproject.toml")
    built = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(built, check=True, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def words(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A project of shell commands, and an environment with the wheel; its other packages are those of the tests."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "shared.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    python = environment / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    project = project_in(tmp_path_factory.mktemp("words") / "project")
    del project.env["PYTHONPATH"]
    project.env["PATH"] = f"{environment}/bin:{project.env['PATH']}"
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "words.txt").write_text("one\ntwo\n")
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Words")
    yield project
    daemon.stop(project.path / ".registry")


def test_the_wheel_holds_all_that_is_no_python_and_no_pipeline(wheel: Path):
    held = set(zipfile.ZipFile(wheel).namelist())
    assert set(working_tree.files(*PACKAGES)) <= held
    assert not {name for name in held if name.startswith(("stages/", "tests/", "benchmarks/"))}


def test_the_commands_come_from_the_wheel(words: Clone):
    where = words.run(
        "python", "-P", "-c", "import dvc_wandb, wandb_registry; print(dvc_wandb.__file__, wandb_registry.__file__)"
    ).text
    assert str(ROOT) not in where
    assert words.run("dvc-wandb", "--help").text.startswith("usage: dvc-wandb ")
    assert words.run("wandb-registry", "--help").text.startswith("usage: wandb-registry ")


def test_init_prints_what_is_needed_and_changes_nothing(words: Clone):
    before = {path: path.read_bytes() for path in words.path.glob("*") if path.is_file()}
    shown = words.run("dvc-wandb", "init").text
    assert (
        "  .gitignore: the embedded registry's data are no part of the project\n    /.registry/\n    /wandb/\n" in shown
    )
    assert "    project: project\n" in shown
    assert "  count:\n        meta: {wandb: {job_type: count}}\n" in shown
    assert "      count_txt: {path: count.txt, type: dataset}\n" in shown
    assert {path: path.read_bytes() for path in words.path.glob("*") if path.is_file()} == before


def test_what_init_prints_is_what_dvc_takes_and_then_nothing_is_needed(words: Clone):
    needed, wished = words.run("dvc-wandb", "init").text.split("If you like")
    assert ".gitignore" in needed
    added = [line[4:] for line in wished.splitlines() if line.startswith("    ")]
    (words.path / ".gitignore").write_text(words.read(".gitignore") + "/.registry/\n/wandb/\n")
    (words.path / "params.yaml").write_text(next(line for line in added if line.startswith("project:")) + "\n")
    stages = STAGES
    for name in ("count", "double"):
        stages = stages.replace(f"  {name}:\n", f"  {name}:\n    meta: {{wandb: {{job_type: {name}}}}}\n")
    artifacts = added[added.index("artifacts:") :]
    (words.path / "dvc.yaml").write_text(stages + "\n".join(artifacts[:3]) + "\n")
    try:
        assert "Data and pipelines are up to date" in words.run("dvc", "status").text
        shown = words.run("dvc-wandb", "init").text
    finally:
        words.git("checkout", "--", ".")
        (words.path / "params.yaml").unlink()
    assert "Needed: nothing" in shown
    assert "If you like: nothing" in shown


def test_a_foreign_project_is_mirrored_verified_shown_and_reported(words: Clone):
    scripts = words.git("ls-files", "-s")
    assert "count.txt:v0" in words.run("dvc-wandb", "mirror").text
    assert "dvc.lock and the registry agree" in words.run("dvc-wandb", "verify").text
    assert "twice.txt:v0" in words.run("dvc-wandb", "show").text
    report = words.run("dvc-wandb", "report", "--html", "report.html").text
    assert re.search(r"^\| \[double\]\(http://127\S+/runs/\S+\) \| twice\.txt \|", report, re.MULTILINE)
    assert "all equal to the byte" in words.run("dvc-wandb", "reproduce").text
    assert words.git("ls-files", "-s") == scripts
    page = words.run("wandb-registry", "open-url").text.strip()
    assert page.startswith("http://127.0.0.1:")


def test_in_a_folder_that_is_no_project_init_says_how_to_begin(words: Clone, tmp_path: Path):
    shown = Clone(tmp_path, words.env).run("dvc-wandb", "init").text
    assert "    git init\n" in shown
    assert "    dvc init\n" in shown
