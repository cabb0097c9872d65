"""A registry filled with the whole past: versions in commit order, each commit that changed the lock as its run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone, account, api_of
from tests.dvc_wandb.conftest import project_in
from tests.hanging import Hanging
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    params: [n]
    outs: [data]
    metrics:
      - score.json: {cache: false}
    plots: [loss.csv]
  use:
    cmd: cp data/n.txt model.txt
    deps: [data/n.txt]
    outs: [model.txt]
"""
MAKE = """
import pathlib, yaml
n = yaml.safe_load(open("params.yaml"))["n"]
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("data/n.txt").write_text(str(n))
pathlib.Path("score.json").write_text('{"score": %d}' % n)
pathlib.Path("loss.csv").write_text("epoch,loss\\n" + "".join(f"{at},{n - at}\\n" for at in range(n)))
"""
MIRROR = ("dvc-wandb", "mirror")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Four commits that changed the lock, one that didn't, a tag on the first and third, an experiment."""
    project = project_in(tmp_path_factory.mktemp("history") / "past")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    for n in (1, 2, 3, 4):
        (project.path / "make.py").write_text(f"{MAKE}\n# as of {n}\n")
        (project.path / "params.yaml").write_text(f"n: {n}\n")
        project.run("dvc", "repro", "--quiet")
        commit(project, f"n is {n}")
        if n in (1, 3):
            project.git("tag", f"v{n}")
    (project.path / "README").write_text("nothing of DVC's\n")
    commit(project, "Describe it")
    project.run("dvc", "exp", "run", "--quiet", "--name", "tried", "--set-param", "n=9")
    project.git("checkout", "--quiet", "--", ".")
    project.run("dvc", "checkout", "--quiet")
    return project


def commit(project: Clone, message: str) -> None:
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", message)


