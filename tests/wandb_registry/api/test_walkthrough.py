"""W&B's own walkthrough, as a stranger would run it against this server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.wandb_registry.conftest import Registry
from tests.working_tree import ROOT

SCRIPT = ROOT / "examples/walkthrough.py"


def test_the_walkthrough_runs_with_nothing_but_a_key_and_an_address(registry: Registry, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :]) == {
        "same_digits": True,
        "epochs_logged": [0, 1],
        "after_first": {"v0": ["production"], "v1": ["latest"]},
        "after_second": {"v0": [], "v1": ["latest", "production"]},
        "production": "v1",
        "made_from": ["mnist_dataset:v0"],
        "used_by": True,
        "source": "local/model-registry-dev/mnist_model:v0",
        "evaluation": True,
    }
