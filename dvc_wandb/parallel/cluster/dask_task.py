"""What a Dask worker does for a job: it starts the job's process, which ends with it."""

from __future__ import annotations

import os
import subprocess
import sys


def run(job: str, variables: dict[str, str]) -> int:
    """The exit status of the job's process. How the stage ended stands in the job's folder."""
    from dvc_wandb.parallel.cluster.node import NodeSettings
    from dvc_wandb.recorder import client

    settings = NodeSettings.of_job(job, variables)
    own = {"PYTHONPATH": os.pathsep.join(client.import_path())}
    # Its input is a pipe from us alone: the kernel closes it, however this worker ends
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "dvc_wandb.parallel.cluster.node"],
        env={**os.environ, **variables, **settings.variables, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        return process.wait()
