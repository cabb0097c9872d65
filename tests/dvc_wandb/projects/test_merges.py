"""A merge that git leaves to a person: what is wrong is told whole, and what the messages say settles it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc_wandb import promoting
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
