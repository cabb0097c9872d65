"""Jobs that an earlier run left behind, since its head was killed or slept: at work, done, or dead."""

from __future__ import annotations

from pathlib import Path

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel.cluster.engine import Cluster, ClusterError, JobState
from dvc_wandb.parallel.cluster.job_folder import JobFolder
from dvc_wandb.parallel.cluster.slurm import Slurm
from dvc_wandb.parallel.cluster.workspaces import SharedWorkspace, Workspace


def of_earlier_runs(cluster: Cluster, workspace: Workspace) -> dict[str, str]:
    """The ids of jobs to follow, by the targets of their stages. What the others left behind is removed.

    They work; or they have ended, and what they made isn't in the workspace yet. Raises ClusterError if the cluster
    can't be asked.
    """
    folders = {folder: folder.job for folder in JobFolder.all(workspace.jobs)}
    may_work = [folder for folder, job in folders.items() if job and folder.status_of(job) is None]
    states = cluster.states() if may_work else {}
    found: dict[str, str] = {}
    for folder, job in folders.items():
        request = folder.request()
        if request and job and _is_of_use(folder, job, states, workspace):
            found[request.target] = job
        else:
            workspace.clear(folder)
            folder.remove()
    return found


def _is_of_use(folder: JobFolder, job: str, states: dict[str, JobState], workspace: Workspace) -> bool:
    if folder.status_of(job) is not None:
        return not workspace.is_shared  # in a shared one all that it made is there
    return job in states and not states[job].is_over


def unfinished(root: Path) -> list[JobFolder]:
    """The jobs in the project's folder that have told no end: they work, or were killed."""
    folders = JobFolder.all(SharedWorkspace(root).jobs)
    return [folder for folder in folders if (job := folder.job) and folder.status_of(job) is None]


def refuse_shared(root: Path) -> None:
    """Raises DvcWandbError if SLURM's jobs still run stages in the project's folder."""
    workspace, left = SharedWorkspace(root), unfinished(root)
    if not left:
        return
    try:
        slurm = Slurm()
        refuse_others(slurm, of_earlier_runs(slurm, workspace), targets=set())
    except ClusterError as error:
        targets = ", ".join(request.target for folder in left if (request := folder.request()))
        raise ClusterError(
            f"SLURM may still run {targets} for an earlier `dvc-wandb repro`, and can't be asked: "
            f"{str(error).rstrip('.')}. If none of these jobs works any more, remove {workspace.jobs.path}."
        ) from None


def refuse_others(cluster: Cluster, left: dict[str, str], targets: set[str]) -> None:
    """Raises DvcWandbError if jobs run stages in a shared folder that this run doesn't follow."""
    if others := {target: job for target, job in left.items() if target not in targets}:
        jobs = ", ".join(f"{target} (job {job})" for target, job in others.items())
        raise DvcWandbError(
            f"{cluster.name} still runs {jobs} for an earlier `dvc-wandb repro`. `dvc-wandb repro --on slurm` with the "
            f"same targets follows, and `{cluster.cancel_command(others.values())}` ends what you don't want."
        )
