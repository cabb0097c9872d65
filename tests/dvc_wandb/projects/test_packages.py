"""Packages as parameters: `init` offers them, `dvc-wandb lock` keeps their versions, `why` names what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dvc_wandb.conftest import project_in

pytestmark = pytest.mark.slow

STAGES = """
stages:
  fit:
    cmd: python fit.py
    deps: [fit.py, helpers.py]
    outs: [model.txt]
"""
OFFERED = "      fit:\n        params: [{packages.yaml: [numpy, pyyaml]}]\n"


def test_a_stage_runs_again_when_a_package_that_it_imports_changes_and_why_names_it(tmp_path: Path):
    """What it imports is read from its code, at any depth; `yaml` is found as pyyaml, by what is installed."""
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "fit.py").write_text("import helpers\nopen('model.txt', 'w').write('1')\n")
    (project.path / "helpers.py").write_text("import json, yaml\nimport numpy as np\n")
    (project.path / "requirements.txt").write_text("flask==3.0\nnumpy==2.4\nPyYAML==6.0.3\n")
    offered = project.run("dvc-wandb", "init").text
    assert OFFERED in offered
    assert "    dvc-wandb lock\n" in offered
    with_params = STAGES + "    params: [{packages.yaml: [numpy, pyyaml]}]\n"
    (project.path / "dvc.yaml").write_text(with_params)
    assert "packages.yaml: 2 packages as requirements.txt has them, 2 changed" in project.run("dvc-wandb", "lock").text
    assert project.read("packages.yaml").endswith('numpy: "2.4"\npyyaml: "6.0.3"\n')
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "A model")
    (project.path / "requirements.txt").write_text("flask==3.1\nnumpy==2.5\nPyYAML==6.0.3\n")
    assert project.run("dvc-wandb", "lock").text.startswith("numpy: 2.4 → 2.5\npackages.yaml: 2 packages")
    assert project.run("dvc", "repro").ran == ["fit"]
    assert 'packages.yaml numpy: "2.4" → "2.5"' in project.run("dvc-wandb", "why", "model.txt").text
    by_hand = "numpy: 2.5\npyyaml: 6.0.3\n"  # says the same
    (project.path / "packages.yaml").write_text(by_hand)
    assert "0 changed" in project.run("dvc-wandb", "lock").text
    assert project.read("packages.yaml") == by_hand


def test_what_python_compiles_in_a_folder_that_a_stage_reads_is_offered_to_be_ignored(tmp_path: Path):
    """DVC took it for a part of the folder, so no clone had the same, and no statement about it could be reproduced."""
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "lib").mkdir()
    (project.path / "lib/words.py").write_text("WORD = 'one'\n")
    (project.path / "dvc.yaml").write_text(
        "stages: {say: {cmd: python say.py, deps: [say.py, lib], outs: [said.txt]}}\n"
    )
    (project.path / "say.py").write_text("from lib.words import WORD\nopen('said.txt', 'w').write(WORD)\n")
    project.run("dvc", "repro", "--quiet", env={"PYTHONDONTWRITEBYTECODE": ""})
    offered = "  .dvcignore: DVC takes what Python compiles in lib for a part of it"
    assert offered in project.run("dvc-wandb", "init").text
    with (project.path / ".dvcignore").open("a") as file:
        file.write("__pycache__/\n")  # as it was said
    assert offered not in project.run("dvc-wandb", "init").text
