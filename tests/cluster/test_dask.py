"""What only Dask has: workers that say what they have, and a scheduler at an address."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.dask import Dask
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def dask(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    started = Dask(tmp_path_factory.mktemp("dask"), heads, {})
    yield started
    started.close()


@pytest.fixture
def project(heads: Path, tmp_path: Path) -> Clone:
    """A stage that asks for a GPU, and for what SLURM has. It ends once there is `go` beside the project's remote."""
    made = project_in(heads / tmp_path.name / "project")
    made.env["WANDB_MODE"] = "disabled"
    made.git("init", "--quiet")
    made.run("dvc", "init", "--quiet")
    made.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    resources = "{gpus: 1, partition: long, minutes: 5}"
    command = f"until test -e {tmp_path}/go; do sleep 0.1; done; echo said > said.txt"
    stage = f"stages:\n  say:\n    cmd: {command}\n    outs: [said.txt]\n    meta: {{resources: {resources}}}\n"
    (made.path / "dvc.yaml").write_text(stage)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "A stage")
    return made


def test_a_stage_waits_for_a_worker_that_has_what_it_asks_for(project: Clone, dask: Dask, tmp_path: Path):
    head = subprocess.Popen(
        ["dvc-wandb", "repro", *dask.options],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert head.stdout
    assert head.stdout.readline() == (
        "dvc-wandb: Dask's resources are numbers of something: it has no use for minutes, partition.\n"
    )
    assert any(line.rstrip().endswith("waits: no worker has gpus: 1") for line in head.stdout)  # up to there
    dask.start_worker("w3", resources="gpus=1")
    assert any(line.rstrip().endswith("works on w3") for line in head.stdout)
    (tmp_path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 0, said
    assert project.read("said.txt") == "said\n"


def test_an_address_where_nothing_is_ends_in_a_sentence(project: Clone):
    refused = project.run("dvc-wandb", "repro", "--on", "dask://127.0.0.1:9", ok=False)
    assert refused.code == 1
    assert refused.text == "dvc-wandb: no Dask scheduler answers at 127.0.0.1:9\n"
    refused = project.run("dvc-wandb", "repro", "--on", "dask://nowhere", ok=False)
    assert refused.code == 2
    assert "'dask://nowhere' is no place: here, slurm or dask://HOST:PORT are expected." in refused.text
    refused = project.run("dvc-wandb", "repro", "--away", ok=False)
    assert (refused.code, refused.text) == (2, "dvc-wandb: --away is for machines elsewhere: add `--on slurm`.\n")
