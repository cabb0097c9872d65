"""Clones that lack something, and git that has other bytes than the workspace: bytes are found by their md5."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone, clone_into
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: cat src/*.py data.csv > made.txt
    deps: [src, data.csv]
    outs: [made.txt: {cache: false}]
"""
VERIFIED = "dvc.lock and the registry agree"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Clone]:
    """A stage that reads a folder with an ignored file, and a file: both are git's, and so is what it makes."""
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "src/deep").mkdir(parents=True)
    for name in ("src/a.py", "src/deep/b.py", "src/notes.tmp", "data.csv"):
        (project.path / name).write_text(f"1\n{name}\n")
    (project.path / ".dvcignore").write_text("*.tmp\n")
    (project.path / "dvc.yaml").write_text(STAGES)
    yield project
    daemon.stop(project.path / ".registry")


def commit(project: Clone, message: str, repro: bool = True) -> None:
    if repro:
        project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", message)


def add_line(project: Clone, *names: str) -> None:
    for name in names:
        (project.path / name).write_text(f"{project.read(name)}# another\n")


def cloned(project: Clone, name: str, *options: str) -> Clone:
    """A clone over git's own protocol, which leaves out what `options` say."""
    path = project.path.parent / name
    project.git("-c", "protocol.file.allow=always", "clone", "--quiet", *options, f"file://{project.path}", str(path))
    return Clone(path, {key: value for key, value in project.env.items() if key != "WANDB_MODE"})


def test_code_that_was_committed_after_the_last_run_is_found_in_the_commits_before(project: Clone):
    """It was nowhere, by our words, and `git checkout` was said to bring it back."""
    commit(project, "one")
    add_line(project, "src/a.py", "data.csv")
    commit(project, "edit, don't run", repro=False)
    (project.path / "src/deep/b.py").unlink()
    commit(project, "once more", repro=False)
    add_line(project, "made.txt", "src/a.py")
    done = project.run("dvc-wandb", "mirror")
    assert "not mirrored" not in done.text
    assert VERIFIED in project.run("dvc-wandb", "verify", "--deep").text


def test_code_that_a_shallow_clone_lacks_comes_with_what_is_said(project: Clone):
    """That the commits before may have it was said by `mirror` alone, and `verify` said only to run the stage again."""
    commit(project, "one")
    add_line(project, "data.csv")
    commit(project, "edit, don't run", repro=False)
    shallow = cloned(project, "shallow", "--depth=1")
    try:
        for command in ("verify", "mirror"):
            said = shallow.run("dvc-wandb", command, ok=False).text
            assert "`git fetch --unshallow` brings it, if an older commit has it; `dvc repro make` takes" in said
        shallow.git("fetch", "--quiet", "--unshallow")
        assert "not mirrored" not in shallow.run("dvc-wandb", "mirror").text
        assert VERIFIED in shallow.run("dvc-wandb", "verify", "--deep").text
    finally:
        daemon.stop(shallow.path / ".registry")


def test_code_that_was_committed_after_the_lock_is_found_for_its_commit(project: Clone):
    project.run("dvc", "repro", "--quiet")
    project.git("add", "dvc.lock", "dvc.yaml", ".dvc", ".dvcignore")
    project.git("commit", "--quiet", "--message", "the lock")
    commit(project, "what it was made of", repro=False)
    add_line(project, "data.csv")
    commit(project, "two")
    assert "not mirrored" not in project.run("dvc-wandb", "mirror", "--all-commits").text


def test_line_ends_that_git_changes_in_the_workspace_leave_the_bytes_that_it_has(project: Clone):
    commit(project, "one")
    clone = cloned(project, "crlf", "--config", "core.autocrlf=true")
    assert b"\r\n" in (clone.path / "src/a.py").read_bytes()
    try:
        assert "not mirrored" not in clone.run("dvc-wandb", "mirror").text
        assert VERIFIED in clone.run("dvc-wandb", "verify", "--deep").text
    finally:
        daemon.stop(clone.path / ".registry")


def test_a_clone_of_this_repository_has_its_bytes_whatever_line_ends_git_is_set_up_for(tmp_path: Path):
    """Such a clone ran all stages anew."""
    (tmp_path / "clone").mkdir()
    clone = clone_into(tmp_path / "clone")
    other = cloned(clone, "crlf", "--config", "core.autocrlf=true")
    for name in clone.git("ls-files", "-z").split("\0")[:-1]:
        assert (other.path / name).read_bytes() == (clone.path / name).read_bytes(), name


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_fetches_what_commits_hold(history: Clone, left_out: str, tmp_path: Path):
    """DVC's library for git fetches nothing: each of these waited for ever, after a traceback."""
    history.git("config", "uploadpack.allowFilter", "true")
    partial = cloned(history, f"partial-{left_out[:4]}", f"--filter={left_out}")
    partial.env |= {"WANDB_MODE": "disabled"}
    shown = partial.run("dvc-wandb", "show", "--commits", "clean.csv")
    assert shown.text.count("fetching what this partial clone lacks") == 1
    assert "First data" in shown.text
    assert "More data" in shown.text
    assert "More data" in partial.run("dvc-wandb", "why", "model.txt").text
    assert "rate" in partial.run("dvc-wandb", "report", "--base", "HEAD~2").text
    registry = {"REGISTRY_DIR": str(tmp_path / "registry"), "WANDB_MODE": ""}
    try:
        done = partial.run("dvc-wandb", "mirror", "--all-commits", ok=False, env=registry)
        assert "raw.csv" not in done.text  # git has it; what only DVC's cache had is in no clone
        assert "Traceback" not in done.text
    finally:
        daemon.stop(tmp_path / "registry")


