"""`dvc-wandb mirror`: makes up what is missing, from the workspace or from DVC's cache, and says what it can't."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Clone, api_of


@pytest.fixture
def emptied(pipeline: Clone, tmp_path: Path) -> dict[str, str]:
    """The environment of a registry that holds nothing yet, beside the pipeline's own."""
    return {"REGISTRY_DIR": str(tmp_path / "registry")}


@pytest.mark.soak
def test_bytes_come_from_the_cache_where_the_workspace_lacks_them(pipeline: Clone, emptied: dict[str, str]):
    (pipeline.path / "models/model.h5").unlink()
    shutil.rmtree(pipeline.path / "data/mnist")
    try:
        text = pipeline.run("dvc-wandb", "mirror", env=emptied).text
        assert "not there" not in text
        assert "mnist_dataset:v0" in text
    finally:
        pipeline.run("dvc", "checkout")
        pipeline.run("wandb-registry", "stop", env=emptied)


@pytest.mark.soak  # tests/dvc_wandb/projects/test_remote.py has it of a smaller project
def test_bytes_that_are_nowhere_are_named_and_the_rest_is_mirrored(pipeline: Clone, emptied: dict[str, str], tmp_path):
    model, cache = pipeline.path / "models/model.h5", pipeline.path / ".dvc/cache"
    model.rename(tmp_path / "model.h5")
    cache.rename(tmp_path / "cache")
    try:
        done = pipeline.run("dvc-wandb", "mirror", ok=False, env=emptied)
        assert done.code == 1
        assert "Traceback" not in done.text
        assert "train was not mirrored: neither the workspace nor DVC's cache holds models/model.h5" in done.text
        assert "mnist_dataset:v0" in done.text
        assert "reports-history.csv:v0" in done.text  # also what that stage made besides
    finally:
        (tmp_path / "cache").rename(cache)
        (tmp_path / "model.h5").rename(model)
        pipeline.run("wandb-registry", "stop", env=emptied)


@pytest.mark.soak  # tests/dvc_wandb/mirroring/test_interrupt.py does it to a smaller project
def test_a_mirror_killed_again_and_again_goes_on_and_doubles_nothing(
    pipeline: Clone, emptied: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    command = ["dvc-wandb", "mirror"]
    for seconds in (2.5, 4.0, 5.5):
        process = subprocess.Popen(
            command,
            cwd=pipeline.path,
            env={**pipeline.env, **emptied},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "not there" not in pipeline.run(*command, env=emptied).text
    assert "mirroring" not in pipeline.run(*command, env=emptied).text

    api = api_of(pipeline, monkeypatch, tmp_path, emptied["REGISTRY_DIR"])
    runs = list(api.runs("model-registry-dev"))
    assert sorted(run.job_type for run in runs if run.state == "finished") == [
        "build_dataset",
        "evaluate_model",
        "promote_model",
        "register_model",
        "sources",
        "train_model",
    ]
    assert len(runs) == 6
    for collection in ("mnist_dataset", "mnist_model"):
        assert (
            len(list(api.artifact_collection(collection.split("_")[1], f"model-registry-dev/{collection}").artifacts()))
            == 1
        )
    pipeline.run("wandb-registry", "stop", env=emptied)
