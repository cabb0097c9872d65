"""Whole projects on all ways to run stages side by side: our own pipeline, and one of the shape of DVC's example."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import import_project
from tests.cluster.conftest import Engine, ready
from tests.conftest import Clone, clone_into
from tests.dvc_wandb.kinds import copy
from wandb_registry import daemon

pytestmark = pytest.mark.cluster
SMALL = {"data__train_size": 300, "data__eval_size": 60, "train__epochs": 1}


@pytest.fixture(scope="module", params=["own", "import"])
def fresh(request: pytest.FixtureRequest, heads: Path) -> Clone:
    """A project in which nothing has run: this repository's with few digits, or the other. Tests copy it."""
    path = Path(tempfile.mkdtemp(prefix=f"{request.param}-", dir=heads)) / "fresh"  # pytest may make it twice
    if request.param == "import":
        return import_project.make(path)
    path.mkdir()
    own = clone_into(path)
    own.set(**SMALL)
    return own


@pytest.fixture(scope="module")
def serial(fresh: Clone) -> Iterator[Clone]:
    """The same after `dvc repro`."""
    done = copy(fresh, fresh.path.with_name("serial"))
    try:
        done.said["repro"] = done.run("dvc", "repro")
        yield done
    finally:
        daemon.stop(done.path / ".registry")


def test_stages_side_by_side_give_the_bytes_of_a_serial_run(fresh: Clone, serial: Clone, tmp_path: Path):
    runs_as_serially(copy(fresh, tmp_path / "jobs"), serial, "--jobs", "4")


@pytest.mark.parametrize("engine", ["slurm"], indirect=True)
def test_nodes_that_share_the_folder_give_the_bytes_of_a_serial_run(
    fresh: Clone, serial: Clone, tmp_path: Path, engine: Engine, storage: str
):
    runs_as_serially(ready(copy(fresh, tmp_path / "shared"), engine, storage), serial, "--on", "slurm")


def test_machines_elsewhere_give_the_bytes_of_a_serial_run(fresh: Clone, serial: Clone, engine: Engine, storage: str):
    project = copy(fresh, fresh.path.with_name(f"away-{engine.name}"))
    runs_as_serially(ready(project, engine, storage), serial, *engine.options)


def runs_as_serially(project: Clone, serial: Clone, *options: str) -> None:
    stages = serial.said["repro"].ran
    try:
        said = project.run("dvc-wandb", "repro", *options).text
        assert f" {len(stages)} ran" in said, said
        assert said.count(" mirrored as http") == serial.said["repro"].text.count(" mirrored as http"), said
        assert written(project) == written(serial)
        project.run("dvc-wandb", "mirror")
        assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify").text
        assert project.run("dvc", "repro").ran == []
    finally:
        daemon.stop(project.path / ".registry")


def written(project: Clone) -> dict[str, bytes]:
    """What git has of a run: dvc.lock, the .gitignore files, metrics, plots, the decision."""
    listed = project.git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name: (project.path / name).read_bytes() for name in listed if name != ".dvc/config"}