@pytest.fixture
def store(past: Clone, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a registry that holds nothing yet."""
    yield {"REGISTRY_DIR": str(tmp_path / "registry")}
    daemon.stop(tmp_path / "registry")


def test_all_commits_fill_a_registry_in_their_order(
    past: Clone, store: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Folders and plots come from DVC's cache, code and metrics from the commit that has them."""
    shutil.rmtree(past.path / "data")
    (past.path / "model.txt").unlink()
    try:
        done = past.run(*MIRROR, "--all-commits", env=store)
    finally:
        past.run("dvc", "checkout", "--quiet")
    assert "(4 of 4)" in done.text
    api = api_of(past, monkeypatch, tmp_path, store["REGISTRY_DIR"])
    commits = past.git("rev-list", "--reverse", "HEAD").split()
    made = [run for run in api.runs("past", order="+created_at") if run.name == "make"]
    assert [run.commit for run in made] == commits[:4]
    assert [run.summary["score"] for run in made] == [1, 2, 3, 4]
    assert [run.config["n"] for run in made] == [1, 2, 3, 4]
    for n, run in enumerate(made, start=1):
        assert [row["epoch/loss"] for row in run.scan_history(["epoch/loss"])] == [n - at for at in range(n)]
        assert [one.name for one in run.used_artifacts()] == [f"make.py:v{n - 1}"]
        assert {f"data:v{n - 1}", f"score.json:v{n - 1}", f"loss.csv:v{n - 1}"} <= {
            one.name for one in run.logged_artifacts()
        }
    assert Path(api.artifact("past/data:v1").download(str(tmp_path / "old"))).joinpath("n.txt").read_text() == "2"
    assert past.run("dvc-wandb", "verify", env=store).code == 0

    there = account(past, store["REGISTRY_DIR"])
    between = Hanging(there["WANDB_BASE_URL"], answered=1000)
    again = past.run(*MIRROR, "--all-commits", env={**there, "WANDB_BASE_URL": between.url})
    assert "mirroring" not in again.text
    assert 1000 - between.left < 6  # 500 commits, asked about one by one, took 1,001 questions
    api.flush()
    assert len(list(api.runs("past"))) == len(made) * 3  # with as many of `use` and of `sources`


def test_a_run_that_is_mended_later_keeps_its_commit(
    past: Clone, store: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """It got the commit that `mirror` was at when it went on with it."""
    past.run(*MIRROR, "--range", "HEAD~2..HEAD~1", env=store)
    api = api_of(past, monkeypatch, tmp_path, store["REGISTRY_DIR"])
    api.artifact("past/model.txt:latest").delete(delete_aliases=True)
    assert "mirroring use" in past.run(*MIRROR, env=store).text
    assert {run.commit for run in api.runs("past")} == {past.git("rev-parse", "HEAD~1").strip()}


@pytest.mark.soak
def test_a_tag_a_range_and_experiments_come_late_and_leave_latest_where_it_is(
    past: Clone, store: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    past.run(*MIRROR, env=store)
    api = api_of(past, monkeypatch, tmp_path, store["REGISTRY_DIR"])
    versions = []
    for options in (["--all-tags"], ["--range", "v1..v3"], ["--experiments"]):
        past.run(*MIRROR, *options, env=store)
        found = api.artifacts("data", "past/data")
        versions.append(sorted(one.metadata["dvc"]["md5"] for one in found))
        assert api.artifact("past/model.txt:latest").version == "v0"  # the workspace's, mirrored first
    assert [len(one) for one in versions] == [3, 4, 5]
    tried = [run for run in api.runs("past", filters={"group": "tried"}) if run.name == "make"]
    assert [run.config["n"] for run in tried] == [9]
    assert {run.group for run in api.runs("past") if run.config.get("n") != 9 and run.name == "make"} == {None}


def test_what_an_experiment_shares_with_its_base_is_not_its_own(
    past: Clone, store: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A stage that it left as it was stood under its name."""
    past.run(*MIRROR, "--experiments", env=store)
    api = api_of(past, monkeypatch, tmp_path, store["REGISTRY_DIR"])
    assert [(run.config["n"], run.group) for run in api.runs("past") if run.name == "make"] == [(4, None), (9, "tried")]


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--range", "v1..nothing"], "nothing"), (["--range=--all"], "is no range of commits")],
)
def test_a_history_that_is_not_there_is_said_in_a_sentence(past: Clone, options: list[str], says: str):
    done = past.run(*MIRROR, *options, ok=False)
    assert done.code == 1
    assert says in done.text
    assert "Traceback" not in done.text


def test_a_project_without_git_is_mirrored_and_has_no_history(tmp_path: Path):
    project = project_in(tmp_path / "plain")
    project.run("dvc", "init", "--quiet", "--no-scm")
    (project.path / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n")
    project.run("dvc", "repro", "--quiet")
    try:
        assert "one.txt:v0" in project.run(*MIRROR).text
        assert project.run("dvc-wandb", "verify").code == 0
        done = project.run(*MIRROR, "--all-commits", ok=False)
        assert done.code == 1
        assert "the history can't be read: not a git repository" in done.text
    finally:
        daemon.stop(project.path / ".registry")


@pytest.mark.soak
def test_a_past_that_holds_nothing_is_said_and_the_workspace_is_no_part_of_it(tmp_path: Path):
    """`bad revision 'HEAD'`, and a mirror of the workspace where there were no experiments."""
    project = project_in(tmp_path / "unborn")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    stages = "stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n  two: {cmd: echo 2}\n"
    (project.path / "dvc.yaml").write_text(stages)
    project.run("dvc", "repro", "--quiet", "one")
    try:
        done = project.run(*MIRROR, "--experiments")
        assert "there are no experiments" in done.text
        assert "mirroring" not in done.text
        done = project.run(*MIRROR, "--all-commits")
        assert "there are no commits that changed a lock" in done.text
        assert "one.txt:v0" in done.text
        assert "dvc.lock has nothing of two" in project.run("dvc-wandb", "verify").text
    finally:
        daemon.stop(project.path / ".registry")


def test_bytes_that_are_nowhere_come_from_the_remote(tmp_path: Path):
    project = project_in(tmp_path / "far")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES.replace("plots: [loss.csv]", ""))
    (project.path / "make.py").write_text(MAKE)
    (project.path / "params.yaml").write_text("n: 1\n")
    project.run("dvc", "remote", "add", "--quiet", "--default", "far", str(tmp_path / "remote"))
    project.run("dvc", "repro", "--quiet")
    project.run("dvc", "push", "--quiet")
    shutil.rmtree(project.path / ".dvc/cache")
    shutil.rmtree(project.path / "data")
    try:
        assert "not there" not in project.run(*MIRROR).text
        assert project.run("dvc-wandb", "verify", "--deep").code == 0
    finally:
        daemon.stop(project.path / ".registry")
