"""A Dask scheduler and two workers on this machine, each with a folder and a home of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests import working_tree
from tests.cluster.slurm import free_port, hiding
from tests.conftest import eventually
from tests.working_tree import ROOT


class Dask:
    """The processes of the cluster."""

    name = "Dask"
    controller = "scheduler"
    machines = ("w1", "w2")

    def __init__(self, folder: Path, hidden: Path, environment: dict[str, str]) -> None:
        self.folder, self._hidden, self._environment = folder, hidden, environment
        self.address = f"127.0.0.1:{free_port()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.mend()

    @property
    def options(self) -> tuple[str, ...]:
        return ("--on", f"dask://{self.address}")

    def mend(self) -> None:
        """Start what doesn't run."""
        if not self._runs(self.controller):
            for name in self.machines:  # they end without it
                assert eventually(lambda name=name: not self._runs(name)), self.log(name)
            port = self.address.rpartition(":")[2]
            self._start(self.controller, [], "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        for name in self.machines:
            if not self._runs(name):
                self.start_worker(name)

    def start_worker(self, name: str, resources: str = "cpus=2") -> None:
        options = ["--name", name, "--nthreads", "2", "--resources", resources, "--no-nanny", "--no-dashboard"]
        self._start(name, hiding(self._hidden), "worker", f"tcp://{self.address}", *options)
        assert eventually(lambda: "Registered to" in self.log(name).rpartition("Start worker")[2]), self.log(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        self.processes[name].send_signal(number)
        self.processes[name].wait()

    def homes(self, pattern: str) -> list[Path]:
        """What matches in the homes of workers."""
        return [path for name in self.machines for path in (self.folder / name / "home").glob(pattern)]

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text(errors="replace")

    def close(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()

    def _runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _start(self, name: str, under: list[str], *command: str) -> None:
        home = self.folder / name / "home"
        home.mkdir(parents=True, exist_ok=True)
        own = {"PYTHONPATH": str(ROOT), **self._environment}
        with (self.folder / name / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*under, sys.executable, "-m", "dask", *command],
                cwd=self.folder / name,
                env={**working_tree.environment(home), **own, "PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
