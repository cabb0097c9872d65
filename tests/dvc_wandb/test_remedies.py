"""What messages say of a file that is gone is typed here, for each way in which a file can be kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dvc_wandb.project import remedies
from dvc_wandb.project.pipeline import Pipeline
from tests.conftest import Clone
from tests.dvc_wandb import foreign
from tests.dvc_wandb.conftest import project_in

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: mkdir made && cat code.py "in git/a b.txt" added.bin ignored.txt > made/one.txt && cp made/one.txt seen.txt
    deps: [code.py, in git, added.bin, ignored.txt]
    outs:
      - made
      - seen.txt: {cache: false}
  use:
    cmd: cp made/one.txt used.txt
    deps: [made/one.txt]
    outs: [used.txt]
"""
ADDED = ("added.bin",)
IMPORTED = ("imported.csv", "fetched.csv")  # from another repository, and by a path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Files that git keeps, one by itself and one in a folder, that DVC keeps, and that nobody keeps; a remote."""
    project = project_in(tmp_path_factory.mktemp("kept") / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "in git").mkdir()
    for name in ("code.py", "in git/a b.txt", "added.bin", "ignored.txt"):
        (project.path / name).write_text(f"{name}\n")
    (project.path / ".gitignore").write_text("/ignored.txt\n")
    (project.path / "dvc.yaml").write_text(STAGES)
    project.run("dvc", "add", "--quiet", *ADDED)
    foreign.library(project, "library")
    project.run("dvc", "import", "--quiet", "../library", "shared.csv", "-o", "imported.csv")
    project.run("dvc", "import-url", "--quiet", str(project.path.parent / "library/lib.txt"), "fetched.csv")
    project.run("dvc", "remote", "add", "--quiet", "--default", "near", str(project.path.parent / "remote"))
    project.run("dvc", "repro", "--quiet")
    project.run("dvc", "push", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    return project


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("path", "command", "cache"),
    [
        ("code.py", "git checkout HEAD -- code.py", True),
        ("in git/a b.txt", "git checkout HEAD -- 'in git/a b.txt'", True),
        ("in git", "git checkout HEAD -- 'in git'", True),
        ("added.bin", "dvc checkout added.bin", True),
        ("made", "dvc checkout made", True),
        ("made/one.txt", "dvc checkout made", True),
        ("seen.txt", "dvc repro make", True),
        ("imported.csv", "dvc checkout imported.csv", True),
        ("fetched.csv", "dvc checkout fetched.csv", True),
        ("added.bin", "dvc pull added.bin", False),
        ("imported.csv", "dvc pull imported.csv", False),
        ("fetched.csv", "dvc pull fetched.csv", False),
        ("made", "dvc repro make", False),
    ],
)
def test_a_file_that_is_gone_is_brought_back_by_what_is_said(kept: Clone, path: str, command: str, cache: bool):
    """`dvc repro` was said to make what git keeps, and `git checkout` to bring what git ignores."""
    remove(kept.path / path)
    if not cache:
        shutil.rmtree(kept.path / ".dvc/cache")
    said = remedies.for_missing_file(Pipeline(kept.path).dvc, path)
    assert re.findall(r"`(.+?)`", said) == [command]
    kept.run("sh", "-c", command)
    assert (kept.path / path).exists()
    assert kept.git("status", "--porcelain") == ""


def test_what_nobody_keeps_is_said_to_be_nobodys(kept: Clone):
    assert remedies.for_missing_file(Pipeline(kept.path).dvc, "ignored.txt").startswith("Neither git nor DVC keeps it")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("code.py", "`git checkout HEAD -- code.py && dvc repro make` takes the one that git has."),
        ("in git", "`git checkout HEAD -- 'in git' && dvc repro make` takes the one that git has."),
        ("ignored.txt", "Put it back, or another one and run `dvc repro make`."),
        ("imported.csv", "`dvc update imported.csv.dvc` imports it anew, where its source is to be had."),
    ],
)
def test_bytes_that_are_nowhere_and_not_here_either(kept: Clone, path: str, said: str):
    target, aside = kept.path / path, kept.path.parent / "aside"
    target.rename(aside)
    assert remedies.for_missing_bytes(Pipeline(kept.path).dvc, path) == said
    if "Put it back" in said:
        aside.rename(target)
    for command in re.findall(r"`(.+?)`", said):
        kept.run("sh", "-c", command)
    assert target.exists()
    if aside.exists():
        remove(aside)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("code.py", "dvc repro make"),
        ("ignored.txt", "dvc repro make"),
        ("added.bin", "dvc commit --force added.bin.dvc && dvc repro make"),
        ("seen.txt", "dvc repro make"),
        ("made", "dvc repro make"),
        ("used.txt", "dvc repro use"),
        ("imported.csv", "dvc update imported.csv.dvc"),
        ("fetched.csv", "dvc update fetched.csv.dvc"),
    ],
)
def test_bytes_that_are_nowhere_are_replaced_by_what_is_said(kept: Clone, path: str, command: str):
    """After it, dvc.lock names bytes that there are."""
    target = kept.path / path
    target = next(target.iterdir()) if target.is_dir() else target
    target.unlink()
    target.write_text(f"other bytes of {path}\n")
    said = remedies.for_missing_bytes(Pipeline(kept.path).dvc, path)
    assert command in re.findall(r"`(.+?)`", said)
    kept.run("sh", "-c", command)
    pipeline = Pipeline(kept.path)
    contents = [one for execution in pipeline.locked() for one in (*execution.deps, *execution.outs)]
    (named,) = {one.md5: one for one in [*contents, *pipeline.added()] if one.path == path}.values()
    assert pipeline.files(named)


@pytest.mark.parametrize(
    ("folder", "begin", "command"),
    [
        ("project", None, "git init && dvc init"),
        ("project", "project", "dvc init"),
        ("repository/inside", "repository", "dvc init --subdir"),
    ],
)
def test_where_there_is_no_project_one_is_made_by_what_is_said(
    tmp_path: Path, folder: str, begin: str | None, command: str
):
    """`dvc init` was said everywhere; it works at git's root alone."""
    here = project_in(tmp_path / folder)
    if begin:
        here.run("git", "init", "--quiet", str(tmp_path / begin))
    refused = here.run("dvc-wandb", "mirror", ok=False)
    assert refused.code == 1
    assert re.findall(r"`(.+?)`", refused.text)[0] == command
    here.run("sh", "-c", command)
    assert (here.path / ".dvc").is_dir()


@pytest.mark.parametrize("in_git", [True, False])
def test_a_broken_list_of_packages_is_mended_by_what_is_said(tmp_path: Path, in_git: bool):
    here = project_in(tmp_path / "project")
    here.git("init", "--quiet")
    here.run("dvc", "init", "--quiet")
    (here.path / "requirements.txt").write_text("numpy==1.26.4\n")
    (here.path / "packages.yaml").write_text("numpy: 1.26.4\n")
    here.git("add", *(["packages.yaml"] if in_git else []), ".dvc")
    here.git("commit", "--quiet", "--message", "one")
    (here.path / "packages.yaml").write_text("[numpy\n")
    said = here.run("dvc-wandb", "lock", ok=False)
    assert said.code == 1
    if in_git:
        here.run("sh", "-c", re.findall(r"`(.+?)`", said.text)[0])
    else:
        assert "Remove it, and this command makes it anew." in said.text
        (here.path / "packages.yaml").unlink()
    here.run("dvc-wandb", "lock")
