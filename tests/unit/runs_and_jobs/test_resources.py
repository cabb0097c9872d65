"""What a stage asks for, in SLURM's words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dvc_wandb.errors import ProjectError
from dvc_wandb.parallel import resources
from dvc_wandb.parallel.cluster import slurm
from dvc_wandb.parallel.cluster.engine import JobState
from dvc_wandb.parallel.resources import Resources


def test_a_stage_asks_over_the_defaults(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("resources: {minutes: 30, partition: cpu}\n")
    default = resources.defaults(tmp_path)
    stage = SimpleNamespace(meta={"wandb": {}, "resources": {"gpus": 1, "partition": "gpu"}})
    assert resources.of_stage(stage, "train", default) == {"minutes": 30, "partition": "gpu", "gpus": 1}
    assert resources.of_stage(SimpleNamespace(meta=None), "other", default) == default
    (tmp_path / "params.yaml").unlink()
    assert resources.defaults(tmp_path) == {}


@pytest.mark.parametrize("table", ["4", [1], {"cpus": [1]}, {"cpus": None}])
def test_what_is_no_table_of_values_is_refused_by_its_place(table: Any):
    with pytest.raises(ProjectError, match=r"^dvc.yaml: stage 'train': meta.resources"):
        resources.of_stage(SimpleNamespace(meta={"resources": table}), "train", {})


def test_resources_are_options_of_sbatch():
    asked: Resources = {"cpus": 4, "gpus": 1, "memory": "8G", "minutes": 30, "exclusive": True, "spread_job": False}
    expected = ["--cpus-per-task=4", "--gpus=1", "--mem=8G", "--time=30", "--exclusive"]
    assert slurm.options("train", asked) == expected
    assert slurm.options("train", {"ntasks_per_node": 1}) == ["--ntasks-per-node=1"]


@pytest.mark.parametrize("name", ["output", "requeue", "job_name", "export", "a b", "-x", "Mem"])
def test_an_option_that_is_ours_or_none_is_refused(name: str):
    with pytest.raises(ProjectError, match=f"stage 'train' asks for the resource '{name}', which is no option"):
        slurm.options("train", {name: 1})


@pytest.mark.parametrize(("state", "over"), [("PENDING", False), ("COMPLETING", False), ("NODE_FAIL", True)])
def test_a_job_is_over_in_any_state_that_is_not_an_active_one(state: str, over: bool):
    assert JobState(state, "", "").is_over is over
