"""The edges are those of `dvc dag`, and stay so: in another clone, at past commits, when a word of dvc.yaml changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name
from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  letters: {cmd: "mkdir -p data/a && echo x > data/a/x && echo y > data/a/y", outs: [data/a]}
  rates: {cmd: "echo 'rate: 3' > data/rates.yaml", outs: [data/rates.yaml]}
  around: {cmd: cat data/raw.txt > around.txt, deps: [data], outs: [around.txt]}
  inside: {cmd: cat data/a/x > model, deps: [data/a/x], params: [{data/rates.yaml: [rate]}], outs: [model]}
  beside: {cmd: cat ../given/d.txt > beside.txt, deps: [../given], outs: [beside.txt]}
  live: {cmd: cp -r shots live, deps: [shots], outs: [live]}
metrics: [live/metrics.json]
plots: [{live/plots/metrics: {x: step}}]
"""
EDGES = {
    ("around", "letters"),
    ("around", "rates"),
    ("around", "data/raw.txt.dvc"),
    ("inside", "letters"),
    ("inside", "rates"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A project whose deps are folders around outs, in outs, and beside the repository; mirrored, and pushed."""
    folder = tmp_path_factory.mktemp("edges")
    project = project_in(folder / "project")
    (folder / "given").mkdir()
    (folder / "given/d.txt").write_text("d\n")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "remote", "add", "--default", "remote", str(folder / "remote"))
    (project.path / "shots/plots/metrics/eval").mkdir(parents=True)
    (project.path / "shots/metrics.json").write_text('{"accuracy": 0.9}')
    for name in ("loss", "eval/loss"):
        (project.path / f"shots/plots/metrics/{name}.tsv").write_text("step\tloss\n0\t2.5\n1\t1.5\n")
    for name in ("data/raw.txt", "given/d.txt"):  # what lies in the project as `given` is not what lies beside it
        (project.path / name).parent.mkdir()
        (project.path / name).write_text("raw\n")
    (project.path / "data/readme").write_text("of git\n")
    project.run("dvc", "add", "--quiet", "data/raw.txt")
    (project.path / "dvc.yaml").write_text(STAGES)
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    project.run("dvc", "push", "--quiet")
    try:
        project.said["mirror"] = project.run("dvc-wandb", "mirror")
        yield project
    finally:
        daemon.stop(project.path / ".registry")


def edges(pipeline: Pipeline, executions: list[Execution]) -> set[tuple[str, str]]:
    makers = {path: pipeline.dvc.address(out.stage) for path, out in pipeline.dvc.outs.items()}
    read = ((one.stage, content.versioned.path) for one in executions for content in one.reads)
    return {(stage, makers[path]) for stage, path in read if path in makers}


def test_the_edges_are_those_of_dvc_dag_in_the_lock_and_in_the_registry(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    pipeline = Pipeline(project.path)
    address = pipeline.dvc.address
    assert {(address(one), address(other)) for one, other in pipeline.dvc.repo.index.graph.edges} == EDGES
    assert edges(pipeline, pipeline.locked()) == EDGES
    runs = {run.name: run for run in api_of(project, monkeypatch, tmp_path).runs("project")}
    used = {name: {one.metadata["dvc"]["path"] for one in run.used_artifacts()} for name, run in runs.items()}
    assert used["around"] == {"data", "data/a", "data/rates.yaml", "data/raw.txt"}
    assert used["inside"] == {"data/a", "data/rates.yaml"}
    assert "6 stages, 14 edges" in project.run("dvc-wandb", "verify").text
    shown = project.json("dvc-wandb", "show", "around.txt", "--upstream", "--json")
    assert [stage["stage"] for stage in shown["stages"]] == ["letters", "rates", "around"]


def test_a_path_beside_the_project_is_the_same_at_commits_and_in_other_clones(project: Clone, tmp_path: Path):
    # The URL had the clone's folder in it, and at a commit `given` in the project was taken for it
    clone = Clone(tmp_path / "elsewhere", project.env)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    places = [Pipeline(project.path), Pipeline(clone.path)]
    places += [place.at(str(place.commit)) for place in places]
    found = [{one.stage: one for one in place.locked()} for place in places]
    assert {one["beside"].deps[0].path for one in found} == {"../given"}
    assert {one["beside"].deps[0].kind for one in found} == {"reference"}
    assert len({one["beside"].key for one in found}) == 1
    assert "mirroring" not in project.run("dvc-wandb", "mirror", "--all-commits").text
    given = project.path.parent / "given/d.txt"
    given.write_text("other\n")
    assert "../given: " in project.run("dvc-wandb", "why", "beside.txt").text
    given.write_text("d\n")


def test_a_clone_without_outs_mirrors_a_folder_around_them_from_git_and_the_remote(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    clone = Clone(tmp_path / "fresh", project.env)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    # First as it was before dvc.yaml named metrics and plots at its top: the run of `live` shows none
    (clone.path / "dvc.yaml").write_text(STAGES.partition("metrics:")[0])
    try:
        assert "not mirrored" not in clone.run("dvc-wandb", "mirror").text
        clone.git("checkout", "--quiet", "dvc.yaml")
        (drift,) = clone.json("dvc-wandb", "verify", "--json", ok=False)["drifts"]
        assert drift["what"] == "metrics or plots not shown"
        assert drift["lock"] == "live shows live/metrics.json, live/plots/metrics, by dvc.yaml"
        assert "not mirrored" not in clone.run("dvc-wandb", "mirror", "--all-commits").text
        assert "6 stages, 14 edges" in clone.run("dvc-wandb", "verify").text
        (live,) = (run for run in api_of(clone, monkeypatch, tmp_path).runs("project") if run.name == "live")
        assert live.summary["accuracy"] == 0.9
        assert [row["loss"] for row in live.scan_history() if "loss" in row] == [2.5, 1.5]
    finally:
        daemon.stop(clone.path / ".registry")


def test_metrics_and_plots_at_the_top_of_dvc_yaml_reach_the_run(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (live,) = (run for run in api_of(project, monkeypatch, tmp_path).runs("project") if run.name == "live")
    assert live.summary["accuracy"] == 0.9
    assert [row["loss"] for row in live.scan_history() if "loss" in row] == [2.5, 1.5]
    assert [row["eval/loss"] for row in live.scan_history() if "eval/loss" in row] == [2.5, 1.5]
    assert "live/plots/metrics/loss.tsv loss ends at 1.5" in project.run("dvc-wandb", "report").text


def test_a_type_that_changes_is_kept_or_given_to_the_collection(
    project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """`Artifact … already exists with type 'data'; cannot create another with type …`, at every mirror for ever."""
    api = api_of(project, monkeypatch, tmp_path)
    text = STAGES.replace("outs: [around.txt]", "metrics: [around.txt]").replace(
        "data/raw.txt >", "data/raw.txt data/readme >"
    )
    (project.path / "dvc.yaml").write_text(f"{text}artifacts:\n  model: {{path: model, type: weights}}\n")
    project.git("rm", "--quiet", "--cached", "-r", "shots")
    project.run("dvc", "add", "--quiet", "shots")  # it was code
    (project.path / "shots/more").write_text("more\n")
    project.run("dvc", "repro", "--quiet")
    drifts = project.json("dvc-wandb", "verify", "--json", ok=False)["drifts"]
    assert [one["where"] for one in drifts if one["what"] == "other type"] == ["model"]
    assert "not mirrored" not in project.run("dvc-wandb", "mirror").text
    assert project.json("dvc-wandb", "verify", "--json")["agree"]
    api.flush()
    assert [api.artifact(f"project/{name}:latest").type for name in ("around.txt", "model", "shots")] == [
        "data",
        "weights",
        "code",
    ]
    assert "mirroring" not in project.run("dvc-wandb", "mirror").text


def test_the_projects_of_one_repository_are_told_apart_by_their_folders(tmp_path: Path):
    clone = project_in(tmp_path / "clone")
    clone.git("init", "--quiet")
    names = {"a": "a", "b/c": "b--c", "b-c": "b-c"}
    for folder in names:
        (clone.path / folder).mkdir(parents=True)
    assert {folder: project_name(clone.path / folder) for folder in names} == names
    clone.git("commit", "--quiet", "--allow-empty", "--message", "For another work tree")
    clone.git("worktree", "add", "--quiet", str(tmp_path / "elsewhere"))
    assert project_name(tmp_path / "elsewhere") == "clone"
    clone.git("remote", "add", "origin", "https://example.org/many.git")
    clone.path.rename(tmp_path / "renamed")
    told = {folder: project_name(tmp_path / "renamed" / folder) for folder in names}
    assert told == {folder: f"many-{name}" for folder, name in names.items()}
    assert project_name(tmp_path / "renamed") == "many"


def test_a_link_or_a_table_that_is_refused_takes_nothing_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The metrics and the other links were not there either, and one of the reasons was all that was said."""
    project = project_in(tmp_path / "refused")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "mine.py").write_text("def lost(place): place('three')\n")
    (project.path / "dvc.yaml").write_text("""
stages:
  a: {cmd: echo 1 > one && echo 2 > two, outs: [one, two]}
  b:
    cmd: echo '{"accuracy":0.5}' > score.json
    deps: [one, two]
    metrics: [score.json]
    meta:
      wandb:
        tables: "mine:lost"
        links: {one: "model-registry/a:b", none: model-registry/x, two: model-registry/two}
""")
    project.run("dvc", "repro", "--quiet")
    try:
        done = project.run("dvc-wandb", "mirror", ok=False)
        assert "b was not mirrored: one is not linked to model-registry/a:b: " in done.text
        assert "b was not mirrored: dvc.yaml: stage 'b' links none, which is not among its deps." in done.text
        assert "b was not mirrored: the function 'mine:lost', which `meta.wandb` names in dvc.yaml, failed" in done.text
        two = hashlib.md5(b"2\n").hexdigest()
        api = api_of(project, monkeypatch, tmp_path)
        (run,) = (one for one in api.runs("refused") if one.name == "b")
        assert run.summary["accuracy"] == 0.5
        assert api.artifact_exists(f"model-registry/two:dvc-{two}")
    finally:
        daemon.stop(project.path / ".registry")
