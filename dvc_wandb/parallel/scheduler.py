"""Starts each stage once what it waits for is done, and goes on until nothing is left that can run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.plan import Plan, PlannedStage

TICK = 0.5  # seconds between two looks at the clock and the mirror, while no stage says anything
LAST_SECONDS = 20.0  # for stages to end after an interrupt, before they are killed


@dataclass(frozen=True)
class Output:
    """Some of what a stage printed."""

    name: str
    piece: bytes


@dataclass(frozen=True)
class Ended:
    """The end of a stage: an exit status of `stage_process`, or that of a process which was killed.

    `why` names what ended it, if that was neither the stage nor a signal.
    """

    name: str
    status: int
    why: str = ""


class Jobs(Protocol):
    """Where stages run: an engine."""

    @property
    def at_work(self) -> frozenset[str]:
        """The targets of stages that go on when we end."""
        ...

    def start(self, stage: PlannedStage) -> None: ...
    def events(self, seconds: float) -> Iterator[Output | Ended]: ...
    def interrupt(self) -> None: ...
    def kill(self) -> None: ...


class Listener(Protocol):
    """Who is told what happens."""

    def started(self, stage: PlannedStage) -> None: ...
    def output(self, name: str, piece: bytes) -> None: ...
    def ended(self, end: Ended, seconds: float) -> None: ...
    def tick(self, progress: Progress) -> None: ...


@dataclass
class Progress:
    """The names of the stages, by what became of each; `running` with the time.monotonic() of its start."""

    waiting: list[str]
    running: dict[str, float] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    @property
    def finished(self) -> set[str]:
        return {*self.ran, *self.unchanged, *self.failed, *self.not_run}


def run(
    plan: Plan,
    jobs: Jobs,
    limit: int,
    keep_going: bool,
    listener: Listener,
    prepare: Callable[[PlannedStage], None],
) -> Progress:
    """Run the stages of the plan, `limit` at a time; `prepare` is called before each.

    After a failure those that run come to their end, and others start only with `keep_going`, if they don't need it.
    On KeyboardInterrupt ends them, and raises it again.
    """
    stages = {stage.name: stage for stage in plan.stages}
    progress = Progress(waiting=list(stages))
    try:
        while True:
            if progress.failed and not keep_going:
                progress.not_run += progress.waiting
                progress.waiting.clear()
            for stage in _ready(progress, stages):
                if len(progress.running) < limit:
                    prepare(stage)
                    progress.waiting.remove(stage.name)
                    progress.running[stage.name] = time.monotonic()
                    listener.started(stage)
                    jobs.start(stage)
            if not progress.running:
                return progress
            _hear(progress, jobs, listener)
    except KeyboardInterrupt:
        _end(progress, jobs, listener)
        raise


def _ready(progress: Progress, stages: dict[str, PlannedStage]) -> list[PlannedStage]:
    """The stages that can start now. Those downstream of one that failed are not run."""
    finished, lost = progress.finished, {*progress.failed, *progress.not_run}
    ready = []
    for name in progress.waiting[:]:  # upstream first
        stage = stages[name]
        if stage.needs & lost:
            progress.waiting.remove(name)
            progress.not_run.append(name)
            finished.add(name)
            lost.add(name)
        elif (stage.needs | stage.after) <= finished:
            ready.append(stage)
    return ready


def _hear(progress: Progress, jobs: Jobs, listener: Listener) -> None:
    for event in jobs.events(TICK):
        if isinstance(event, Output):
            listener.output(event.name, event.piece)
            continue
        seconds = time.monotonic() - progress.running.pop(event.name)
        ends = {stage_process.RAN: progress.ran, stage_process.UNCHANGED: progress.unchanged}
        ends.get(event.status, progress.failed).append(event.name)
        listener.ended(event, seconds)
    listener.tick(progress)


def _end(progress: Progress, jobs: Jobs, listener: Listener) -> None:
    """Let the running stages end as after Ctrl-C in `dvc repro`; kill them when that takes long, or at the next one."""
    try:
        jobs.interrupt()
        deadline = time.monotonic() + LAST_SECONDS
        while progress.running and time.monotonic() < deadline:
            _hear(progress, jobs, listener)
    finally:
        jobs.kill()
