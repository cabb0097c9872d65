"""What `dvc-wandb repro --jobs N` saves and costs against `dvc repro`, in a project that does nothing but wait.

    python -m benchmarks.parallel [--stages 8] [--seconds 3] [--tiny 200]

The stages don't need one another. "best" is what no order could beat: the work divided by the jobs, whole stages only.
"overhead" is what a stage takes beyond that, with its share of the start. Tiny stages show DVC's own part, which is
serial: it reads and writes all of dvc.lock for each. "peak MB" is the highest resident memory with its helpers.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peak import Peak
from tests import working_tree
from tests.working_tree import ROOT

LINE = "{:<32} {:>8} {:>8} {:>10} {:>8}"


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
    for setup in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(setup, cwd=path, env=environment, check=True)
    return environment


def measure(folder: Path, name: str, command: list[str], stages: int, seconds: float, jobs: int) -> None:
    """Run the command on a project where nothing has run, and print its line."""
    path = folder / name.replace(" ", "-")
    environment = make(path, stages, seconds)
    began = time.perf_counter()
    with (
        subprocess.Popen(command, cwd=path, env=environment, stdout=subprocess.DEVNULL) as process,
        Peak(process.pid) as peak,
    ):
        code = process.wait()
    took = time.perf_counter() - began
    if code:
        sys.exit(f"{name}: exit status {code}")
    best = math.ceil(stages / jobs) * seconds
    print(
        LINE.format(name, f"{took:.1f}", f"{best:.1f}", f"{(took - best) / stages:.2f}", f"{peak.mb:.0f}"), flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--tiny", type=int, default=200, help="stages that do nothing (default: 200; 0: leave them out)"
    )
    options = parser.parse_args()
    print(LINE.format("", "s", "best", "overhead", "peak MB"))
    with tempfile.TemporaryDirectory() as folder:
        for stages, seconds in ((options.stages, options.seconds), (options.tiny, 0.0)):
            if stages:
                what = f"{stages} of {seconds:g} s"
                measure(Path(folder), f"{what}, dvc repro", ["dvc", "repro", "-q"], stages, seconds, 1)
                for jobs in (1, 2, 4, 8):
                    command = ["dvc-wandb", "repro", "--quiet", "--jobs", str(jobs)]
                    measure(Path(folder), f"{what}, --jobs {jobs}", command, stages, seconds, jobs)


if __name__ == "__main__":
    main()
