"""DVC's experiments, in the workspace, apart, several workers at once: runs are grouped, inputs shared."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [data.txt]
  train:
    cmd: python train.py
    deps: [train.py, data.txt]
    params: [n]
    outs: [model.txt]
    metrics:
      - score.json: {cache: false}
"""
MAKE = """
from dvc_wandb import tracked_run
with tracked_run("make") as run:
    run.out("data.txt").write_text("data")
"""
TRAIN = """
import json
import shutil
import subprocess
from dvc_wandb import tracked_run
with tracked_run("train") as run:
    n = run.params_in("params.yaml")["n"]
    run.out("model.txt").write_text(run.dep("data.txt").read_text() + str(n))
    run.out("score.json").write_text(json.dumps({"score": n}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Clone]:
    """A project whose registry holds nothing yet: the first workers have to bring what they read."""
    made = project_in(tmp_path / "tries")
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    for name, text in {"dvc.yaml": STAGES, "make.py": MAKE, "train.py": TRAIN, "params.yaml": "n: 0\n"}.items():
        (made.path / name).write_text(text)
    made.run("dvc", "repro", "--quiet", env={"WANDB_MODE": "disabled"})
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Two stages")
    yield made
    daemon.stop(made.path / ".registry")


@pytest.mark.soak
def test_workers_at_once_group_their_runs_and_share_their_inputs(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for n in (1, 2, 3):
        project.run("dvc", "exp", "run", "--quiet", "--queue", "--name", f"try-{n}", "--set-param", f"n={n}")
    project.run("dvc", "exp", "run", "--run-all", "--jobs", "3")
    project.run("dvc", "exp", "run", "--quiet", "--temp", "--name", "apart", "--set-param", "n=4")
    project.run("dvc-wandb", "mirror", "--experiments")
    api = api_of(project, monkeypatch, tmp_path)
    for name, n in {"try-1": 1, "try-2": 2, "try-3": 3, "apart": 4}.items():
        (run,) = api.runs("tries", filters={"group": name})
        assert (run.name, run.config["n"], run.summary["score"]) == ("train", n, n)
        assert sorted(one.name for one in run.used_artifacts()) == ["data.txt:v0", "train.py:v0"]
        (model,) = (one for one in run.logged_artifacts() if one.name.startswith("model.txt"))
        assert Path(model.download(str(tmp_path / name))).joinpath("model.txt").read_text() == f"data{n}"
    for kind, collection in (("data", "data.txt"), ("code", "train.py")):  # however many asked for them at once
        assert len(list(api.artifacts(kind, f"tries/{collection}"))) == 1
    assert len(list(api.runs("tries", filters={"display_name": "make"}))) == 1


@pytest.mark.soak
def test_what_is_applied_or_branched_off_is_the_experiments_own(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    project.run("dvc-wandb", "mirror")
    project.run("dvc", "exp", "run", "--quiet", "--temp", "--name", "taken", "--set-param", "n=5")
    project.run("dvc", "exp", "branch", "taken", "side")
    project.run("dvc", "exp", "apply", "taken")
    assert json.loads(project.read("score.json")) == {"score": 5}
    assert "mirroring" not in project.run("dvc-wandb", "mirror").text
    assert project.run("dvc-wandb", "verify").code == 0
    project.git("checkout", "--quiet", "--force", "side")
    project.run("dvc", "checkout", "--quiet")
    assert "mirroring" not in project.run("dvc-wandb", "mirror").text
    api = api_of(project, monkeypatch, tmp_path)
    assert [run.name for run in api.runs("tries", filters={"group": "taken"})] == ["train"]


def test_two_clones_that_share_a_registry_are_mirrored_at_once_and_nothing_is_doubled(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    # Either found nothing there, and logged everything: two versions of each, one of them without an alias
    store = str(tmp_path / "shared")
    daemon.ensure(Path(store))
    other = Clone(project.path.parent / "copy" / "tries", {**project.env})
    shutil.copytree(project.path, other.path)
    mirrors = [
        subprocess.Popen(["dvc-wandb", "mirror"], cwd=one.path, env={**one.env, "REGISTRY_DIR": store})
        for one in (project, other)
    ]
    try:
        assert [one.wait() for one in mirrors] == [0, 0]
        api = api_of(project, monkeypatch, tmp_path, store)
        collections = [one for kind in api.artifact_types("tries") for one in kind.collections()]
        assert {one.name: len(list(one.artifacts())) for one in collections} == dict.fromkeys(
            ["data.txt", "make.py", "model.txt", "score.json", "train.py"], 1
        )
        assert len(list(api.runs("tries"))) == 3
    finally:
        daemon.stop(Path(store))
