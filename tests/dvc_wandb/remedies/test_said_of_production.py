"""What a message about production says to type is typed here, in the state in which it appears."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc_wandb import promoting
from tests.dvc_wandb.production import signed
from tests.dvc_wandb.promoting import TARGET, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`one` in production, and then a model that the gate refused."""
    project = promoting.make(tmp_path_factory.mktemp("said") / "made")
    project.write("bad")
    project.commit("A bad one")
    project.ask("mirror")
    project.run("wandb-registry", "stop")
    return project


@pytest.fixture
def project(once: Project, tmp_path: Path) -> Iterator[Project]:
    made = promoting.copied(once, tmp_path / "mine")
    yield made
    made.run("wandb-registry", "stop", ok=False)


def typed(project: Project, told: str, pattern: str, **values: str) -> str:
    """What the command prints that is found in `told`, with `values` for what it leaves open."""
    (command,) = re.findall(pattern, told)
    for name, value in values.items():
        command = command.replace(name, value)
    done = project.run("sh", "-c", command)
    assert "Traceback" not in done.text
    return done.text


@pytest.mark.parametrize("words", [("rollback",), ("promote", "--version", "v1")])
def test_a_person_decides_by_what_is_said(project: Project, words: tuple[str, ...]):
    bad = project.read("registered.txt").strip()
    told = project.ask(*words, ok=False)
    typed(project, told, r'dvc-wandb promote --version v3 --reason "…"', v3="v1")
    assert project.recorded == bad
    told = project.ask("promote", "--version", "v1", "--reason", "again")
    project.commit("A person's")
    assert f"{bad[:8]} is production now" in typed(project, told, r"`(dvc-wandb promote)` moves")
    assert "git has that in champion.json already" in project.ask("promote", "--version", "v1", "--reason", "again")


def test_the_branches_that_promote_are_written_as_is_said(project: Project):
    text = project.read("params.yaml")
    (project.path / "params.yaml").write_text(text.replace("[main]", "main"))
    (example,) = re.findall(r"a list of branches, such as (\[main\])", project.ask("promote", ok=False))
    (project.path / "params.yaml").write_text(text.replace("[main]", example))
    project.ask("promote")


def test_a_model_is_had_as_is_said(project: Project):
    (project.path / "folder").mkdir()
    (file,) = re.findall(r"such as (\S+)\.\n", project.ask("get", "Best", "-o", "folder", ok=False))
    assert "md5" in project.ask("get", "Best", "-o", file)
    told = project.ask("get", "Best", "--at", "yesterday", "-o", "got", ok=False)
    for form in re.findall(r"write it as (\S+), or (\S+)\.", told)[0]:
        tomorrow = (datetime.datetime.now() + datetime.timedelta(days=1)).isoformat()[: len(form)]
        assert "md5" in project.ask("get", "Best", "--at", tomorrow, "-o", "got")
    one = project.api().artifact(f"{TARGET}:v0")
    one.link("model-registry/Other", aliases=[f"dvc-{project.recorded}"])
    (name,) = re.findall(
        r"name another one with its registry: (\S+)\.", project.ask("get", "Other:v0", "-o", "o", ok=False)
    )
    project.ask("get", f"{name.replace('REGISTRY', 'model-registry')}:v0", "-o", "other")
    assert project.read("other") == "one"


@pytest.mark.parametrize("is_behind", [False, True])
def test_a_model_that_the_registry_lacks_is_logged_by_what_is_said(project: Project, tmp_path: Path, is_behind: bool):
    """`dvc-wandb mirror` was said where the workspace had another model by now, and logged that one only."""
    if is_behind:
        project.write("another")
    key = signed.make_key(tmp_path, "key")
    project.env["REGISTRY_DIR"] = str(tmp_path / "empty")
    told = project.ask("attest", "model.txt", "--key", str(key), ok=False)
    typed(project, told, r"`(dvc-wandb mirror.*)` logs it")
    assert "signed by" in project.ask("attest", "model.txt", "--key", str(key))


def test_what_is_not_committed_is_attested_after_what_is_said(project: Project, tmp_path: Path):
    attest = ("attest", "model.txt", "--key", str(signed.make_key(tmp_path, "key")), "-o", str(tmp_path / "a.json"))
    project.git("rm", "--quiet", "--cached", "dvc.lock")
    project.git("commit", "--quiet", "--amend", "--message", "Without")
    project.git("checkout", "--quiet", "--orphan", "fresh")
    project.git("commit", "--quiet", "--message", "All but the lock")
    told = project.ask(*attest, ok=False)
    assert "none here has a dvc.lock. Commit it first." in told
    project.git("add", "dvc.lock")
    project.git("commit", "--quiet", "--message", "The lock")
    project.ask(*attest)


@pytest.mark.parametrize("options", [["--depth=1"], ["--single-branch", "--branch=other"], []])
def test_the_commit_of_a_statement_is_fetched_by_what_is_said(project: Project, tmp_path: Path, options: list[str]):
    """`git fetch` was said, which brings nothing older to a shallow clone, and no other branch to one of a single."""
    key, file, there = signed.make_key(tmp_path, "key"), tmp_path / "a.json", tmp_path / "clone"
    clone = ("git", "clone", "--quiet", *options, f"file://{project.path}", str(there))
    project.git("branch", "other")
    if "--depth=1" not in options:
        project.run(*clone)
    project.write("new")
    project.commit("New")
    project.ask("mirror")
    project.ask("attest", "model.txt", "--key", str(key), "-o", str(file))
    project.git("commit", "--quiet", "--allow-empty", "--message", "Later")
    if "--depth=1" in options:
        project.run(*clone)
    check = ("check", str(file), str(project.path / "model.txt"), "--signed-by", str(key.with_suffix(".pub")))
    theirs = Project(there, project.env)
    told = theirs.ask(*check, ok=False)
    typed(theirs, told, r"`(git fetch .+?)` brings it")
    assert "all as dvc.lock has them there" in theirs.ask(*check)


def test_a_page_of_a_shallow_clone_is_compared_after_what_is_said(project: Project, tmp_path: Path):
    theirs = Project(tmp_path / "clone", project.env)
    project.run("git", "clone", "--quiet", "--depth=1", f"file://{project.path}", str(theirs.path))
    told = theirs.ask("report", "--base", "HEAD~1", ok=False)
    assert "In CI, check out with the whole history" in told
    typed(theirs, told, r"`(git fetch .+?)`")
    assert "Held against HEAD\\~1." in theirs.ask("report", "--base", "HEAD~1")
