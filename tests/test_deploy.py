"""What deploy/ has is valid by the tools' own validators; nginx.conf is run by tests/engines/proxy.py."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.working_tree import ROOT
from wandb_registry.openid import settings


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("There is no systemd to check by. Install it: sudo apt-get install systemd")
    unit = (ROOT / "deploy/wandb-registry.service").read_text()
    program = "/opt/wandb-registry/.venv/bin/wandb-registry"
    assert unit.count(program) == 1
    (tmp_path / "wandb-registry.service").write_text(unit.replace(program, sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "wandb-registry.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "wandb-registry" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_the_unit_serves_with_options_that_there_are(tmp_path: Path):
    [line] = [
        line for line in (ROOT / "deploy/wandb-registry.service").read_text().splitlines() if "ExecStart=" in line
    ]
    options = line.split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "wandb_registry", *options, "--host", "203.0.113.1"],  # of no machine: it ends at once
        env={"REGISTRY_DIR": str(tmp_path / "store"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "of 203.0.113.1 can't be used" in done.stderr


def test_the_file_of_who_signs_in_is_one_that_serve_takes():
    read = settings.read(ROOT / "deploy/openid.toml")
    assert read.teams == ["vision"]
    assert [machine.account for machine in read.machines] == ["vision-ci"]


def test_compose_has_what_its_schema_knows():
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / "deploy/compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
