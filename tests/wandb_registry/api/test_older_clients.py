"""SDKs that people still have run the walkthrough: each in a virtual environment of its own, from the package index."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.wandb_registry.conftest import Registry

SCRIPT = Path(__file__).with_name("older_client.py")
# The first and last of each way of asking: Python's own client, introspection, the Go client, generated documents.
VERSIONS = ("0.17.9", "0.18.7", "0.19.11", "0.20.1", "0.21.4", "0.22.3", "0.23.1", "0.25.1")


HEADERS = {"User-Agent": "W&B Public Client 0.19.11", "Accept-Encoding": "gzip, deflate"}  # as it asks


def test_an_older_client_is_told_why_it_is_refused(registry: Registry):
    """Of a filter or a report that isn't known here it showed '400 Client Error: Bad Request', and no more."""
    registry.api().create_project("older", registry.entity)
    for asked, said in (
        ("allViews { id }", "is not supported by this registry"),
        ('runs(filters: "{\\"id\\": 1}") { totalCount }', "Runs have no field 'id'"),
    ):
        query = f'query Asked {{ project(name: "older", entityName: "local") {{ {asked} }} }}'
        answer = registry.send("POST", "/graphql", json.dumps({"query": query}).encode(), headers=HEADERS)
        assert (answer.status, said in answer.json()["errors"][0]["message"]) == (200, True), answer.text


@pytest.fixture(params=VERSIONS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The SDK's version, and a Python that has it."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    # setuptools: some older SDKs import pkg_resources, which new environments lack
    wanted = [f"wandb=={request.param}", "numpy", "pillow", "setuptools<81"]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"wandb {request.param} can't be installed here: {installed.stderr.strip().splitlines()[-1]}")
    return request.param, python


@pytest.mark.soak
def test_an_older_client_runs_the_walkthrough(registry: Registry, older: tuple[str, Path], tmp_path: Path):
    version, python = older
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
    done = subprocess.run(
        [python, SCRIPT],
        env=clean | {"HOME": str(tmp_path), "TEST_PROJECT": f"older-{version}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "version": version,
        "rows": [0, 1, 2, 3, 4],
        "weights": "weights",
        "production": "v0",
        "aliases": [["latest", "production"]],
        "run": ["finished", {"lr": 0.1}, 1 / 3],
        "losses": [1, 0.5, 1 / 3],
        "history": 3,
        "used": ["digits:v0"],
        "logged": ["model"],
        "used_by": 1,
        "jobs": ["build_dataset", "train_model", "evaluate_model"],
        "files": True,
    }
