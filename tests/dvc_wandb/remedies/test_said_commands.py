"""What a message says to type is typed here, in the state in which it appears: in projects that do not promote."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from dvc_wandb.recorder.console import LIMIT
from tests.conftest import Clone, account
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

TALKING = f"""
from dvc_wandb import tracked_run
with tracked_run("talk") as run:
    print("first")
    print("-" * {LIMIT})
    print("last")
    run.out("said.txt").write_text("said")
"""

FROZEN = """
stages:
  one: {cmd: cp data.txt one.txt, frozen: true, deps: [data.txt], outs: [one.txt]}
  two: {cmd: cp one.txt two.txt, deps: [one.txt], outs: [two.txt]}
  three: {cmd: cp one.txt three.txt, deps: [one.txt], outs: [three.txt]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Clone]:
    """An empty project."""
    made = project_in(tmp_path / "project")
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    yield made
    daemon.stop(made.path / ".registry")


def said(text: str, pattern: str = r"`(.+?)`") -> str:
    """The one command in a text."""
    (command,) = re.findall(pattern, text)
    return command


def test_a_log_that_is_too_long_is_kept_whole_by_what_is_said(project: Clone, monkeypatch: pytest.MonkeyPatch):
    """`dvc repro` was said, which doesn't run again what hasn't changed."""
    (project.path / "talk.py").write_text(TALKING)
    (project.path / "dvc.yaml").write_text("stages: {talk: {cmd: python talk.py, deps: [talk.py], outs: [said.txt]}}")
    project.run("dvc", "repro", "--quiet")
    server = account(project)
    monkeypatch.setenv("WANDB_BASE_URL", server["WANDB_BASE_URL"])
    (run,) = wandb.Api(api_key=server["WANDB_API_KEY"]).runs("local/project", {"display_name": "talk"})
    with run.file("output.log").download(str(project.path.parent)) as log:
        told = log.read().splitlines()[-1]
    project.run("sh", "-c", said(told).replace("FILE", "log.txt"))
    assert re.search(r"^first\n-+\nlast$", project.read("log.txt"), re.M)
    assert "didn't change" in project.run("dvc", "repro").text
    assert "agree" in project.run("dvc-wandb", "verify").text


def test_a_flowchart_with_too_many_edges_is_drawn_by_what_is_said(project: Clone):
    names = [f"{at}.txt" for at in range(401)]
    for name in names:
        (project.path / name).touch()
    (project.path / "dvc.yaml").write_text(f"stages: {{join: {{cmd: echo 1 > all, deps: {names}, outs: [all]}}}}")
    project.env["WANDB_MODE"] = "disabled"
    project.run("dvc", "repro", "--quiet")
    for words in ((), ("all", "--upstream")):
        told = project.run("dvc-wandb", "show", *words, "--mermaid").text
        assert "all 402 edges are more than" in told
        drawn = project.run("sh", "-c", said(told)).text
        assert all(f">{name}<" in drawn for name in names)


def test_two_projects_that_share_a_name_are_parted_by_what_is_said(project: Clone):
    """An out of the same name was a version of the other project's."""
    for name in ("one", "two"):
        here = Clone(project.path / name, project.env)
        here.path.mkdir()
        here.run("dvc", "init", "--quiet", "--subdir")
        (here.path / "params.yaml").write_text("project: same\nrate: 1\n")
        (here.path / "dvc.yaml").write_text(f"stages: {{make: {{cmd: echo {name} > out.txt, outs: [out.txt]}}}}")
        here.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.env["REGISTRY_DIR"] = str(project.path / ".registry")
    two = Clone(project.path / "two", project.env)
    for name in ("one", "two"):
        told = Clone(project.path / name, project.env).run("dvc-wandb", "mirror").text
    assert "one has the same `project` in its params.yaml" in told
    assert "out.txt:v1" in told
    (two.path / "params.yaml").write_text("rate: 1\n")  # without that line
    told = two.run("dvc-wandb", "mirror").text
    assert "has the same" not in told
    assert "out.txt:v0" in told


def test_a_frozen_stage_runs_by_what_is_said(project: Clone):
    """`dvc repro` was said, which leaves it alone, or ends with `missing data`."""
    (project.path / "data.txt").write_text("1\n")
    (project.path / "dvc.yaml").write_text(FROZEN)

    def type_what(*words: str) -> str:
        told = project.run("dvc-wandb", *words, ok=False).text
        command = re.search(r"`(dvc .+?)`", told)
        return command[1] if command and project.run("sh", "-c", command[1]) else ""

    assert type_what("show") == "dvc unfreeze one && dvc repro && dvc freeze one"
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    (project.path / "data.txt").write_text("2\n")
    assert type_what("why", "two.txt") == "dvc unfreeze one && dvc repro two && dvc freeze one"
    assert project.read("two.txt") == "2\n"
    project.git("commit", "--quiet", "--all", "--message", "two")
    shutil.rmtree(project.path / ".dvc/cache")
    for name in ("one.txt", "two.txt", "three.txt"):
        (project.path / name).unlink()
    typed = [type_what("verify") for _ in range(4)]
    assert typed[-1] == "", typed
    project.run("dvc-wandb", "mirror")
    assert "3 stages, 6 edges" in project.run("dvc-wandb", "verify").text
    assert project.git("diff", "dvc.yaml") == ""
