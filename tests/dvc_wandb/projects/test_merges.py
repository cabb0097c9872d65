"""A merge that git leaves to a person: what is wrong is told whole, and what the messages say settles it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.dvc_wandb import promoting
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.promoting import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A clone that decided on `three`, and pulls the `two` that another put in production first."""
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    first = promoting.make(tmp_path / "first")
    (first.path / "note.txt").write_text("of both\n")
    first.commit("A note")
    first.git("push", "--quiet")
    second = first.cloned(tmp_path / "second", REGISTRY_DIR=str(first.path / ".registry"))
    first.git("rm", "--quiet", "note.txt")
    first.decide("two")
    first.git("push", "--quiet")
    second.write("three")
    (second.path / "note.txt").write_text("of mine\n")  # git checkout takes no side of what one side deleted
    second.commit("Three")
    assert "CONFLICT" in second.run("git", "pull", "--no-rebase", ok=False).text
    second.said["two"] = first.run("cat", "registered.txt")
    yield second
    first.run("wandb-registry", "stop", ok=False)


def test_added_data_is_that_of_the_side_that_is_taken(tmp_path: Path):
    """`dvc repro` was said, which locks what the workspace has: the side that was not taken. From a folder below."""
    project = project_in(tmp_path / "added")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "below").mkdir()
    (project.path / "below/dvc.yaml").write_text("""
stages:
  copy: {cmd: cp ../data.bin copied, deps: [../data.bin], outs: [copied]}
""")

    def write(text: str, branch: str) -> None:
        project.git("checkout", "--quiet", "-B", branch)
        (project.path / "data.bin").unlink(missing_ok=True)
        (project.path / "data.bin").write_text(text)
        project.run("dvc", "add", "--quiet", "data.bin")
        project.run("dvc", "repro", "--quiet", "below/dvc.yaml")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", text)

    write("one", "main")
    write("theirs", "side")
    project.git("checkout", "--quiet", "main")
    write("ours", "main")
    assert "CONFLICT" in project.run("git", "merge", "side", ok=False).text
    below = Clone(project.path / "below", project.env)
    told = below.run("dvc-wandb", "mirror", ok=False).text
    checkout, *more = re.findall(r"`((?:git checkout|dvc) [^`]+)`", told)
    for command in (checkout.replace("--ours", "--theirs"), *more):
        below.run("sh", "-c", command)
    project.git("commit", "--quiet", "--all", "--message", "Theirs")
    assert project.read("data.bin") == below.read("copied") == "theirs"
    assert "up to date" in project.run("dvc", "status").text


def settle(project: Project, told: str, side: str) -> None:
    """Type what the message says, for one side."""
    (command,) = re.findall(r"`(git checkout --ours -- [^`]+)`", told)
    project.run(*command.replace("--ours", side).split())


def test_a_merge_is_settled_by_what_the_messages_say(merging: Project):
    """They ended after DVC's first line, without the place and without a way out."""
    two = merging.said["two"].text.strip()
    told = merging.ask("verify", ok=False)
    assert "'dvc.lock', YAML file structure is corrupted (possible merge conflicts): " in told
    assert re.search(r"in line \d+, column 1: <<<<<<< HEAD", told)
    assert (
        "path 'note.txt' does not have their version" in merging.run("git", "checkout", "--theirs", ".", ok=False).text
    )
    assert "note.txt" not in told
    marked = merging.read("champion.json")
    settle(merging, told, "--theirs")
    assert merging.recorded == two

    # A record with marks alone: verify says what to type, and the registry can decide
    (merging.path / "champion.json").write_text(marked)
    drift = merging.ask("verify", ok=False)
    assert "champion.json can't be used (it is not JSON, it has the marks of a merge conflict" in drift
    assert "mend       git checkout --theirs -- champion.json\n" in drift
    assert "champion.json would" in merging.ask("promote", "--from", "registry", "--dry")
    assert merging.read("champion.json") == marked
    assert "commit it, then" in merging.ask("promote", "--from", "registry")
    assert merging.recorded == two
    merging.run("dvc", "repro", "--quiet")
    merging.commit("Theirs was first")
    assert f"{two[:8]} is production" in merging.ask("promote")
    merging.ask("verify")

    # And the other side can be taken as well
    merging.git("reset", "--quiet", "--hard", "HEAD~1")
    merging.run("git", "merge", "origin/main", ok=False)
    settle(merging, merging.ask("mirror", ok=False), "--ours")
    merging.run("dvc", "repro", "--quiet")
    merging.commit("Three stays")
    assert f"{merging.recorded[:8]} is production now" in merging.ask("promote")
