"""What `dvc-wandb repro` does: plan, run, put into order, and tell what became of the mirror."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.parallel import console, kept_outs, plan, scheduler, serial_order
from dvc_wandb.parallel.cluster import left_jobs
from dvc_wandb.parallel.cluster.cluster_jobs import ClusterJobs
from dvc_wandb.parallel.cluster.dask_workers import DaskWorkers
from dvc_wandb.parallel.cluster.slurm import Slurm
from dvc_wandb.parallel.cluster.workspaces import ClonedWorkspaces, SharedWorkspace
from dvc_wandb.parallel.console import Console, QuietConsole
from dvc_wandb.parallel.launcher_lock import only_launcher, remove_stale_rwlock
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import Plan, PlannedStage
from dvc_wandb.parallel.scheduler import Jobs
from dvc_wandb.parallel.serial_order import SerialOrder
from dvc_wandb.recorder import client

HERE, SLURM, DASK = "here", "slurm", "dask://"


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    targets: list[str]
    all_pipelines: bool
    jobs: int | None  # None: as many as the engine takes
    on: str  # "here", "slurm", or "dask://HOST:PORT"
    away: bool  # whether SLURM's nodes share no folder with us
    retries: int
    keep_going: bool
    force: bool
    quiet: bool


def repro(root: Path, request: Request) -> bool:
    """Run what changed; whether all of it succeeded. Raises DvcWandbError if it can't begin."""
    began = time.monotonic()
    with only_launcher(root):
        if not left_jobs.unfinished(root):
            _mend(root)  # first of all: DVC can't read a project whose lock was cut off
        planned = plan.make(root, request.targets, request.all_pipelines)
        engine = _engine(planned, request)
        if not engine.at_work:
            _mend(root)
        kept_outs.restore(root, engine.at_work)
        order = SerialOrder(planned)
        shown = (QuietConsole if request.quiet else Console)(planned, lambda: _mirror_messages(root))
        limit = request.jobs or (os.cpu_count() if request.on == HERE else len(planned.stages)) or 1

        def prepare(stage: PlannedStage) -> None:
            if stage.reads_outs_folder:
                order.sort()

        try:
            progress = scheduler.run(planned, engine, limit, request.keep_going, shown, prepare)
        finally:
            shown.close()
            kept_outs.restore(root, engine.at_work)
            order.sort()
            client.wait_until_idle(root)
            shown.say_what_is_mirrored()
        if not progress.failed or request.keep_going:
            order.forget()
    if not request.quiet or progress.failed:
        for line in console.summary(progress, time.monotonic() - began):
            shown.say(line)
    return not progress.failed


def _mend(root: Path) -> None:
    """Mend what a killed DVC left behind. Call it when no stage runs in the project's folder."""
    remove_stale_rwlock(root)
    serial_order.mend_locks(root)


def _engine(planned: Plan, request: Request) -> Jobs:
    if request.on != SLURM or request.away:
        left_jobs.refuse_shared(planned.root)
    if request.on == HERE:
        return LocalJobs(planned.root, request.force)
    cluster = Slurm() if request.on == SLURM else DaskWorkers(request.on.removeprefix(DASK))
    is_away = request.away or request.on != SLURM
    workspace = ClonedWorkspaces(planned.root) if is_away else SharedWorkspace(planned.root)
    jobs = ClusterJobs(planned, cluster, workspace, request.force, request.retries)
    for note in jobs.notes:
        print(f"dvc-wandb: {note}", file=sys.stderr)
    return jobs


def _mirror_messages(root: Path) -> list[tuple[str, bool]]:
    """What the recorder of our stages has to say since the last call, if they have one."""
    endpoint = client.endpoint_file(root, os.getpid())
    return (endpoint.exists() and client.ask(endpoint, "messages_for_launcher")) or []
