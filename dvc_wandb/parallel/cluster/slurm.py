"""SLURM, by its commands: sbatch, squeue, scancel. None of them needs its accounting."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection

from dvc_wandb.errors import ProjectError
from dvc_wandb.parallel.cluster.engine import ClusterBusyError, ClusterError, JobState
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.resources import Resources
from dvc_wandb.recorder import client

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


class Slurm:
    """The SLURM that this machine submits to."""

    name = "SLURM"

    def __init__(self) -> None:
        """Raises ClusterError if SLURM's commands are not on this machine."""
        if missing := [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]:
            named = ", ".join(missing)
            raise ClusterError(f"{named} not found: `--on slurm` works on a machine that SLURM takes jobs from.")

    def check(self, stages: Collection[PlannedStage]) -> list[str]:
        for stage in stages:
            options(stage.name, stage.resources)
        return []

    def submit(self, name: str, resources: Resources, variables: dict[str, str], shared_folder: str | None) -> str:
        command = [sys.executable, "-P", "-m", "dvc_wandb.parallel.cluster.node"]  # by the same Python
        sbatch = ["sbatch", "--parsable", "--no-requeue", "--export=ALL", f"--job-name={name}"]
        place = (
            ["--output=output", f"--chdir={shared_folder}"] if shared_folder else ["--output=/dev/null", "--chdir=/"]
        )
        # A head may be in a job itself: what SLURM says of that is wrong for ours
        wrong = "SLURM_(?!CONF)" if shared_folder else "SLURM_(?!CONF)|HOME$|XDG_|TMPDIR$"  # a home is the node's own
        environment = {key: value for key, value in os.environ.items() if not re.match(wrong, key)}
        said = _run(
            [*sbatch, *place, *options(name, resources)],
            text=f"#!/bin/sh\nexec {shlex.join(command)}\n",
            environment={**environment, **variables, "PYTHONPATH": os.pathsep.join(client.import_path())},
        )
        return said.strip().partition(";")[0]

    def states(self) -> dict[str, JobState]:
        """Ended jobs for as long as SLURM remembers them."""
        said = _run(["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%N|%r"])
        fields = (line.split("|", 3) for line in said.splitlines())
        return {job: JobState(state, nodes, reason) for job, state, nodes, reason in fields}

    def interrupt(self, jobs: Collection[str]) -> None:
        if jobs:
            _run(["scancel", "--state=PENDING", *jobs])
            _run(["scancel", "--batch", "--signal=INT", *jobs])

    def cancel(self, jobs: Collection[str]) -> None:
        if jobs:
            _run(["scancel", *jobs])

    def cancel_command(self, jobs: Collection[str]) -> str:
        return f"scancel {' '.join(jobs)}"


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
        raise ClusterBusyError(f"{command[0]} doesn't answer for {PATIENCE:.0f} s") from None
    if done.returncode and not _already_gone(done.stderr):
        why = (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
        kind = ClusterBusyError if any(one in done.stderr for one in BUSY) else ClusterError
        raise kind(f"{command[0]}: {re.sub(rf'^{command[0]}: error: ', '', why)}")
    return done.stdout


def _already_gone(said: str) -> bool:
    """Whether scancel refuses since a job has ended meanwhile."""
    return "already completing or completed" in said or "Invalid job id" in said
