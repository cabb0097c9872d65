"""The engine that runs each stage as a SLURM job, and follows jobs that an earlier run left at work."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from dvc_wandb.client import local_server
from dvc_wandb.parallel import guard, kept_outs, stage_process
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import Plan, PlannedStage
from dvc_wandb.parallel.scheduler import Ended, Output
from dvc_wandb.parallel.slurm import commands, left_jobs
from dvc_wandb.parallel.slurm.commands import JobState, SlurmBusyError, SlurmError
from dvc_wandb.parallel.slurm.job_folder import JobFolder, StageRequest
from dvc_wandb.recorder import client

ASK_SECONDS = 2.0  # between two squeues, for all jobs
GRACE = 20.0  # seconds for the status of a job that has ended to be seen through a network file system
FENCE = 3.0  # seconds in which a job that SLURM has lost sees that it was given up
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
    "UNKNOWN": "SLURM knows nothing of it any more",
}
NOT_TAKEN = "not taken"  # sbatch had no answer
TRY_AGAIN = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "FAILED", "COMPLETED", "UNKNOWN"}


@dataclass
class Job:
    """The job of a stage. `lost` is what SLURM calls its loss, until the stage is tried again or fails."""

    stage: PlannedStage
    folder: JobFolder
    id: str
    retries: int
    offset: int = 0  # of its output, as far as it was shown
    told: str = ""  # what was said last of how it stands
    ended_at: float = 0.0  # when squeue first said so
    lost: str = ""


class SlurmJobs:
    """The stages that SLURM runs. What needs no command, such as an unchanged stage, is seen to on the head."""

    def __init__(self, plan: Plan, force: bool, retries: int) -> None:
        """Raises SlurmError without SLURM, ProjectError for a stage that asks for what there isn't."""
        commands.require()
        for stage in plan.stages:
            commands.options(stage.name, stage.resources)
        self._root, self._force, self._retries = plan.root, force, retries
        self._left = left_jobs.at_work(plan.root)
        left_jobs.refuse_others(self._left, {stage.target for stage in plan.stages})
        self._checks = LocalJobs(plan.root, force)
        self._to_check: deque[PlannedStage] = deque()
        self._stages = {stage.name: stage for stage in plan.stages}
        self._done: set[str] = set()  # stages whose job of an earlier run has ended well
        self._jobs: dict[str, Job] = {}
        self._interrupted = False
        self._asked = self._registry_asked = 0.0
        self._silent = False
        self._registry: local_server.ForOthers | None = None

    @property
    def at_work(self) -> frozenset[str]:
        return frozenset({job.stage.target for job in self._jobs.values()} | self._left.keys())

    def start(self, stage: PlannedStage) -> None:
        if job := self._left.pop(stage.target, None):
            folder = JobFolder.of(self._root, stage.target)
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
        with contextlib.suppress(SlurmError):
            commands.interrupt(self._ids())

    def kill(self) -> None:
        """End all of them, and wait for that: what they write is restored afterwards."""
        self._checks.kill()
        with contextlib.suppress(SlurmError):
            commands.cancel(self._ids())
        for job in self._jobs.values():
            job.folder.withdraw()
        deadline = time.monotonic() + END_SECONDS
        while self._jobs and time.monotonic() < deadline:
            time.sleep(0.5)
            with contextlib.suppress(SlurmError):
                states = commands.states()
                for name, job in list(self._jobs.items()):
                    if job.id not in states or states[job.id].is_over:
                        left_jobs.clear(self._root, self._jobs.pop(name).folder)

    def _ids(self) -> list[str]:
        return [job.id for job in self._jobs.values() if job.id]

    def _check(self, stage: PlannedStage) -> None:
        if stage.name in self._done:
            self._checks.start_work(stage, lambda: stage_process.check_done(self._root, stage.target))
        else:
            arguments = (self._root, stage.target, self._force, stage.persists)
            self._checks.start_work(stage, lambda: stage_process.run_without_command(*arguments))

    def _checked(self, end: Ended) -> Iterator[Output | Ended]:
        done = end.name in self._done
        self._done.discard(end.name)
        if end.status == stage_process.ELSEWHERE and self._interrupted:
            yield Ended(end.name, guard.INTERRUPTED)
        elif end.status == stage_process.ELSEWHERE:
            yield from self._submit(self._stages[end.name], self._retries)
        else:
            yield Ended(end.name, stage_process.RAN) if done and end.status == stage_process.UNCHANGED else end

    def _submit(self, stage: PlannedStage, retries: int) -> Iterator[Output | Ended]:
        registry = self._find_registry()
        folder = JobFolder.of(self._root, stage.target)
        request = StageRequest(str(self._root), stage.target, self._force, stage.persists, registry.network)
        folder.begin(request)
        environment = {**os.environ, **registry.variables, "PYTHONPATH": os.pathsep.join(client.import_path())}
        try:
            job = commands.submit(folder.path, stage.name, stage.resources, environment)
            folder.set_job(job)
        except SlurmBusyError as error:  # a job that it took nevertheless ends by itself
            self._jobs[stage.name] = Job(stage, folder, "", retries, lost=NOT_TAKEN, ended_at=time.monotonic())
            yield from _say(stage.name, f"{error}; we try again")
            return
        except SlurmError as error:
            folder.remove()
            yield from _say(stage.name, f"ERROR: {error}.")
            yield Ended(stage.name, stage_process.FAILED)
            return
        self._jobs[stage.name] = Job(stage, folder, job, retries)
        yield from _say(stage.name, f"SLURM job {job}")

    def _follow(self) -> Iterator[Output | Ended]:
        states = None
        if time.monotonic() - self._asked > ASK_SECONDS:
            self._find_registry()
            try:
                states = commands.states()
                self._silent = False
            except SlurmError as error:
                if not self._silent:
                    yield from _say(next(iter(self._jobs)), f"{error}; the jobs go on, and we ask again")
                self._silent = True
            self._asked = time.monotonic()
        for name, job in list(self._jobs.items()):
            yield from self._look(name, job, states)

    def _look(self, name: str, job: Job, states: dict[str, JobState] | None) -> Iterator[Output | Ended]:
        status = job.folder.status_of(job.id)  # before the output, which is whole then
        if piece := job.folder.output_from(job.offset):
            job.offset += len(piece)
            yield Output(name, piece)
        if status is not None:
            del self._jobs[name]
            job.folder.remove()
            yield from self._ended(name, status)
        elif job.lost and time.monotonic() > job.ended_at + FENCE:
            yield from self._try_again(name, job)
        elif not job.lost and states is not None:
            yield from self._judge(name, job, states.get(job.id, JobState("UNKNOWN", "", "")))

    def _ended(self, name: str, status: int) -> Iterator[Ended]:
        if name in self._done and status in (stage_process.RAN, stage_process.UNCHANGED):
            self._to_check.append(self._stages[name])  # what it reads may have changed since it began
            return
        self._done.discard(name)
        yield Ended(name, status)

    def _judge(self, name: str, job: Job, state: JobState) -> Iterator[Output]:
        """Say what is new of a job, and whether it is lost."""
        if not state.is_over:
            if (what := _standing(state)) != job.told:
                job.told = what
                yield from _say(name, f"SLURM job {job.id} {what}")
            return
        job.ended_at = job.ended_at or time.monotonic()
        if state.state in ("COMPLETED", "UNKNOWN") and time.monotonic() < job.ended_at + GRACE:
            return
        job.lost, job.ended_at = state.state, time.monotonic()
        job.folder.withdraw()
        where = f" on {state.nodes}" if state.nodes else ""
        yield from _say(name, f"SLURM job {job.id}{where}: {state.state}: {WHY.get(state.state, 'it has ended')}")

    def _try_again(self, name: str, job: Job) -> Iterator[Output | Ended]:
        del self._jobs[name]
        self._done.discard(name)
        left_jobs.clear(self._root, job.folder)
        if job.lost == NOT_TAKEN and not self._interrupted:
            yield from self._submit(job.stage, job.retries)
        elif job.retries and job.lost in TRY_AGAIN and not self._interrupted:
            others = {stage.target for stage in self._stages.values()} - {job.stage.target}
            kept_outs.restore(self._root, at_work=others)
            yield from self._submit(job.stage, job.retries - 1)
        else:
            yield Ended(name, guard.INTERRUPTED if self._interrupted else LOST, "" if self._interrupted else job.lost)

    def _find_registry(self) -> local_server.ForOthers:
        """How a node reaches the registry. It is kept at work here: one that a job starts would end with the job."""
        if self._registry is None or time.monotonic() - self._registry_asked > REGISTRY_SECONDS:
            self._registry, self._registry_asked = local_server.for_others(self._root), time.monotonic()
        return self._registry


def _standing(state: JobState) -> str:
    """What is worth a line; that a job waits for its turn isn't."""
    if state.nodes:
        return f"works on {state.nodes}"
    usual = ("None", "Priority", "Resources", "")
    return "" if state.reason in usual else f"waits: {state.reason}"


def _say(name: str, line: str) -> Iterator[Output]:
    yield Output(name, f"{line}\n".encode())
