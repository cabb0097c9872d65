"""What is known of a project without DVC."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dvc_wandb.project.settings import projects_of_same_name


def test_projects_of_a_repository_that_share_a_wandb_project_by_their_params_are_named(tmp_path: Path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for folder, params in {
        "a": "project: shop",
        "b/c": "project: shop",
        "d": "project: other",
        "e": "x: 1",
        "f": "{",
    }.items():
        (tmp_path / folder / ".dvc").mkdir(parents=True)
        (tmp_path / folder / ".dvc/config").touch()
        (tmp_path / folder / "params.yaml").write_text(params)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    assert projects_of_same_name(tmp_path / "a") == ["b/c"]
    assert projects_of_same_name(tmp_path / "b/c") == ["a"]
    assert projects_of_same_name(tmp_path / "d") == projects_of_same_name(tmp_path / "e") == []
