"""What `dvc-wandb repro --jobs N` saves and costs against `dvc repro`, in a project that does nothing but wait.

    python -m benchmarks.parallel [--stages 8] [--seconds 3] [--tiny 200] [--dask4dvc FOLDER]

The stages don't need one another. "best" is what no order could beat: the work divided by the jobs, whole stages only.
"overhead" is what a stage takes beyond that, with its share of the start, and "over DVC" how much more than in
`dvc repro`. Tiny stages show DVC's own part, which is serial: it reads and writes all of dvc.lock for each. "CPU" is
the time of all processors, which other work on the machine changes less. "peak MB" is the highest sum of resident
memory, in which memory that forked processes share counts for each.

dask4dvc (https://github.com/zincware/dask4dvc) needs DVC 2, so it gets a virtual environment of its own in FOLDER,
which is made if it isn't there. It runs the first series alone, since it makes a clone for each stage.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.peak import Peak
from tests import working_tree
from tests.working_tree import ROOT

LINE = "{:<32} {:>8} {:>8} {:>10} {:>10} {:>8} {:>8}"
# The last release, of 2023, says `>=` of packages that it doesn't work with any more
DASK4DVC = ["dask4dvc==0.2.3", "numpy<1.25", "pygit2<1.15", "dulwich<0.22", "GitPython<3.2", "pathspec<0.12"]
DASK4DVC += ["click<8.1.4", "celery<5.4"]


def make(path: Path, stages: int, seconds: float) -> dict[str, str]:
    """A DVC project of stages that wait; the environment for its commands."""
    path.mkdir()
    home = path.with_name(f"{path.name}-home")
    home.mkdir()
    environment = {**working_tree.environment(home), "PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    numbers = ", ".join(map(str, range(stages)))
    command = f"sleep {seconds} && echo ${{item}} > ${{item}}.txt"
    (path / "dvc.yaml").write_text(
        f"stages:\n  wait:\n    foreach: [{numbers}]\n    do:\n      cmd: {command}\n      outs: ['${{item}}.txt']\n"
    )
    for setup in ("git init --quiet", "dvc init --quiet", "git add .", "git commit --quiet --message=Stages"):
        subprocess.run(setup.split(), cwd=path, env=environment, check=True)
    return environment


class Series:
    """A table's lines for one project, after that of `dvc repro`."""

    def __init__(self, folder: Path, stages: int, seconds: float) -> None:
        self._folder, self._stages, self._seconds = folder, stages, seconds
        self._of_dvc = 0.0  # seconds of overhead
        self._of_dvc = self.measure("dvc repro", ["dvc", "repro", "-q"], 1)

    def measure(self, name: str, command: list[str], jobs: int, binaries: Path | None = None) -> float:
        """Run the command on a project where nothing has run, and print its line; its overhead a stage, in seconds.

        `binaries` is a folder with another DVC.
        """
        name = f"{self._stages} of {self._seconds:g} s, {name}"
        path = self._folder / name.replace(" ", "-")
        environment = make(path, self._stages, self._seconds)
        if binaries:
            del environment["PYTHONPATH"]
            environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
            command = [str(binaries / command[0]), *command[1:]]
        before, began = os.times(), time.perf_counter()
        with (
            (path.parent / f"{path.name}.log").open("w+") as log,
            subprocess.Popen(
                command, cwd=path, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            ) as process,
            Peak(process.pid) as peak,
        ):
            code = process.wait()
            log.seek(0)
            said = log.read().strip().splitlines() or [""]
        took, after = time.perf_counter() - began, os.times()
        if code or len(list(path.glob("*.txt"))) < self._stages:
            print(f"{name}: exit status {code}: {said[-1]}", flush=True)
            return 0.0
        processors = after.children_user + after.children_system - before.children_user - before.children_system
        best = math.ceil(self._stages / jobs) * self._seconds
        overhead = (took - best) / self._stages
        over_dvc = overhead - self._of_dvc if self._of_dvc else 0.0
        figures = (f"{took:.1f}", f"{best:.1f}", f"{overhead:.2f}", f"{over_dvc:.2f}")
        print(LINE.format(name, *figures, f"{processors:.1f}", f"{peak.mb:.0f}"), flush=True)
        return overhead


def dask4dvc_in(folder: Path) -> Path | None:
    """The folder with its command, which is installed there; None if that can't be done, and a line says why."""
    binaries = folder / "bin"
    if not (binaries / "dask4dvc").exists():
        venv.create(folder, with_pip=True)
        command = [str(binaries / "pip"), "install", "--quiet", *DASK4DVC]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"dask4dvc is not to be had: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}", flush=True)
            return None
    return binaries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--tiny", type=int, default=200, help="stages that do nothing (default: 200; 0: leave them out)"
    )
    parser.add_argument("--dask4dvc", type=Path, metavar="FOLDER", help="measure it too, installed there")
    options = parser.parse_args()
    other = dask4dvc_in(options.dask4dvc.absolute()) if options.dask4dvc else None
    print(LINE.format("", "s", "best", "overhead", "over DVC", "CPU", "peak MB"))
    with tempfile.TemporaryDirectory() as folder:
        for stages, seconds in ((options.stages, options.seconds), (options.tiny, 0.0)):
            if stages:
                series = Series(Path(folder), stages, seconds)
                for jobs in (1, 2, 4, 8):
                    series.measure(f"--jobs {jobs}", ["dvc-wandb", "repro", "--quiet", "--jobs", str(jobs)], jobs)
                    if other and seconds:
                        command = ["dask4dvc", "repro", "--max-workers", str(jobs)]
                        series.measure(f"dask4dvc, {jobs} workers", command, jobs, other)


if __name__ == "__main__":
    main()
