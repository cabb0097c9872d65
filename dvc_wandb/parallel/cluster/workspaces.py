"""Where the stages of jobs work: in the head's own folder, which the nodes share, or in a clone on each node."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel import kept_outs, stage_process
from dvc_wandb.parallel.cluster.away import inputs, merge, project_remote
from dvc_wandb.parallel.cluster.exchange import Exchange
from dvc_wandb.parallel.cluster.job_folder import JobFolder, StageRequest
from dvc_wandb.parallel.launcher_lock import remove_stale_rwlock
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.project.settings import tmp_folder

Work = Callable[[], int]  # for a process beside the head; its result is a status of `stage_process`


class Workspace(Protocol):
    """What the head does before and after a job."""

    is_shared: bool
    jobs: Exchange  # the folders of all jobs are in it

    def before(self, stage: PlannedStage, force: bool) -> Work:
        """See whether the stage has to run, and make its job's folder then: ELSEWHERE."""
        ...

    def after(self, stage: PlannedStage, job: str, left: bool) -> Work | None:
        """Take in what the job made, or made for an earlier head that `left` it: ELSEWHERE if that is of no use."""
        ...

    def clear(self, folder: JobFolder) -> None:
        """Remove what a job left in the workspace that was lost. No process of it works."""
        ...

    def restore(self, at_work: Iterable[str]) -> None:
        """Bring back outputs that lost jobs went on with. `at_work` are the targets of those that work."""
        ...


class SharedWorkspace:
    """The project's folder, at the same path on the nodes."""

    is_shared = True

    def __init__(self, root: Path) -> None:
        self._root = root
        self.jobs = shared_jobs(root)

    def before(self, stage: PlannedStage, force: bool) -> Work:
        def work() -> int:
            status = stage_process.run_without_command(self._root, stage.target, force)
            if status == stage_process.ELSEWHERE:
                request = StageRequest(str(self._root), stage.target, force, stage.persists)
                JobFolder.of(self.jobs, stage.target).begin(request)
            return status

        return work

    def after(self, stage: PlannedStage, job: str, left: bool) -> Work | None:
        return (lambda: stage_process.check_done(self._root, stage.target)) if left else None

    def clear(self, folder: JobFolder) -> None:
        """Its recorder's card, and its part of DVC's rwlock.

        DVC compares process ids with those of this machine, which are others on a node.
        """
        if request := folder.request():
            command = " ".join(stage_process.command_line(request.target))
            with contextlib.suppress(DvcWandbError):  # DVC is busy with it; it removes what is in its way itself
                remove_stale_rwlock(self._root, lambda entry, _: entry["cmd"] != command)
        if endpoint := folder.recorder:
            endpoint.unlink(missing_ok=True)
            endpoint.with_suffix(".log").unlink(missing_ok=True)

    def restore(self, at_work: Iterable[str]) -> None:
        kept_outs.restore(self._root, at_work)


class ClonedWorkspaces:
    """A clone on the node for each job, by way of the DVC remote: nothing in the head's folder while it works."""

    is_shared = False

    def __init__(self, root: Path) -> None:
        """Raises ProjectError without a DVC remote."""
        self._root = root
        self.jobs = project_remote.exchange(root)

    def before(self, stage: PlannedStage, force: bool) -> Work:
        request = StageRequest(str(self._root), stage.target, force, stage.persists)
        return lambda: inputs.prepare(JobFolder.of(self.jobs, stage.target), request)

    def after(self, stage: PlannedStage, job: str, left: bool) -> Work | None:
        folder = JobFolder.of(self.jobs, stage.target)
        return lambda: merge.merge(self._root, folder, stage.target, job, only_if_current=left)

    def clear(self, folder: JobFolder) -> None:
        pass

    def restore(self, at_work: Iterable[str]) -> None:
        pass


def shared_jobs(root: Path) -> Exchange:
    """Where the folders of jobs are that work in the project's own folder."""
    return Exchange(str(tmp_folder(root) / "dvc-wandb-jobs"))
