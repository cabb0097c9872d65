"""Changed parameters, experiments, other branches: what runs, and what the registry then says."""

from __future__ import annotations

import json

import pytest
import wandb
import yaml

from tests.conftest import Clone


def model_md5(clone: Clone) -> str:
    return yaml.safe_load(clone.read("dvc.lock"))["stages"]["train"]["outs"][0]["md5"]


@pytest.mark.soak
def test_a_changed_epoch_count_and_back_again(pipeline: Clone, api: wandb.Api):
    first = model_md5(pipeline)

    # An experiment trains another model, records its decision and leaves the alias alone
    loose = ("--set-param", "promote.require=not_worse", "--set-param", "promote.tolerated_drop=0.05")
    tried = pipeline.run("dvc", "exp", "run", "--name", "longer", "--set-param", "train.epochs=6", *loose)
    assert tried.ran == ["train", "register", "evaluate", "promote"]
    second = model_md5(pipeline)
    assert second != first
    assert json.loads(pipeline.read("production.json"))["model_md5"] == second
    assert "stays where it is: this is the experiment longer" in tried.text
    assert f"dvc-{first}" in api.artifact("model-registry/MNIST-dev:production").aliases
    grouped = {run.job_type for run in api.runs("model-registry-dev", filters={"group": "longer"})}
    assert grouped == {"train_model", "register_model", "evaluate_model", "promote_model"}

    # Back to what is committed: the run cache restores it, nothing is trained, the registry still has it
    pipeline.git("checkout", "--", ".")
    back = pipeline.run("dvc", "repro")
    assert "epoch" not in back.text.lower().replace("train.epochs", "")
    assert model_md5(pipeline) == first
    assert pipeline.run("dvc-wandb", "mirror").code == 0
    assert api.artifact(f"model-registry-dev/mnist_model:dvc-{first}").version == "v0"
    assert pipeline.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_change_in_how_the_digits_are_read_reruns_all_that_read_them(clone: Clone):
    file = clone.path / "stages/dataset.py"
    file.write_text(file.read_text().replace('f"x_{name}"), _read', 'f"x_{name}")[::-1], _read'))
    told = clone.json("dvc", "status", "--json")
    changed = {stage for stage, found in told.items() for one in found if "stages/dataset.py" in str(one)}
    assert changed == {"prepare", "train", "evaluate", "promote"}


@pytest.mark.soak
def test_a_better_model_replaces_production_and_git_brings_the_old_one_back(pipeline: Clone, api: wandb.Api):
    """On main, with the README's commands. What test_a_changed_epoch_count trained comes from the run cache."""
    make = ("make", "--assume-old=.venv/installed", "--assume-old=packages.yaml")
    first = model_md5(pipeline)
    try:
        pipeline.set(train__epochs=6, promote__require="not_worse", promote__tolerated_drop=0.05)
        done = pipeline.run("dvc", "repro")
        second = model_md5(pipeline)
        assert f"model {second[:8]} replaces {first[:8]}" in done.text
        pipeline.git("commit", "--quiet", "--all", "--message", "Train for six epochs")
        assert f"{second[:8]} is production now" in pipeline.run(*make, "promote").text
        assert api.artifact("model-registry/MNIST-dev:production").metadata["dvc"]["md5"] == second

        assert pipeline.run(*make, "rollback").ran == ["promote"]
        assert json.loads(pipeline.read("production.json"))["model_md5"] == first
        pipeline.git("commit", "--quiet", "--all", "--message", "Back")
        again = pipeline.run(*make, "promote")
        assert again.ran == []
        assert f"{first[:8]} is production now" in again.text
        assert api.artifact("model-registry/MNIST-dev:production").metadata["dvc"]["md5"] == first
    finally:
        pipeline.git("reset", "--quiet", "--hard", pipeline.git("rev-list", "--max-parents=0", "HEAD").strip())
        pipeline.run("dvc", "repro")


@pytest.mark.slow
def test_another_branch_records_and_leaves_the_alias_alone(pipeline: Clone, api: wandb.Api):
    before = api.artifact("model-registry/MNIST-dev:production").metadata["dvc"]["md5"]
    pipeline.git("checkout", "--quiet", "-b", "side")
    try:
        pipeline.set(promote__min_accuracy=0.8)
        done = pipeline.run("dvc", "repro", "promote")
        assert done.ran == ["promote"]
        assert "this is the branch side, not main" in done.text
        assert api.artifact("model-registry/MNIST-dev:production").metadata["dvc"]["md5"] == before
    finally:
        pipeline.git("checkout", "--quiet", "--force", "main")


@pytest.mark.slow
@pytest.mark.parametrize("branches", ["[]", "main", "5"])
def test_the_alias_moves_on_listed_branches_only(pipeline: Clone, branches: str):
    pipeline.set(promote__branches=branches)
    try:
        done = pipeline.run("dvc", "repro", "--force", "--single-item", "promote", ok=False)
        assert "is production" not in done.text
        assert "Traceback" not in done.text
    finally:
        pipeline.git("checkout", "--quiet", "--", ".")


def test_a_model_below_the_threshold_leaves_production_as_it_was(pipeline: Clone, api: wandb.Api):
    before = pipeline.read("production.json")
    pipeline.set(promote__min_accuracy=0.999)
    try:
        done = pipeline.run("dvc", "repro")
        assert done.ran == ["promote"]
        assert "< 0.999" in done.text
        assert pipeline.read("production.json") == before
        assert json.loads(pipeline.read("reports/promotion.json"))["promoted"] is False
    finally:
        pipeline.git("checkout", "--quiet", "--", ".")
