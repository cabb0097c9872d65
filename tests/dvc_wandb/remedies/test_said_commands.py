"""What a message says to type is typed here, in the state in which it appears: in projects that do not promote."""

from __future__ import annotations

import re
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
