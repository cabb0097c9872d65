"""Projects in states that are rare and real: odd names, files that may not be read, a cache that moved, an old lock."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dvc_wandb.project import remedies
from dvc_wandb.project.pipeline import Pipeline
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

# As root, what a file's mode forbids is forbidden too
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
STAGES = """
stages:
  one: {cmd: mkdir made && cp data.txt made/x && cp data.txt one.txt, deps: [data.txt, code], outs: [made, one.txt]}
  two: {cmd: cat one.txt made/x added/x > two.txt, deps: [one.txt, made, added], outs: [two.txt]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Clone]:
    """Outs, added data and code, each a file and a folder; run and committed, and not mirrored."""
    made = project_in(tmp_path / "project")
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    for name in ("data.txt", "code/x", "added/x"):
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).write_text(f"{name}\n")
    (made.path / "dvc.yaml").write_text(STAGES)
    made.run("dvc", "add", "--quiet", "added")
    yield made
    daemon.stop(made.path / ".registry")


def run_and_commit(project: Clone) -> None:
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_what_may_not_be_read_in_the_workspace_is_taken_from_where_else_it_is(project: Clone):
    """One such file ended `mirror` and `verify`."""
    run_and_commit(project)
    for name in ("made/x", "added/x", "code/x", "one.txt", "data.txt"):
        (project.path / name).touch()  # DVC forgets what it knew
        (project.path / name).chmod(0)
    project.run("dvc-wandb", "mirror", under=AS_ANYBODY)
    assert "2 stages, 8 edges" in project.run("dvc-wandb", "verify", under=AS_ANYBODY).text
    daemon.stop(project.path / ".registry")
    shutil.rmtree(project.path / ".registry")
    shutil.rmtree(project.path / ".dvc/cache")
    refused = project.run("dvc-wandb", "mirror", under=AS_ANYBODY, ok=False).text
    assert f"{project.path}/made/x can't be used: Permission denied" in refused
    assert "[Errno" not in refused


def test_links_into_a_cache_that_was_moved_stop_nothing(project: Clone, tmp_path: Path):
    """`No such file or directory`, of DVC's own too, until somebody linked all files anew."""
    project.run("dvc", "cache", "dir", str(tmp_path / "before"))
    project.run("dvc", "config", "cache.type", "symlink")
    run_and_commit(project)
    (tmp_path / "before").rename(tmp_path / "after")
    assert "one.txt itself" in project.run("dvc-wandb", "why", "two.txt").text
    project.run("dvc", "cache", "dir", str(tmp_path / "after"))
    project.run("dvc-wandb", "mirror")
    assert "2 stages, 8 edges" in project.run("dvc-wandb", "verify").text


@pytest.mark.parametrize("name", ["-dash", "star*", "q'uote #1", "co:lon", "日本"])
def test_a_file_with_an_odd_name_is_brought_back_by_what_is_said(project: Clone, name: str):
    """`dvc checkout -dash` is an option of DVC's, and `git checkout HEAD -- 'star*'` takes all that begin so."""
    typed = shlex.quote(f"./{name}")
    for folder in ("in git", "in dvc"):
        (project.path / folder).mkdir()
        (project.path / folder / name).write_text("kept\n")
        (project.path / folder / f"{name}-beside").write_text("kept\n")
    Clone(project.path / "in dvc", project.env).run("dvc", "add", "--quiet", f"./{name}")
    stage = {"cmd": f"echo kept > {typed}", "deps": [f"in git/{name}"], "outs": [name]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}}))
    run_and_commit(project)
    for path in (name, f"in git/{name}", f"in dvc/{name}"):
        (project.path / path).unlink()
        (project.path / "in git" / f"{name}-beside").write_text("mine\n")
        (command,) = re.findall(r"`(.+?)` brings it back", remedies.for_missing_file(Pipeline(project.path).dvc, path))
        project.run("sh", "-c", command)
        assert project.read(path) == "kept\n"
    assert project.read(f"in git/{name}-beside") == "mine\n"
    project.run("dvc-wandb", "mirror")
    assert "1 stage, 2 edges" in project.run("dvc-wandb", "verify").text


def test_a_stage_of_dvc_1_and_a_lock_of_another_schema_are_left_out_of_the_past(project: Clone):
    """What DVC can't read at a commit is told, and the others are there."""
    run_and_commit(project)
    lock = project.read("dvc.lock")
    (project.path / "dvc.lock").write_text(lock.partition("stages:\n")[2].replace("\n  ", "\n")[2:])
    project.git("commit", "--quiet", "--all", "--message", "As DVC 1 wrote it")
    assert "validation failed" in project.run("dvc-wandb", "verify", ok=False).text
    (project.path / "dvc.lock").write_text(lock)
    project.git("commit", "--quiet", "--all", "--message", "As it was")
    assert (
        "left out: DVC can't read this project at the commit"
        in project.run("dvc-wandb", "show", "--commits", "two.txt", env={"WANDB_MODE": "disabled"}).text
    )
    mirrored = project.run("dvc-wandb", "mirror", "--all-commits", ok=False).text
    assert "DVC can't read this project at the commit" in mirrored
    assert "2 stages, 8 edges" in project.run("dvc-wandb", "verify").text
