"""`dvc-wandb verify` on this pipeline: clean after whatever DVC does, and not fooled about production."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import wandb

from tests.conftest import Clone, account
from wandb_registry import daemon

pytestmark = pytest.mark.slow

VERIFY = ("dvc-wandb", "verify", "--json")
MIRROR = ("dvc-wandb", "mirror")


def verified(pipeline: Clone, **env: str) -> dict[str, object]:
    """What verify says, which must be that all agrees."""
    said = pipeline.json(*VERIFY, env=env)
    assert said["drifts"] == []
    assert said["undeclared_deps"] == []
    return said


@pytest.mark.soak
def test_after_repro_after_a_restore_and_after_an_experiment_was_applied(pipeline: Clone):
    said = verified(pipeline)
    assert (said["stages"], said["outs"]) == (5, 12)
    try:
        # From the run cache, without running what it restores
        (pipeline.path / "dvc.lock").unlink()
        shutil.rmtree(pipeline.path / "models")
        restored = pipeline.run("dvc", "repro")
        assert "Stage 'train' is cached" in restored.text
        verified(pipeline)

        # An experiment's results
        pipeline.run("dvc", "exp", "run", "--name", "lax", "--set-param", "promote.min_accuracy=0.5")
        pipeline.git("checkout", "--quiet", "--", ".")
        pipeline.run("dvc", "exp", "apply", "lax")
        pipeline.run(*MIRROR)
        verified(pipeline)
    finally:
        pipeline.git("checkout", "--quiet", "--force", "main")
        pipeline.run("dvc", "checkout")


@pytest.mark.soak
def test_a_second_registry_and_one_that_was_removed_get_it_all(pipeline: Clone, tmp_path: Path):
    """The second has another port and another store; once removed, a clone of the repository fills it again."""
    second = {"REGISTRY_DIR": str(tmp_path / "second")}
    clone = Clone(tmp_path / "clone", pipeline.env)
    pipeline.git("clone", "--quiet", str(pipeline.path), str(clone.path))
    clone.run("dvc", "cache", "dir", "--local", str(pipeline.path / ".dvc/cache"))
    for project in (pipeline, clone):
        try:
            project.run(*MIRROR, env=second)
            verified(project, **second)
            assert account(pipeline)["WANDB_BASE_URL"] != account(project, second["REGISTRY_DIR"])["WANDB_BASE_URL"]
        finally:
            daemon.stop(tmp_path / "second")
            shutil.rmtree(tmp_path / "second")


def test_a_click_on_production_is_named_and_promote_mends_it(pipeline: Clone, api: wandb.Api, tmp_path: Path):
    recorded = json.loads(pipeline.read("production.json"))["model_md5"]
    with wandb.init(project="model-registry-dev", settings=wandb.Settings(silent=True)) as run:
        artifact = wandb.Artifact("mnist_model", "model")
        with artifact.new_file("model.h5") as file:
            file.write("somebody's own")
        run.link_artifact(run.log_artifact(artifact).wait(), "model-registry/MNIST-dev", aliases=["production"])
    done = pipeline.run(*VERIFY, ok=False, stderr=None)
    assert done.code == 1
    (drift,) = json.loads(done.text)["drifts"]
    assert (drift["what"], drift["where"]) == ("wrong production", "production.json")
    assert recorded in drift["lock"]
    assert "production" in drift["registry"]
    assert drift["mend"] == "dvc-wandb promote, or dvc-wandb promote --from registry"
    pipeline.run(*drift["mend"].partition(",")[0].split())
    verified(pipeline)
