"""The engine that runs each stage as a job of a cluster, and follows jobs that an earlier run left."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.client import local_server
from dvc_wandb.parallel import guard, stage_process
from dvc_wandb.parallel.cluster import left_jobs
from dvc_wandb.parallel.cluster.engine import Cluster, ClusterBusyError, ClusterError, JobState
from dvc_wandb.parallel.cluster.job_folder import JobFolder
from dvc_wandb.parallel.cluster.node import NodeSettings
from dvc_wandb.parallel.cluster.workspaces import Workspace
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import Plan, PlannedStage
from dvc_wandb.parallel.scheduler import Ended, Output
from dvc_wandb.project.settings import project_name

ASK_SECONDS = 2.0  # between two questions to the cluster, for all jobs, and to the DVC remote
GRACE = 20.0  # seconds for the status of a job that has ended to be seen through a network file system
FENCE = 3.0  # seconds in which a job that the cluster has lost sees that it was given up
END_SECONDS = 60.0  # for cancelled jobs to end; SLURM itself kills them after 30
REGISTRY_SECONDS = 30.0  # between two looks at the registry
CHECKS = os.cpu_count() or 1
LOST = -9  # a status, as of a killed process: what the stage kept is to be restored

WHY = {
    "TIMEOUT": "its time limit is over; meta.resources.minutes gives it more",
    "DEADLINE": "its deadline is over",
    "OUT_OF_MEMORY": "it needed more memory than it had; meta.resources.memory gives it more",
    "CANCELLED": "somebody cancelled it",
    "PREEMPTED": "another job took its place",
    "NODE_FAIL": "its node died",
    "BOOT_FAIL": "its node didn't start",
    "FAILED": "its process was killed, or could not start",
    "COMPLETED": "it ended without a word",
    "UNKNOWN": "the cluster knows nothing of it any more",
}
NOT_TAKEN = "not taken"  # the cluster had no answer
TRY_AGAIN = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "FAILED", "COMPLETED", "UNKNOWN"}


@dataclass
class Job:
    """The job of a stage. `lost` is what the cluster calls its loss, until the stage is tried again or fails."""

    stage: PlannedStage
    folder: JobFolder
    id: str
    retries: int
    offset: int = 0  # of its output, as far as it was shown
    told: str = ""  # what was said last of how it stands
    ended_at: float = 0.0  # when the cluster first said so
    lost: str = ""


class ClusterJobs:
    """The stages that a cluster runs. What needs no command, such as an unchanged stage, is seen to on the head."""

    def __init__(self, plan: Plan, cluster: Cluster, workspace: Workspace, force: bool, retries: int) -> None:
        """Raises ClusterError if the cluster can't be asked, ProjectError for what a stage can't ask for."""
        self.notes = cluster.check(plan.stages)
        self._root: Path = plan.root
        self._cluster, self._workspace, self._force, self._retries = cluster, workspace, force, retries
        self._left = left_jobs.of_earlier_runs(cluster, workspace)
        if workspace.is_shared:
            left_jobs.refuse_others(cluster, self._left, {stage.target for stage in plan.stages})
        self._checks = LocalJobs(plan.root, force)
        self._to_check: deque[PlannedStage] = deque()
        self._stages = {stage.name: stage for stage in plan.stages}
        self._done: set[str] = set()  # stages whose job of an earlier run we follow, or followed to its good end
        # Jobs that have ended well, by stage, until the workspace has what they made
        self._taken_in: dict[str, str] = {}
        self._jobs: dict[str, Job] = {}
        self._interrupted = False
        self._asked = self._registry_asked = 0.0
        self._silent = False
        self._registry: local_server.ForOthers | None = None

    @property
    def at_work(self) -> frozenset[str]:
        """Those that work in this workspace."""
        if not self._workspace.is_shared:
            return frozenset()
        return frozenset({job.stage.target for job in self._jobs.values()} | self._left.keys())

    def start(self, stage: PlannedStage) -> None:
        if job := self._left.pop(stage.target, None):
            folder = JobFolder.of(self._workspace.jobs, stage.target)
            self._jobs[stage.name] = Job(stage, folder, job, self._retries)
            self._done.add(stage.name)
        else:
            self._to_check.append(stage)

    def events(self, seconds: float) -> Iterator[Output | Ended]:
        while self._to_check and self._interrupted:
            yield Ended(self._to_check.popleft().name, guard.INTERRUPTED)
        while self._to_check and len(self._checks) < CHECKS:
            self._check(self._to_check.popleft())
        for event in self._checks.events(seconds):
            if isinstance(event, Ended):
                yield from self._checked(event)
            else:
                yield event
        if self._jobs:
            yield from self._follow()

    def interrupt(self) -> None:
        self._interrupted = True
        self._checks.interrupt()
        with contextlib.suppress(ClusterError):
            self._cluster.interrupt(self._ids())

    def kill(self) -> None:
        """End all of them, and wait for that: what they write is restored afterwards."""
        self._checks.kill()
        with contextlib.suppress(ClusterError):
            self._cluster.cancel(self._ids())
        for job in self._jobs.values():
            with contextlib.suppress(ClusterError):
                job.folder.withdraw()
        deadline = time.monotonic() + END_SECONDS
        while self._jobs and time.monotonic() < deadline:
            time.sleep(0.5)
            with contextlib.suppress(ClusterError):
                states = self._cluster.states()
                for name, job in list(self._jobs.items()):
                    if job.id not in states or states[job.id].is_over:
                        del self._jobs[name]
                        self._workspace.clear(job.folder)
                        job.folder.remove()

    def _ids(self) -> list[str]:
        return [job.id for job in self._jobs.values() if job.id]

    def _check(self, stage: PlannedStage) -> None:
        work = None
        if job := self._taken_in.get(stage.name):
            work = self._workspace.after(stage, job, stage.name in self._done)
        self._checks.start_work(stage, work or self._workspace.before(stage, self._force))

    def _checked(self, end: Ended) -> Iterator[Output | Ended]:
        stage, followed = self._stages[end.name], self._taken_in.pop(end.name, None)
        self._done.discard(end.name)
        if followed and end.status in (stage_process.RAN, stage_process.UNCHANGED):
            _discard(JobFolder.of(self._workspace.jobs, stage.target))
            yield Ended(end.name, stage_process.RAN)
        elif followed and end.status == stage_process.ELSEWHERE and not self._interrupted:
            self._to_check.append(stage)
        elif end.status == stage_process.ELSEWHERE and self._interrupted:
            yield Ended(end.name, guard.INTERRUPTED)
        elif end.status == stage_process.ELSEWHERE:
            yield from self._submit(stage, self._retries)
        else:
            yield end

    def _submit(self, stage: PlannedStage, retries: int) -> Iterator[Output | Ended]:
        registry = self._find_registry()
        folder = JobFolder.of(self._workspace.jobs, stage.target)
        exchange = folder.exchange
        settings = NodeSettings(exchange.path, exchange.remote, self._workspace.is_shared, registry.network)
        variables = {**registry.variables, **settings.variables}
        if not self._workspace.is_shared:
            variables["WANDB_PROJECT"] = project_name(self._root)  # a clone may be called otherwise
        place = exchange.path if self._workspace.is_shared else None
        try:
            job = self._cluster.submit(stage.name, stage.resources, variables, place)
            folder.set_job(job)
        except ClusterBusyError as error:  # a job that it took nevertheless ends by itself
            self._jobs[stage.name] = Job(stage, folder, "", retries, lost=NOT_TAKEN, ended_at=time.monotonic())
            yield from _say(stage.name, f"{error}; we try again")
            return
        except ClusterError as error:
            _discard(folder)
            yield from _say(stage.name, f"ERROR: {error}.")
            yield Ended(stage.name, stage_process.FAILED)
            return
        self._jobs[stage.name] = Job(stage, folder, job, retries)
        yield from _say(stage.name, f"{self._cluster.name} job {job}")

    def _follow(self) -> Iterator[Output | Ended]:
        states, is_time = None, time.monotonic() - self._asked > ASK_SECONDS
        if not is_time and not self._workspace.is_shared:
            return
        try:
            if is_time:
                self._find_registry()
                self._asked = time.monotonic()
                states = self._cluster.states()
            for name, job in list(self._jobs.items()):
                yield from self._look(name, job, states)
            self._silent = False
        except ClusterError as error:
            if not self._silent:
                yield from _say(next(iter(self._jobs)), f"{error}; the jobs go on, and we ask again")
            self._silent = True

    def _look(self, name: str, job: Job, states: dict[str, JobState] | None) -> Iterator[Output | Ended]:
        status = job.folder.status_of(job.id)  # before the output, which is whole then
        if piece := job.folder.output_from(job.offset):
            job.offset += len(piece)
            yield Output(name, piece)
        if status is not None and status < 0 and job.retries and not self._interrupted:
            job.lost = "FAILED"  # somebody killed DVC there
            yield from _say(name, f"{self._cluster.name} job {job.id}: {WHY[job.lost]}")
            yield from self._try_again(name, job)
        elif status is not None:
            del self._jobs[name]
            yield from self._ended(name, job, status)
        elif job.lost and time.monotonic() > job.ended_at + FENCE:
            yield from self._try_again(name, job)
        elif not job.lost and states is not None:
            yield from self._judge(name, job, states.get(job.id, JobState("UNKNOWN", "", "")))

    def _ended(self, name: str, job: Job, status: int) -> Iterator[Ended]:
        if status in (stage_process.RAN, stage_process.UNCHANGED) and (
            name in self._done or not self._workspace.is_shared
        ):
            self._taken_in[name] = job.id
            self._to_check.append(job.stage)
            return
        self._done.discard(name)
        _discard(job.folder)
        yield Ended(name, status)

    def _judge(self, name: str, job: Job, state: JobState) -> Iterator[Output]:
        """Say what is new of a job, and whether it is lost."""
        if not state.is_over:
            if (what := _standing(state)) != job.told:
                job.told = what
                yield from _say(name, f"{self._cluster.name} job {job.id} {what}")
            return
        job.ended_at = job.ended_at or time.monotonic()
        may_come = state.state in ("COMPLETED", "UNKNOWN") and not self._interrupted
        if may_come and time.monotonic() < job.ended_at + GRACE:
            return
        job.lost, job.ended_at = state.state, time.monotonic()
        job.folder.withdraw()
        where = f" on {state.nodes}" if state.nodes else ""
        why = WHY.get(state.state, "it has ended")
        yield from _say(name, f"{self._cluster.name} job {job.id}{where}: {state.state}: {why}")

    def _try_again(self, name: str, job: Job) -> Iterator[Output | Ended]:
        self._workspace.clear(job.folder)
        job.folder.begin_again()
        del self._jobs[name]
        self._done.discard(name)
        if job.lost == NOT_TAKEN and not self._interrupted:
            yield from self._submit(job.stage, job.retries)
        elif job.retries and job.lost in TRY_AGAIN and not self._interrupted:
            others = {stage.target for stage in self._stages.values()} - {job.stage.target}
            self._workspace.restore(others)
            yield from self._submit(job.stage, job.retries - 1)
        else:
            _discard(job.folder)
            yield Ended(name, guard.INTERRUPTED if self._interrupted else LOST, "" if self._interrupted else job.lost)

    def _find_registry(self) -> local_server.ForOthers:
        """How a node reaches the registry. It is kept at work here: one that a job starts would end with the job."""
        if self._registry is None or time.monotonic() - self._registry_asked > REGISTRY_SECONDS:
            self._registry, self._registry_asked = local_server.for_others(self._root), time.monotonic()
        return self._registry


def _discard(folder: JobFolder) -> None:
    """Remove it; by the next run, if the DVC remote doesn't answer now."""
    with contextlib.suppress(ClusterError):
        folder.remove()


def _standing(state: JobState) -> str:
    """What is worth a line; that a job waits for its turn isn't."""
    if state.nodes:
        return f"works on {state.nodes}"
    usual = ("None", "Priority", "Resources", "")
    return "" if state.reason in usual else f"waits: {state.reason}"


def _say(name: str, line: str) -> Iterator[Output]:
    yield Output(name, f"{line}\n".encode())
