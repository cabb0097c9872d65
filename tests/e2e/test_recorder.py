"""The recorder beside a `dvc repro`: nothing is missing when DVC returns, and nothing is left when it dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import wandb

from tests.conftest import Clone, eventually


def recorders(clone: Clone) -> list[psutil.Process]:
    """The recorders that work in this clone, without what one of them is just about to start as another program."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if "dvc_wandb.recorder" in process.cmdline() and Path(process.cwd()) == clone.path:
                found[process.pid] = process
        except psutil.Error:
            continue
    return [process for process in found.values() if parent(process) not in found]


def parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def runs_of(api: wandb.Api, stage: str) -> dict[str, str]:
    """The state of each run of a stage."""
    api.flush()
    return {run.id: run.state for run in api.runs("model-registry-dev", filters={"display_name": stage})}


def start(clone: Clone, stage: str) -> subprocess.Popen[str]:
    """`dvc repro` of one stage, its output as a pipe."""
    return subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", stage],
        cwd=clone.path,
        env={**clone.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def test_all_stages_are_mirrored_once_and_in_order_and_nobody_stays(pipeline: Clone):
    said = re.findall(r"^(\w+): \d+ s, mirrored as http", pipeline.said["repro"].text, flags=re.MULTILINE)
    assert said == pipeline.said["repro"].ran
    assert not [stage for stage in pipeline.said["repro"].ran if f"mirroring {stage}" in pipeline.said["mirror"].text]
    assert eventually(lambda: not recorders(pipeline))
    assert not list(pipeline.path.glob(".dvc/tmp/recorder-*"))
    assert not list(pipeline.path.glob(".dvc/tmp/dvc-wandb-tmp-*"))


def test_the_address_to_look_at_is_there_before_the_first_epoch_ends(pipeline: Clone):
    said = pipeline.said["repro"].text
    assert 0 < said.index("Look at it: http://127.0.0.1:") < said.index("epoch 1/")


def test_what_a_stage_prints_is_in_its_runs_log(pipeline: Clone, api: wandb.Api, tmp_path: Path):
    (run,) = api.runs("model-registry-dev", filters={"display_name": "prepare"})
    log = run.file("output.log").download(str(tmp_path)).read()
    assert "Generated 4200 rows of training data." in log


@pytest.mark.slow
def test_one_stage_alone_is_mirrored_when_dvc_returns(pipeline: Clone, api: wandb.Api):
    before = runs_of(api, "register")
    pipeline.run("dvc", "repro", "--force", "--single-item", "register")
    after = runs_of(api, "register")
    assert [state for id, state in after.items() if id not in before] == ["finished"]


@pytest.mark.parametrize("killed", ["stage", pytest.param("group", marks=pytest.mark.soak)])
def test_a_killed_stage_ends_as_a_failed_run_and_its_recorder_goes(pipeline: Clone, api: wandb.Api, killed: str):
    before = runs_of(api, "evaluate")
    process = start(pipeline, "evaluate")
    read_until(process, "> python -m stages.evaluate")
    assert eventually(lambda: runs_of(api, "evaluate").keys() - before.keys())
    if killed == "stage":
        (stage,) = (
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "stages.evaluate" in child.cmdline() and "python" in child.name()
        )
        stage.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (new,) = runs_of(api, "evaluate").keys() - before.keys()
    assert eventually(lambda: runs_of(api, "evaluate")[new] in ("failed", "crashed"))
    assert eventually(lambda: not recorders(pipeline))
    pipeline.run("dvc", "checkout", "--force")
    pipeline.run("git", "checkout", "--quiet", ".")


@pytest.mark.slow
def test_a_killed_recorder_costs_the_mirror_not_the_stage(pipeline: Clone):
    process = start(pipeline, "evaluate")
    said = read_until(process, "> python -m stages.evaluate")
    assert eventually(lambda: recorders(pipeline))
    time.sleep(1)  # the stage has begun
    (recorder,) = recorders(pipeline)
    recorder.kill()
    assert process.stdout is not None
    said += process.stdout.read()
    assert process.wait() == 0, said
    assert "Traceback" not in said
    if ", mirrored as " not in said:  # else the machine was slow, and another recorder took its place at once
        assert "evaluate: not mirrored: the recorder is gone" in said
        assert "`dvc-wandb mirror`" in said
    assert "not there" not in pipeline.run("dvc-wandb", "mirror").text
    assert pipeline.git("status", "--porcelain") == ""
