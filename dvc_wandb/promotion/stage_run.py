"""Runs the stage that promotes, and reads what it decided."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production.decision import read_decision
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.recorder import client


def repro(stage: PromotingStage, single_item: bool = False) -> None:
    """Run the stage if something changed. Raises DvcWandbError if DVC fails.

    As a `single_item` it runs without the stages before it, if all its dependencies are there.
    """
    pipeline = Pipeline(stage.root)
    arguments = [stage.name]
    if single_item and all((stage.root / dep.path).exists() for dep in pipeline.workspace_execution(stage.name).deps):
        arguments = ["--single-item", stage.name]
    _dvc_repro(stage, *arguments)
    if not single_item and _decision(stage).get("rule") == "waits_for_person":  # what it waited for may be back
        _dvc_repro(stage, "--force", "--single-item", stage.name)
    client.wait_until_idle(stage.root)


def decision(stage: PromotingStage) -> str:
    """The sentence in the stage's report; "" if there is none."""
    return str(_decision(stage).get("decision", ""))


def _dvc_repro(stage: PromotingStage, *arguments: str) -> None:
    sys.stdout.flush()
    process = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", *arguments],
        cwd=stage.root,
        env=stage.environment,
        check=False,
    )
    if process.returncode:
        raise DvcWandbError(f"`dvc repro {' '.join(arguments)}` failed, so production is as it was.")


def _decision(stage: PromotingStage) -> dict[str, Any]:
    pipeline = Pipeline(stage.root)
    execution = next((one for one in pipeline.locked() if one.stage == stage.name), None)
    return read_decision(pipeline, execution) if execution else {}
