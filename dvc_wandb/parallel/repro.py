"""What `dvc-wandb repro` does: plan, run, put into order, and tell what became of the mirror."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.parallel import console, kept_outs, plan, scheduler, serial_order
from dvc_wandb.parallel.console import Console, QuietConsole
from dvc_wandb.parallel.launcher_lock import only_launcher
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.serial_order import SerialOrder
from dvc_wandb.recorder import client


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    targets: list[str]
    all_pipelines: bool
    jobs: int
    keep_going: bool
    force: bool
    quiet: bool


def repro(root: Path, request: Request) -> bool:
    """Run what changed; whether all of it succeeded. Raises DvcWandbError if it can't begin."""
    began = time.monotonic()
    with only_launcher(root):
        serial_order.mend_locks(root)
        kept_outs.restore(root)
        planned = plan.make(root, request.targets, request.all_pipelines)
        order = SerialOrder(planned)
        shown = (QuietConsole if request.quiet else Console)(planned, lambda: _mirror_messages(root))
        jobs = LocalJobs(root, request.force)

        def prepare(stage: PlannedStage) -> None:
            if stage.reads_outs_folder:
                order.sort()

        try:
            progress = scheduler.run(planned, jobs, request.jobs, request.keep_going, shown, prepare)
        finally:
            shown.close()
            kept_outs.restore(root)
            order.sort()
            client.wait_until_idle(root)
            shown.say_what_is_mirrored()
        if not progress.failed or request.keep_going:
            order.forget()
    if not request.quiet or progress.failed:
        for line in console.summary(progress, time.monotonic() - began):
            shown.say(line)
    return not progress.failed


def _mirror_messages(root: Path) -> list[tuple[str, bool]]:
    """What the recorder of our stages has to say since the last call, if they have one."""
    endpoint = client.endpoint_file(root, os.getpid())
    return (endpoint.exists() and client.ask(endpoint, "messages_for_launcher")) or []
