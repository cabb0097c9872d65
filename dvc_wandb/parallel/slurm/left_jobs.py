"""Jobs that an earlier run left behind, since its head was killed or slept: at work, done, or dead."""

from __future__ import annotations

import contextlib
from pathlib import Path

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.launcher_lock import remove_stale_rwlock
from dvc_wandb.parallel.slurm import commands
from dvc_wandb.parallel.slurm.commands import SlurmError
from dvc_wandb.parallel.slurm.job_folder import JobFolder, folders


def at_work(root: Path) -> dict[str, str]:
    """The ids of jobs that still work, by the targets of their stages. What the others left behind is removed.

    Raises SlurmError if SLURM can't be asked.
    """
    left = {folder: job for folder in folders(root) if (job := folder.job) and folder.status_of(job) is None}
    for folder in folders(root):
        if folder not in left:
            clear(root, folder)
    if not left:
        return {}
    try:
        states = commands.states()
    except (SlurmError, FileNotFoundError) as error:
        targets, place = ", ".join(folder.request().target for folder in left), next(iter(left)).path.parent
        raise SlurmError(
            f"SLURM may still run {targets} for an earlier `dvc-wandb repro`, and can't be asked: {error}. If none of "
            f"these jobs works any more, remove {place}."
        ) from None
    found: dict[str, str] = {}
    for folder, job in left.items():
        if folder.status_of(job) is None and job in states and not states[job].is_over:
            found[folder.request().target] = job
        else:
            clear(root, folder)
    return found


def refuse_others(left: dict[str, str], targets: set[str]) -> None:
    """Raises DvcWandbError if jobs run stages that this run doesn't follow."""
    if others := {target: job for target, job in left.items() if target not in targets}:
        jobs = ", ".join(f"{target} (job {job})" for target, job in others.items())
        raise DvcWandbError(
            f"SLURM still runs {jobs} for an earlier `dvc-wandb repro`. `dvc-wandb repro --on slurm` with the same "
            f"targets follows, and `scancel {' '.join(others.values())}` ends what you don't want."
        )


def clear(root: Path, folder: JobFolder) -> None:
    """Remove what a job left behind: its folder, its recorder's card, its part of DVC's rwlock.

    DVC compares process ids with those of this machine, which are others on a node.
    """
    with contextlib.suppress(FileNotFoundError):
        command = " ".join(stage_process.command_line(folder.request().target))
        with contextlib.suppress(DvcWandbError):  # DVC is busy with it; it removes what is in its way itself
            remove_stale_rwlock(root, lambda entry, _: entry["cmd"] != command)
    if endpoint := folder.recorder:
        endpoint.unlink(missing_ok=True)
        endpoint.with_suffix(".log").unlink(missing_ok=True)
    folder.remove()
