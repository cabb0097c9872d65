"""Runs stages on this machine, each in a process that is forked from this one: DVC is imported once."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dvc_wandb.parallel import guard, kept_outs, stage_process
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.scheduler import Ended, Output
from dvc_wandb.recorder import client

PIECE = 2**16  # bytes


class LocalJobs:
    """The stages that work on this machine, under their guards."""

    def __init__(self, root: Path, force: bool) -> None:
        self._root, self._force = root, force
        self.at_work: frozenset[str] = frozenset()  # none goes on when we end
        self._guards: dict[str, guard.Guarded] = {}
        self._targets: dict[str, str] = {}
        self._interrupted = False
        self._poll = select.poll()

    def __len__(self) -> int:
        return len(self._guards)

    def start(self, stage: PlannedStage) -> None:
        self.start_work(stage, lambda: stage_process.run(self._root, stage.target, self._force, stage.persists))

    def start_work(self, stage: PlannedStage, do: Callable[[], int]) -> None:
        """Do something else for the stage than to run it; what it returns is how the stage ends."""

        def work() -> int:
            os.environ.update(client.launcher_variable(self._root, launcher))
            os.environ.setdefault("PYTHONUNBUFFERED", "1")  # DVC gives a terminal to its commands, we give a pipe
            return do()

        launcher = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self._targets[stage.name] = stage.target
        others = [descriptor for one in self._guards.values() for descriptor in one.descriptors]
        started = self._guards[stage.name] = guard.start(work, inherited=others)
        self._poll.register(started.output, select.POLLIN)
        self._poll.register(started.control, 0)  # an error, once the guard has ended

    def events(self, seconds: float) -> Iterator[Output | Ended]:
        """What the stages printed, and which of them ended; waits for the first of it, or so many seconds."""
        ready = {descriptor for descriptor, _ in self._poll.poll(seconds * 1000)}
        for name, one in list(self._guards.items()):
            if one.output in ready:
                yield from self._output(name, one)
            if one.control in ready:
                status = guard.wait(one)
                yield from self._output(name, one)
                self._forget(name, one)
                if status >= 0 and not self._interrupted:
                    kept_outs.forget(self._root, self._targets[name])
                yield Ended(name, status)

    def interrupt(self) -> None:
        """Ctrl-C for all of them: they end in their own way."""
        self._interrupted = True
        for one in self._guards.values():
            with contextlib.suppress(BrokenPipeError):
                os.write(one.control, guard.INTERRUPT)

    def kill(self) -> None:
        """End all of them at once."""
        for one in self._guards.values():
            self._poll.unregister(one.control)
            os.close(one.control)
            guard.wait(one)
        self._guards.clear()

    def _output(self, name: str, one: guard.Guarded) -> Iterator[Output]:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(one.output, PIECE):
                yield Output(name, piece)
            with contextlib.suppress(KeyError):  # all who could write have ended, before the guard
                self._poll.unregister(one.output)

    def _forget(self, name: str, one: guard.Guarded) -> None:
        for descriptor in one.descriptors:
            with contextlib.suppress(KeyError):
                self._poll.unregister(descriptor)
            os.close(descriptor)
        del self._guards[name]
