"""What is known of a project without DVC."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.settings import projects_of_same_name, tmp_folder


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


def test_a_project_without_a_folder_to_write_to_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It ended in a traceback where the folder for temporary files can't be written either."""
    (tmp_path / ".dvc").touch()  # no folder can be made in it, by nobody
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ".dvc"))
    with pytest.raises(ProjectError, match=r"^neither .*/\.dvc/tmp nor .* can be written .*: set TMPDIR\.$"):
        tmp_folder(tmp_path)


def test_a_link_of_another_user_is_no_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It was followed to a folder of one's own."""
    if os.getuid() != 0:
        pytest.skip("only root can make another user's link")
    (tmp_path / ".dvc").touch()
    (tmp_path / "mine").mkdir()
    link = tmp_path / f"dvc-wandb-{os.getuid()}"
    link.symlink_to(tmp_path / "mine")
    os.lchown(link, 65534, 65534)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ProjectError, match="is another user's"):
        tmp_folder(tmp_path)
