"""A job's process on a node: python -m dvc_wandb.parallel.slurm.node FOLDER. It runs one stage under a guard.

It looks at its folder every second: a job that SLURM has lost, or that the head has given up, ends by itself, so that
no two run the same stage.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from pathlib import Path

from dvc_wandb.client.local_server import Machine
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.scheduler import Ended
from dvc_wandb.parallel.slurm.job_folder import JobFolder, StageRequest
from dvc_wandb.recorder import client

LOOK = 1.0  # seconds between two looks at the folder
SUBMIT_SECONDS = 60.0  # for the head to write down our id


def main() -> None:
    folder, job = JobFolder(Path(sys.argv[1])), os.environ["SLURM_JOB_ID"]
    deadline = time.monotonic() + SUBMIT_SECONDS
    while folder.job is None and time.monotonic() < deadline:
        time.sleep(0.2)
    if folder.job != job:
        sys.exit("nobody waits for this job any more")
    status = _run(folder, folder.request(), job)
    if folder.job == job:
        folder.set_status_of(job, status)


def _run(folder: JobFolder, request: StageRequest, job: str) -> int:
    root = Path(request.root)
    os.chdir(root)
    _find_registry(request)
    _import_dvc()
    endpoint = client.endpoint_file(root, os.getpid())
    folder.set_recorder(endpoint)
    jobs = LocalJobs(root, request.force)
    signal.signal(signal.SIGINT, lambda *_: jobs.interrupt())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"job {job} is told to end"))  # the guard ends the stage then
    status: int | None = None
    try:
        jobs.start(PlannedStage("stage", request.target, frozenset(), frozenset(), persists=request.persists))
        while status is None:
            status = _hear(jobs)
            if status is None and folder.job != job:
                sys.exit(f"job {job} was given up")
        while client.is_running(endpoint) and not client.ask(endpoint, "is_idle"):
            time.sleep(0.05)
        for line, _ in client.ask(endpoint, "messages_for_launcher") or []:
            print(line, flush=True)
    finally:
        jobs.kill()
    # The recorder ends with us, and SLURM may not leave it the time to remove them
    endpoint.unlink(missing_ok=True)
    client.log_file(root, os.getpid()).unlink(missing_ok=True)
    return status


def _hear(jobs: LocalJobs) -> int | None:
    for event in jobs.events(LOOK):
        if isinstance(event, Ended):
            return event.status
        os.write(1, event.piece)
    return None


def _find_registry(request: StageRequest) -> None:
    """Mirror nothing from here if the registry is the head's own, and listens there alone."""
    if request.network not in (None, Machine.here().network):
        os.environ["WANDB_MODE"] = "disabled"
        print(f"{platform.node()} doesn't reach the registry, which listens on its own machine alone.")
        print("To change that, run `wandb-registry stop` and `wandb-registry serve --host 0.0.0.0` there.", flush=True)


def _import_dvc() -> None:
    """Before the guard is forked, as a launcher does."""
    import dvc.repo  # noqa: F401


if __name__ == "__main__":
    main()