def test_a_partial_clone_whose_remote_is_gone_says_so(history: Clone):
    history.git("config", "uploadpack.allowFilter", "true")
    partial = cloned(history, "orphan", "--filter=blob:none")
    partial.git("remote", "set-url", "origin", "/nowhere")
    done = partial.run("dvc-wandb", "why", "model.txt", ok=False, env={"WANDB_MODE": "disabled"})
    assert "this clone is partial, and git can't fetch what it lacks: '/nowhere' does not appear" in done.text
    assert "Traceback" not in done.text


def test_a_shallow_clone_does_not_take_its_first_commit_for_the_beginning(history: Clone):
    """The data of the first commit were said to be new in the second."""
    shallow = cloned(history, "shallow", "--depth=2")
    mirrored = shallow.run("dvc-wandb", "mirror", "--all-commits", ok=False).text  # which was silent about it
    assert "this clone is shallow: git's history is cut off" in mirrored
    daemon.stop(shallow.path / ".registry")
    shallow.env |= {"WANDB_MODE": "disabled"}
    shown = shallow.run("dvc-wandb", "show", "--commits", "clean.csv").text
    assert "this clone is shallow: git's history is cut off; `git fetch --unshallow` brings the rest" in shown
    assert "Higher rate, or earlier" in shown
    assert "More data\n" in shown
    (shallow.path / "raw.csv").write_text("b\na\n")
    shallow.run("dvc", "repro", "--quiet", "clean")
    asked = shallow.run("dvc-wandb", "why", "clean.csv")
    assert "clean last ran for the workspace" in asked.text
    shallow.git("checkout", "--quiet", "--", ".")
    shallow.git("checkout", "--quiet", "HEAD~1")
    asked = shallow.run("dvc-wandb", "why", "clean.csv")
    assert "Higher rate, or earlier\nsince then" in asked.text
    assert "for the first time" not in asked.text
    facts = json.loads(shallow.run("dvc-wandb", "why", "clean.csv", "--json", stderr=None).text)["clean.csv"]
    assert (facts["or_earlier"], facts["then"]) == (True, [])
    shallow.git("fetch", "--quiet", "--unshallow")  # as it was said
    shown = shallow.run("dvc-wandb", "show", "--commits", "clean.csv").text
    assert "First data\n" in shown
    assert "shallow" not in shown


def test_files_of_a_submodule_are_found_in_it_and_checked_out_by_what_is_said(tmp_path: Path):
    """`It was never committed`, and `Put it back`, were said of what the submodule's commits have."""
    inner, project = project_in(tmp_path / "inner"), project_in(tmp_path / "outer")
    inner.git("init", "--quiet")
    (inner.path / "lib.txt").write_text("one\n")
    inner.git("add", "--all")
    inner.git("commit", "--quiet", "--message", "one")
    project.env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    project.git("submodule", "--quiet", "add", "../inner", "vendor")
    stages = "stages: {make: {cmd: cat vendor/lib.txt > made, deps: [vendor/lib.txt], outs: [made: {cache: false}]}}"
    (project.path / "dvc.yaml").write_text(stages)
    commit(project, "one")
    (inner.path / "lib.txt").write_text("two\n")
    inner.git("commit", "--quiet", "--all", "--message", "two")
    project.git("submodule", "--quiet", "update", "--remote")
    commit(project, "two")
    clone = Clone(tmp_path / "clone", project.env)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    clone.git("config", "remote.origin.url", str(project.path))
    try:
        said = clone.run("dvc-wandb", "mirror", ok=False).text
        (command,) = set(re.findall(r"`(.+?)`", said))
        assert command == "git submodule update --init vendor && dvc repro make"
        clone.git("config", "submodule.vendor.url", str(inner.path))
        clone.run("sh", "-c", command)
        assert "not mirrored" not in clone.run("dvc-wandb", "mirror", "--all-commits").text
        assert VERIFIED in clone.run("dvc-wandb", "verify").text
        assert clone.git("status", "--porcelain") == ""
    finally:
        daemon.stop(clone.path / ".registry")


def test_an_empty_folder_needs_no_bytes_of_its_own(project: Clone):
    """In a clone it was nowhere, since git keeps no empty folder."""
    (project.path / "dvc.yaml").write_text("stages: {make: {cmd: mkdir made, outs: [made]}}")
    commit(project, "one")
    clone = cloned(project, "clone")
    try:
        assert "not mirrored" not in clone.run("dvc-wandb", "mirror").text
        assert VERIFIED in clone.run("dvc-wandb", "verify").text
    finally:
        daemon.stop(clone.path / ".registry")
