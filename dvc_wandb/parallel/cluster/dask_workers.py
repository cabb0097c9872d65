"""Dask, by a process that is connected to its scheduler: a client's threads don't go with the forks of the head."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

from dvc_wandb.errors import DvcWandbError, ProjectError
from dvc_wandb.parallel.cluster.engine import ClusterBusyError, JobState
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.resources import Resources
from dvc_wandb.recorder import client

PATIENCE = 60.0  # seconds for the scheduler to answer
START_SECONDS = 60.0  # for the client to be connected, with the time that Python takes to import it
OURS = ("WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_MODE", "WANDB_ENTITY", "WANDB_PROJECT")
OF_SLURM = {"minutes"}  # a number, and nothing that a worker has some of


class DaskWorkers:
    """The workers of the scheduler at an address HOST:PORT."""

    name = "Dask"

    def __init__(self, address: str) -> None:
        """Raises ClusterError if no scheduler answers."""
        if not find_spec("distributed"):
            raise DvcWandbError("`--on dask://…` needs its package: `pip install distributed`, or dvc-wandb[dask].")
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None
        self._connect()

    def check(self, stages: Collection[PlannedStage]) -> list[str]:
        left_out = sorted({name for stage in stages for name in stage.resources.keys() - _numbers(stage.resources)})
        for stage in stages:
            for name, value in _numbers(stage.resources).items():
                if value < 0:
                    raise ProjectError(f"stage '{stage.name}' asks for {value} of the resource '{name}'.")
        return (
            [f"Dask's resources are numbers of something: it has no use for {', '.join(left_out)}."] if left_out else []
        )

    def submit(self, name: str, resources: Resources, variables: dict[str, str], shared_folder: str | None) -> str:
        assert shared_folder is None
        own = {key: os.environ[key] for key in OURS if key in os.environ}
        return self._ask("submit", name, _numbers(resources), {**own, **variables})

    def states(self) -> dict[str, JobState]:
        return {job: JobState(*fields) for job, fields in self._ask("states").items()}

    def interrupt(self, jobs: Collection[str]) -> None:
        self.cancel(jobs)

    def cancel(self, jobs: Collection[str]) -> None:
        if jobs:
            self._ask("cancel", list(jobs))

    def cancel_command(self, jobs: Collection[str]) -> str:
        return f"Client('{self._address}').cancel({list(jobs)})"

    def _connect(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dvc_wandb.parallel.cluster.dask_client", f"tcp://{self._address}"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(client.import_path())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the head
        )
        try:
            self._answer(START_SECONDS)
        except ClusterBusyError:
            raise ClusterBusyError(f"no Dask scheduler answers at {self._address}") from None

    def _ask(self, method: str, *arguments: Any) -> Any:
        """What the client answers, started again if it is gone. Raises ClusterError."""
        if self._process is None:
            self._connect()
        assert self._process
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps([method, *arguments]).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._end()
            raise ClusterBusyError(f"the connection to Dask's scheduler at {self._address} is gone") from None
        return self._answer(PATIENCE)

    def _answer(self, seconds: float) -> Any:
        assert self._process
        assert self._process.stdout
        line = b""
        if select.select([self._process.stdout], [], [], seconds)[0]:
            line = self._process.stdout.readline()
        if not line:
            self._end()
            raise ClusterBusyError(f"Dask's scheduler at {self._address} doesn't answer")
        ok, answer = json.loads(line)
        if not ok:
            raise ClusterBusyError(f"Dask's scheduler at {self._address}: {answer}")
        return answer

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None


def _numbers(resources: Resources) -> dict[str, float]:
    """What Dask calls resources: how much of something a worker has. A text, or a switch, is for another engine."""
    return {
        name: value
        for name, value in resources.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in OF_SLURM
    }
