"""This repository's own pipeline on machines that share no folder with the head, and side by side on this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Engine, ready
from tests.conftest import Clone, clone_into
from tests.dvc_wandb.kinds import copy
from wandb_registry import daemon

pytestmark = pytest.mark.cluster
SMALL = {"data__train_size": 300, "data__eval_size": 60, "train__epochs": 1}


def written(project: Clone) -> dict[str, bytes]:
    """What git has of a run: dvc.lock, the .gitignore files, metrics, plots, the decision."""
    listed = project.git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name: (project.path / name).read_bytes() for name in listed if name != ".dvc/config"}


@pytest.fixture(scope="module")
def serial(heads: Path) -> Clone:
    """A clone with few digits in which `dvc repro` has run."""
    folder = heads / "own/fresh"
    folder.mkdir(parents=True)
    fresh = clone_into(folder)
    fresh.set(**SMALL)
    done = copy(fresh, folder.with_name("serial"))
    try:
        done.run("dvc", "repro")
    finally:
        daemon.stop(done.path / ".registry")
    return done


def fresh_copy(serial: Clone, path: Path) -> Clone:
    return copy(Clone(serial.path.with_name("fresh"), dict(serial.env)), path)


def test_it_gives_the_bytes_of_a_serial_run_side_by_side(serial: Clone, heads: Path):
    project = fresh_copy(serial, heads / "own/jobs")
    runs_as_serially(project, serial)


def test_it_gives_the_bytes_of_a_serial_run_elsewhere(serial: Clone, heads: Path, engine: Engine, storage: str):
    (heads / f"own-{engine.name}").mkdir()
    project = ready(fresh_copy(serial, heads / f"own-{engine.name}/away"), engine, storage)
    runs_as_serially(project, serial, *engine.options)


def runs_as_serially(project: Clone, serial: Clone, *options: str) -> None:
    try:
        said = project.run("dvc-wandb", "repro", *options).text
        assert "5 stages in" in said
        assert "5 ran" in said
        assert said.count(" mirrored as http") == 5, said
        assert written(project) == written(serial)
        assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify").text
        assert project.run("dvc", "repro").ran == []
    finally:
        daemon.stop(project.path / ".registry")
