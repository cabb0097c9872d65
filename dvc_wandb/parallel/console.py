"""Shows a run of stages side by side: what each prints after its name, how far all of it is, how long each took."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO

from dvc_wandb.parallel import guard, stage_process
from dvc_wandb.parallel.plan import Plan, PlannedStage
from dvc_wandb.parallel.scheduler import TICK, Ended, Progress

WIDEST_NAME = 24  # characters; longer names stand out


class Console:
    """Prints each line as it comes, after the stage's name; on a terminal with a line below that says how far it is."""

    def __init__(self, plan: Plan, mirror: Callable[[], list[tuple[str, bool]]]) -> None:
        """`mirror` gives the lines on what was mirrored since its last call, and whether each tells of a failure."""
        self._mirror, self._asked = mirror, time.monotonic()
        self._width = min(WIDEST_NAME, max((len(stage.name) for stage in plan.stages), default=0))
        self._count = len(plan.stages)
        self._ended = 0
        self._rest: dict[str, bytes] = {}  # of each stage, what it printed of a line that goes on
        self._status = ""

    def started(self, stage: PlannedStage) -> None:
        self._rest[stage.name] = b""

    def output(self, name: str, piece: bytes) -> None:
        *lines, self._rest[name] = (self._rest[name] + piece).split(b"\n")
        for line in lines:
            self._print_line(name, line)

    def ended(self, end: Ended, seconds: float) -> None:
        if rest := self._rest.pop(end.name):
            self._print_line(end.name, rest)
        self._ended += 1
        self.say(f"{end.name}: {_what_came_of(end)} after {seconds:.1f} s ({self._ended} of {self._count})")

    def tick(self, progress: Progress) -> None:
        if time.monotonic() - self._asked > TICK:
            self.say_what_is_mirrored()
        if sys.stderr.isatty():
            self._clear()
            self._status = _status(progress, self._count)
            print(self._status, end="", file=sys.stderr, flush=True)

    def say_what_is_mirrored(self) -> None:
        for line, failed in self._mirror():
            self.say(line, failed)
        self._asked = time.monotonic()

    def say(self, line: str, failed: bool = False) -> None:
        """A line on the whole, or of the mirror."""
        self._clear()
        print(line, file=sys.stderr if failed else sys.stdout, flush=True)

    def close(self) -> None:
        self._clear()

    def _print_line(self, name: str, line: bytes) -> None:
        # Of a bar that draws itself anew, its last state
        text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
        self.say(f"{name:<{self._width}} | {text}".rstrip())

    def _clear(self) -> None:
        if self._status:
            print(f"\r{' ' * len(self._status)}\r", end="", file=sys.stderr, flush=True)
            self._status = ""


class QuietConsole(Console):
    """Prints what each stage said as one block, in the order of a serial run."""

    def __init__(self, plan: Plan, mirror: Callable[[], list[tuple[str, bool]]]) -> None:
        super().__init__(plan, mirror)
        self._order = [stage.name for stage in plan.stages]
        self._said: dict[str, IO[bytes]] = {}
        self._whole: set[str] = set()

    def started(self, stage: PlannedStage) -> None:
        super().started(stage)
        self._said[stage.name] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with its block)

    def output(self, name: str, piece: bytes) -> None:
        self._said[name].write(piece)

    def ended(self, end: Ended, seconds: float) -> None:
        self._whole.add(end.name)
        while self._order and self._order[0] in self._whole:
            self._print_block(self._order.pop(0))

    def tick(self, progress: Progress) -> None:
        pass

    def close(self) -> None:
        """Print the blocks of those behind a stage that never ran."""
        for name in self._order:
            if name in self._said:
                self._print_block(name)

    def _print_block(self, name: str) -> None:
        with self._said.pop(name) as said:
            said.seek(0)
            text = said.read().decode(errors="replace")
        if text.strip():
            print(text.rstrip("\n"), flush=True)


def summary(progress: Progress, seconds: float) -> list[str]:
    """What became of all stages, in a line, and which failed."""
    parts = [
        f"{len(names)} {what}"
        for names, what in (
            (progress.ran, "ran"),
            (progress.unchanged, "unchanged"),
            (progress.failed, "failed"),
            (progress.not_run, "not run"),
        )
        if names
    ]
    count = len(progress.finished)
    lines = [f"{count} stage{'s' if count != 1 else ''} in {seconds:.1f} s: {', '.join(parts) or 'nothing to do'}"]
    if progress.failed:
        lines.append(f"failed: {', '.join(progress.failed)}")
    if progress.not_run:
        lines.append(f"not run because of that: {', '.join(progress.not_run)}")
    return lines


def _what_came_of(end: Ended) -> str:
    usual = {stage_process.RAN: "done", stage_process.UNCHANGED: "unchanged", guard.INTERRUPTED: "interrupted"}
    return end.why or usual.get(end.status) or (f"killed by signal {-end.status}" if end.status < 0 else "failed")


def _status(progress: Progress, count: int) -> str:
    now = time.monotonic()
    running = ", ".join(f"{name} {now - since:.0f} s" for name, since in progress.running.items())
    failed = f", {len(progress.failed)} failed" if progress.failed else ""
    line = f"[{len(progress.finished)}/{count}{failed}] {running}; {len(progress.waiting)} waiting"
    return line if len(line) < 120 else f"{line[:116]} …"
