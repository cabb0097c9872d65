"""`make repro` on a fresh machine: what it leaves in the workspace, and the same in the registry."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
import yaml

from tests.conftest import Clone

PROJECT = "model-registry-dev"
NAMES = {"data/mnist": "mnist_dataset", "models/model.h5": "mnist_model"}


def lock(clone: Clone) -> dict[str, Any]:
    return yaml.safe_load(clone.read("dvc.lock"))["stages"]


def artifact(api: wandb.Api, path: str, md5: str) -> wandb.Artifact:
    """The version that mirrors `path`: by its content alias, under its name or the one made from its path."""
    return api.artifact(f"{PROJECT}/{NAMES.get(path, path.replace('/', '-'))}:dvc-{md5}")


def base64_md5(path: Path) -> str:
    return base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode()


def test_the_tree_and_the_lock_are_what_was_committed(pipeline: Clone):
    assert pipeline.git("status", "--porcelain") == ""


def test_a_second_repro_runs_no_stage_and_mirrors_nothing(pipeline: Clone):
    again = pipeline.run("make", "repro", "--assume-old=.venv/installed", "--assume-old=packages.yaml")
    assert again.ran == []
    assert "mirroring" not in again.text


def test_the_mirror_ends_with_a_table_of_stages_md5s_and_versions(pipeline: Clone):
    text = pipeline.said["mirror"].text
    for stage, entry in lock(pipeline).items():
        assert stage in text
        for out in entry["outs"]:
            assert out["path"] in text
            assert out["md5"] in text
    assert "mnist_model:v0" in text
    assert "http://127.0.0.1:" in text


@pytest.mark.parametrize("stage", ["prepare", "train", "register", "evaluate", "promote"])
def test_outputs_and_edges_in_the_registry_equal_dvc_lock(pipeline: Clone, api: wandb.Api, stage: str):
    entry = lock(pipeline)[stage]
    wanted = {dep["path"]: dep["md5"] for dep in entry["deps"]}
    for out in entry["outs"]:
        version = artifact(api, out["path"], out["md5"])
        run = version.logged_by()
        assert run is not None
        assert json.loads(run.json_config)["dvc"]["value"]["stage"] == stage
        used = {one.metadata["dvc"]["path"]: one.metadata["dvc"]["md5"] for one in run.used_artifacts()}
        assert used == wanted


def test_files_of_an_artifact_are_those_of_the_dvc_out(pipeline: Clone, api: wandb.Api):
    for entry in lock(pipeline).values():
        for out in entry["outs"]:
            path = pipeline.path / out["path"]
            files = {path.name: path} if path.is_file() else {str(f.relative_to(path)): f for f in path.iterdir()}
            entries = artifact(api, out["path"], out["md5"]).manifest.entries
            assert {name: entries[name].digest for name in files} == {n: base64_md5(f) for n, f in files.items()}


@pytest.mark.soak  # the SDK reads slowly; the walkthrough's test reads smaller ones
@pytest.mark.parametrize("split", ["eval", "train"])
def test_tables_hold_the_arrays_that_training_reads_and_pictures_of_them(pipeline: Clone, api: wandb.Api, split: str):
    out = lock(pipeline)["prepare"]["outs"][0]
    table = artifact(api, out["path"], out["md5"]).get(f"{split}_table")
    assert isinstance(table, wandb.Table)
    with np.load(pipeline.path / f"data/mnist/{split}.npz") as arrays:
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
    assert table.columns == [f"x_{split}", f"y_{split}", "img"]
    assert np.array_equal(table.get_column(f"x_{split}", convert_to="numpy"), x)
    assert np.array_equal(table.get_column(f"y_{split}", convert_to="numpy"), y)
    picture = np.asarray(table.data[0][2].image)
    assert np.array_equal(picture, np.rint(x[0, :, :, 0] * 255))


@pytest.mark.slow
def test_the_bytes_of_the_digits_do_not_depend_on_pythons_release(pipeline: Clone):
    """numpy.savez wrote other headers with Python 3.11.2 than with 3.11.7, and so dvc.lock changed."""
    for split in ("train", "eval"):
        with zipfile.ZipFile(pipeline.path / f"data/mnist/{split}.npz") as archive:
            assert {member.extract_version for member in archive.infolist()} == {zipfile.DEFAULT_VERSION}


def test_the_digits_are_balanced_and_in_one_split_only(pipeline: Clone):
    with (
        np.load(pipeline.path / "data/mnist/train.npz") as train,
        np.load(pipeline.path / "data/mnist/eval.npz") as rest,
    ):
        assert np.bincount(train["y_train"]).tolist() == [420] * 10
        assert np.bincount(rest["y_eval"]).tolist() == [70] * 10
        assert train["x_train"].shape == (4200, 28, 28, 1)
        assert train["x_train"].dtype == np.float32
        seen = {x.tobytes() for x in train["x_train"]}
        assert not any(x.tobytes() in seen for x in rest["x_eval"])


def test_training_is_shown_epoch_by_epoch(api: wandb.Api, pipeline: Clone):
    out = lock(pipeline)["train"]["outs"][0]
    run = artifact(api, out["path"], out["md5"]).logged_by()
    assert run is not None
    rows = [row for row in run.scan_history() if "epoch/accuracy" in row]
    assert [row["epoch/epoch"] for row in rows] == [0, 1, 2, 3, 4]
    assert run.config["train"]["epochs"] == 5
    assert run.job_type == "train_model"
    assert run.state == "finished"
    assert run.commit == pipeline.git("rev-parse", "HEAD").strip()


def test_every_stage_is_one_run_of_its_job_type(api: wandb.Api, pipeline: Clone):
    first = api.runs(PROJECT, order="+created_at", per_page=6)[:6]  # other tests have run stages again since
    found = sorted(run.job_type for run in first)
    jobs = ["build_dataset", "evaluate_model", "promote_model", "register_model", "sources", "train_model"]
    assert found == jobs


def test_metrics_are_the_same_on_both_sides(api: wandb.Api, pipeline: Clone):
    metrics = json.loads(pipeline.read("reports/metrics.json"))
    out = next(out for out in lock(pipeline)["evaluate"]["outs"] if out["path"] == "reports/metrics.json")
    run = artifact(api, out["path"], out["md5"]).logged_by()
    assert run is not None
    assert {key: run.summary[key] for key in metrics} == metrics
    assert "mistakes" in run.summary
    assert "confusion" in pipeline.run("dvc", "plots", "show", "--json").text


def test_the_registered_model_is_the_very_version_that_training_logged(api: wandb.Api, pipeline: Clone):
    trained = artifact(api, "models/model.h5", lock(pipeline)["train"]["outs"][0]["md5"])
    registered = api.artifact("model-registry/MNIST-dev:production")
    assert registered.source_qualified_name == trained.source_qualified_name
    assert registered.digest == trained.digest
    assert json.loads(pipeline.read("production.json"))["model_md5"] == trained.metadata["dvc"]["md5"]


def test_the_decision_is_one_sentence_with_its_numbers(pipeline: Clone):
    decision = json.loads(pipeline.read("reports/promotion.json"))
    assert decision["promoted"] is True
    assert f"accuracy {decision['accuracy']:.6g} ≥ 0.9" in decision["decision"]


@pytest.mark.slow
def test_metrics_are_numbers_and_a_table_fits_the_screen(pipeline: Clone):
    (now,) = pipeline.json("dvc", "metrics", "show", "--json").values()
    shown = {name: value for file in now["data"].values() for name, value in file["data"].items()}
    assert shown.keys() == {"loss", "accuracy", "digits", "promoted"}  # and, beside a champion: gain and p_value
    assert all(isinstance(value, int | float) for value in shown.values())
    assert max(map(len, pipeline.run("dvc", "metrics", "show").text.splitlines())) <= 120


@pytest.mark.slow
def test_the_commands_of_the_ci_job_run_here(pipeline: Clone):
    """Those that the other tests don't run already."""
    report = pipeline.run("make", "report", "--assume-old=.venv/installed").text
    assert "reports/metrics.json" in report
    assert "flowchart" in report
    assert re.search(r"^\| \[prepare\]\(http://127\S+/runs/\S+\) \| data/mnist \|", report, re.MULTILINE)
