"""Recorders of processes that work at the same time, that nobody reaps, and of other machines."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from tests.other_machine import OTHER_MACHINE
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  quick:
    cmd: python stage.py quick
    deps: [stage.py]
    outs: [quick.txt]
  slow:
    cmd: python stage.py slow
    deps: [stage.py]
    outs: [slow.txt]
"""
STAGE = """
import pathlib, sys, time
from dvc_wandb import tracked_run
with tracked_run(sys.argv[1]) as run:
    print("begun", flush=True)
    while sys.argv[1] == "slow" and not pathlib.Path("go").exists():
        time.sleep(0.05)
    run.out(f"{sys.argv[1]}.txt").write_text("made")
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Clone]:
    """A project whose stage `slow` ends once there is a file `go`."""
    made = project_in(tmp_path / "project")
    made.env["REGISTRY_IDLE_SECONDS"] = "900"
    made.git("init", "--quiet")
    made.run("dvc", "init", "--quiet")
    (made.path / "dvc.yaml").write_text(STAGES)
    (made.path / "stage.py").write_text(STAGE)
    yield made
    daemon.stop(made.path / ".registry")


def start(project: Clone, stage: str) -> subprocess.Popen[str]:
    """`dvc repro` of one stage, which has begun."""
    process = subprocess.Popen(
        ["dvc", "--wait-for-lock", "repro", "--single-item", stage],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = ""
    while "begun" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return process


def cards(project: Clone) -> list[Path]:
    return list(project.path.glob(".dvc/tmp/recorder-*.json"))


def test_verify_waits_for_no_stage_that_works_and_other_machines_leave_its_recorder_alone(project: Clone):
    """It waited for the end of a training; and on another machine the card of a recorder at work was removed."""
    project.run("dvc", "repro", "quick")
    slow = start(project, "slow")
    try:
        (card,) = cards(project)
        assert card.with_suffix(".log").exists()
        assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify").text
        elsewhere = project.run("dvc-wandb", "verify", ok=False, under=OTHER_MACHINE).text
        assert f"If that machine is gone, remove {card}." in elsewhere
        assert "can't be reached from" in elsewhere
        assert cards(project) == [card]
    finally:
        (project.path / "go").touch()
        said, _ = slow.communicate()
    assert " s, mirrored as http" in said
    assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify").text
    deadline = time.monotonic() + 300
    while list(project.path.glob(".dvc/tmp/recorder-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(project.path.glob(".dvc/tmp/recorder-*"))


def test_a_recorder_ends_with_a_dvc_that_nobody_reaps(project: Clone):
    """It stayed for ten minutes: a process that has ended is there until its parent asks for it."""
    quick = start(project, "quick")
    (card,) = cards(project)
    deadline = time.monotonic() + 300
    while card.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert psutil.Process(quick.pid).status() == psutil.STATUS_ZOMBIE
    assert not card.exists()
    quick.communicate()
