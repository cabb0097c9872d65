"""SLURM's commands: sbatch, squeue, scancel. None of them needs its accounting."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.errors import DvcWandbError, ProjectError
from dvc_wandb.parallel.resources import Resources

PATIENCE = 60.0  # seconds for SLURM to answer
OF_SLURM = {"cpus": "cpus-per-task", "gpus": "gpus", "memory": "mem", "minutes": "time"}
OURS = {"array", "chdir", "error", "export", "job-name", "no-requeue", "open-mode", "output", "parsable", "requeue"}
OURS |= {"signal", "wait", "wrap"}


BUSY = (
    "Socket timed out",
    "Unable to contact",
    "temporarily unable",
    "Connection refused",
    "Zero Bytes were transmitted",
)


class SlurmError(DvcWandbError):
    """SLURM refuses something."""


class SlurmBusyError(SlurmError):
    """SLURM doesn't answer now."""


@dataclass(frozen=True)
class JobState:
    """What squeue says of a job: its state, the nodes that it has, and why it waits."""

    state: str
    nodes: str
    reason: str

    @property
    def is_over(self) -> bool:
        return self.state not in ACTIVE


ACTIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}
ACTIVE |= {"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "RESV_DEL_HOLD", "SPECIAL_EXIT", "REVOKED"}


def require() -> None:
    """Raises SlurmError if SLURM's commands are not on this machine."""
    if missing := [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]:
        raise SlurmError(f"{', '.join(missing)} not found: `--on slurm` works on a machine that SLURM takes jobs from.")


def options(stage: str, resources: Resources) -> list[str]:
    """sbatch's options for what `stage` asks for. Raises ProjectError for one that is none, or is ours."""
    found = []
    for key, value in resources.items():
        name = OF_SLURM.get(key, key.replace("_", "-"))
        if name in OURS or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ProjectError(
                f"stage '{stage}' asks for the resource '{key}', which is no option of sbatch, or one that we set."
            )
        if value is not False:
            found.append(f"--{name}" if value is True else f"--{name}={value}")
    return found


def submit(folder: Path, name: str, resources: Resources, environment: dict[str, str]) -> str:
    """The id of a new job that runs what stands in the folder of a job. Raises SlurmError, ProjectError."""
    command = [sys.executable, "-P", "-m", "dvc_wandb.parallel.slurm.node", str(folder)]  # by the same Python
    sbatch = ["sbatch", "--parsable", "--no-requeue", "--export=ALL", f"--job-name={name}", "--output=output"]
    said = _run(
        [*sbatch, f"--chdir={folder}", *options(name, resources)],
        text=f"#!/bin/sh\nexec {shlex.join(command)}\n",
        # A head may be in a job itself: what SLURM says of that is wrong for ours
        environment={key: value for key, value in environment.items() if not re.match("SLURM_(?!CONF)", key)},
    )
    return said.strip().partition(";")[0]


def states() -> dict[str, JobState]:
    """The jobs of this user, by their ids; ended ones for as long as SLURM remembers them. Raises SlurmError."""
    said = _run(["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%N|%r"])
    fields = (line.split("|", 3) for line in said.splitlines())
    return {job: JobState(state, nodes, reason) for job, state, nodes, reason in fields}


def interrupt(jobs: Collection[str]) -> None:
    """Ctrl-C for those that work; the end for those that wait. Raises SlurmError."""
    if jobs:
        _run(["scancel", "--state=PENDING", *jobs])
        _run(["scancel", "--batch", "--signal=INT", *jobs])


def cancel(jobs: Collection[str]) -> None:
    """Raises SlurmError."""
    if jobs:
        _run(["scancel", *jobs])


def _run(command: list[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise SlurmBusyError(f"{command[0]} doesn't answer for {PATIENCE:.0f} s") from None
    if done.returncode and not _already_gone(done.stderr):
        why = (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
        kind = SlurmBusyError if any(one in done.stderr for one in BUSY) else SlurmError
        raise kind(f"{command[0]}: {re.sub(rf'^{command[0]}: error: ', '', why)}")
    return done.stdout


def _already_gone(said: str) -> bool:
    """Whether scancel refuses since a job has ended meanwhile."""
    return "already completing or completed" in said or "Invalid job id" in said
