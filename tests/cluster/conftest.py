"""Two engines, Dask and SLURM, on machines that don't see the head's folder; an S3 store is between."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import slurm
from tests.cluster.dask import Dask
from tests.cluster.slurm import Slurm
from tests.conftest import Clone
from tests.engines.object_storage import KEYS, storage_in

Engine = Slurm | Dask


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that no worker and no node sees."""
    return tmp_path_factory.mktemp("heads")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with storage_in(tmp_path_factory.mktemp("storage")) as url:
        yield url


@pytest.fixture(scope="module", params=["dask", "slurm"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, heads: Path) -> Iterator[Engine]:
    if request.param == "slurm" and (lacking := slurm.missing()):
        pytest.skip(f"SLURM isn't installed: {', '.join(lacking)} not found")
    folder = tmp_path_factory.mktemp(request.param)
    started = Dask(folder, heads, KEYS) if request.param == "dask" else Slurm(folder, hidden=heads)
    yield started
    started.close()


def wait_for(head: subprocess.Popen[Any], engine: Engine) -> None:
    """Wait for the end of the command, and do meanwhile what SLURM leaves to an administrator."""
    deadline = time.monotonic() + 300
    while head.poll() is None and time.monotonic() < deadline:
        time.sleep(0.5)
        if isinstance(engine, Slurm):
            engine.resume_drained()


def ready(project: Clone, engine: Engine, storage: str) -> Clone:
    """The project with an S3 remote of its own, and what the head needs to reach the engine."""
    name = project.path.parent.name
    project.env.update(KEYS)
    if isinstance(engine, Slurm):
        project.env.update(engine.env, PATH=f"{project.env['PATH']}:{slurm.SEARCH}")
    project.run("dvc", "remote", "add", "--default", "store", f"s3://team/{engine.name}/{name}")
    project.run("dvc", "remote", "modify", "store", "endpointurl", storage)
    return project
