"""The recorder: mirrors stages in W&B while DVC goes on with the next one.

    python -m lineage.recording PID     started by the first stage that the process PID runs; see lineage/recorder.py

The SDK's calls are made one after the other in one thread, in the order in which stages began and ended. A stage
needn't wait for them, save the last one: when it returns, all that the stages made is in the registry.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection as Line
from multiprocessing.connection import Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lineage import connection, mirror, promotion, record, recorder
from lineage.connection import Connection
from lineage.errors import LineageError, first_line, in_a_sentence, not_mirrored
from lineage.holdings import Holdings
from lineage.pipeline import Content, Execution, Pipeline, project_root

if TYPE_CHECKING:
    import wandb

Said = tuple[str, bool]  # a line for the terminal, and whether it tells of a failure

HARMLESS = {"-q", "--quiet", "-v", "--verbose", "-f", "--force"}  # options that leave no stage out
IDLE_LIMIT = 600.0  # seconds that a recorder waits for another stage of a process that goes on without any


class Recorder:
    """What outlives a stage: the project as DVC knows it, the registry's connection, and the thread for the SDK."""

    def __init__(self, root: Path, runner: int) -> None:
        self.root = root
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        self.later(self.connected)  # while DVC reads the project
        self._loaded = threading.Event()
        self._pipeline: Pipeline | LineageError | None = None
        self._whole = _runs_whole_pipeline(runner)
        self._said: list[Said] = []
        self._stages: set[threading.Thread] = set()
        self.last_busy = time.monotonic()

    def later(self, work: Any, *arguments: Any) -> Future[Any]:
        """Have the SDK's thread do `work` once it has done all before it."""
        return self._worker.submit(work, *arguments)

    def load(self) -> None:
        try:
            self._pipeline = Pipeline(self.root)
        except LineageError as error:
            self._pipeline = error
        self._loaded.set()

    @property
    def pipeline(self) -> Pipeline:
        """The project; raises WrongProject where DVC can't read it."""
        self._loaded.wait()
        if not isinstance(self._pipeline, Pipeline):
            raise LineageError(str(self._pipeline))
        return self._pipeline

    def connected(self) -> Connection:
        """The registry, found once and brought back where it went away; raises RegistryAway."""
        with self._connecting:
            if self._connection is None:
                self._connection = connection.connect(self.root)
            else:
                connection.still_there(self._connection, self.root)
            return self._connection

    def more_comes(self, finished: Execution) -> bool:
        """Whether DVC is sure to go on with a stage that reads what `finished` made."""
        return self._whole and self.pipeline.goes_on_after(finished)

    def say(self, line: str, failed: bool = False) -> None:
        self._said.append((line, failed))

    def heard(self) -> list[Said]:
        """What there is to say to the person at the terminal, once."""
        said, self._said = self._said, []
        return said

    def serve(self, line: Line) -> None:
        """Answer one stage, in a thread of its own."""
        thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
        self._stages.add(thread)
        thread.start()

    @property
    def busy(self) -> bool:
        self._stages = {thread for thread in self._stages if thread.is_alive()}
        return bool(self._stages)

    def end(self) -> None:
        """Return when all that was asked for is done."""
        self._worker.shutdown(wait=True)

    def _serve(self, line: Line) -> None:
        stage = Recording(self)
        with line:
            while True:
                try:
                    number, question, arguments = line.recv()
                except (EOFError, OSError):
                    break
                try:
                    answer = (number, False, getattr(stage, f"on_{question}")(*arguments))
                except LineageError as error:
                    answer = (number, True, str(error))
                try:
                    line.send(answer)
                except OSError:
                    break
        stage.lost()
        self.last_busy = time.monotonic()


class Recording:
    """One stage's run. The methods `on_…` answer what the stage asks."""

    def __init__(self, of: Recorder) -> None:
        self._recorder = of
        self._execution: Execution | None = None
        self._run: wandb.Run | None = None
        self._missing: str | None = None
        self._settings: dict[str, Any] = {}
        self._over = False

    def on_begin(self, stage: str, live: bool, pid: int, program: str) -> Execution:
        """What DVC knows of the stage. Its run is opened meanwhile, unless it is live in the stage itself."""
        execution = self._recorder.pipeline.running(stage)
        for dep in execution.deps:
            if dep.md5 is None:
                raise LineageError(f"{dep.path} is missing; `dvc repro {stage}` makes what this stage reads.")
        self._execution = execution
        self._settings = {"x_stats_pid": pid, "program": program}
        if not live:
            self._recorder.later(self._attempt, self._open)
        return execution

    def on_connection(self) -> Connection:
        return self._recorder.connected()

    def on_use_model(self, content: Content) -> str | None:
        """Where the model lies as the registry served it; None while the registry is away."""
        return self._recorder.later(self._attempt, self._use_model, content).result()

    def on_complete(self, console: str, live: tuple[str | None, str | None] | None) -> list[Said]:
        """Log the outputs, and end the run; waits for it where no other stage is going to."""
        pipeline, stage = self._recorder.pipeline, self._stage
        for out in self._execution_.outs:
            if not (self._recorder.root / out.path).exists():
                raise LineageError(f"{out.path} was not written, but dvc.yaml has it among the outs.")
        finished = pipeline.running(stage)
        pipeline.hold(finished.outs)
        self._over = True
        done = self._recorder.later(self._complete, finished, console, live)
        if not self._recorder.more_comes(finished):
            done.result()
        return self._recorder.heard()

    def on_abandon(self, console: str, live: tuple[str | None, str | None] | None) -> list[Said]:
        """End the run as failed, and bring the stage's earlier outputs back."""
        self._over = True
        if self._execution is not None:
            self._restore()
            self._recorder.later(self._close, console, live, 1).result()
        return self._recorder.heard()

    def lost(self) -> None:
        """The stage's process is gone; without a word where it was killed."""
        if not self._over and self._execution is not None:
            self._recorder.later(self._close, "", None, 1)

    @property
    def _execution_(self) -> Execution:
        assert self._execution is not None, "a stage begins before it ends"
        return self._execution

    @property
    def _stage(self) -> str:
        return self._execution_.stage

    def _restore(self) -> None:
        try:
            self._recorder.pipeline.restore(self._stage)
        except Exception as error:  # the stage's own failure is what the user has to see
            self._recorder.say(
                f"{self._stage}: its earlier outputs are in DVC's cache; `dvc checkout` brings them back "
                f"(here that failed: {first_line(error)}).",
                failed=True,
            )

    def _attempt(self, work: Any, *arguments: Any) -> Any:
        """Whatever the registry or the SDK may raise, the stage goes on; the first reason is remembered."""
        if self._missing is None:
            try:
                return work(*arguments)
            except Exception as error:
                self._missing = in_a_sentence(error)
        return None

    def _open(self, live: str | None = None) -> None:
        """Open the run, or go on in the one that the stage had open itself; its inputs are declared."""
        run = self._run = connection.open_run(
            self._recorder.connected(),
            reinit="create_new",
            settings=self._settings,
            **({"id": live, "resume": "allow"} if live else {}),
            **record.described(self._execution_),
        )
        self._use_inputs(run)

    def _use_inputs(self, run: wandb.Run) -> None:
        """Declare the inputs; those that the registry lacks are mirrored first."""
        from wandb.errors import CommError

        try:
            record.use_inputs(run, self._execution_)
        except (CommError, ValueError):
            pipeline, connected = Pipeline(self._recorder.root), self._recorder.connected()
            makers = sorted({maker for dep in self._execution_.deps if (maker := pipeline.maker(dep))})
            holdings = Holdings(connected)
            mirror.make_up_sources(pipeline, connected, holdings, pipeline.sources())
            if makers:
                mirror.make_up(pipeline, connected, holdings, pipeline.locked(*makers))
            record.use_inputs(run, self._execution_)

    def _use_model(self, content: Content) -> str | None:
        through = self._execution_.meta.get("uses") or {}
        assert self._run is not None
        return self._run.use_model(f"{through.get(content.path, content.artifact)}:{content.alias}")

    def _complete(self, finished: Execution, console: str, live: tuple[str | None, str | None] | None) -> None:
        said = self._attempt(self._log, finished, live)
        run, missing = self._run, self._missing
        self._close(console, live, 0)
        if self._missing or run is None:
            self._recorder.say(not_mirrored(self._stage, missing or self._missing or ""), failed=True)
        else:
            self._recorder.say(f"{self._stage}: mirrored as {self._recorder.connected().project_url}/runs/{run.id}")
        if said:
            self._recorder.say(f"{self._stage}: {said}")

    def _log(self, finished: Execution, live: tuple[str | None, str | None] | None) -> str | None:
        """Bring all that the stage made into its run; what became of production, in words."""
        connected = self._recorder.connected()
        self._go_on(live)
        assert self._run is not None
        record.log_outputs(self._run, self._recorder.pipeline, finished)
        said = promotion.follow(self._recorder.pipeline, finished, connected)
        record.mark_complete(self._run, finished)
        return said

    def _go_on(self, live: tuple[str | None, str | None] | None) -> None:
        id, missing = live or (None, None)
        if missing:
            raise LineageError(missing)
        if id and self._run is None:
            self._open(id)

    def _close(self, console: str, live: tuple[str | None, str | None] | None, exit_code: int) -> None:
        """End the run where there is one."""
        self._attempt(self._go_on, live)
        if self._run is None:
            return
        try:
            if console and live is None:
                self._run.write_logs(console)
            self._run.finish(exit_code=exit_code)
        except Exception as error:
            self._missing = self._missing or in_a_sentence(error)


def main() -> None:
    runner, root = int(sys.argv.pop()), project_root()
    process = psutil.Process(runner)
    _sweep(root)
    key = secrets.token_bytes(32)
    card = recorder.card(root, runner)
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        own = Recorder(root, runner)
        _write(card, {"port": listener.address[1], "key": key.hex()})
        threading.Thread(target=_accept, args=(listener, own), daemon=True).start()
        own.load()
        while own.busy or (process.is_running() and time.monotonic() - own.last_busy < IDLE_LIMIT):
            time.sleep(0.05)
        own.end()
        card.unlink(missing_ok=True)


def _accept(listener: Listener, own: Recorder) -> None:
    while True:
        try:
            own.serve(listener.accept())
        except Exception:  # a stranger on the port, or one that was killed while it called
            time.sleep(0.01)


def _sweep(root: Path) -> None:
    """Remove what recorders held that were killed."""
    if not any(map(recorder.alive, recorder.cards(root))):
        for held in root.glob(".dvc/tmp/held-*"):
            shutil.rmtree(held, ignore_errors=True)


def _write(card: Path, facts: dict[str, Any]) -> None:
    """The card appears whole, for its owner alone."""
    me = psutil.Process()
    card.parent.mkdir(parents=True, exist_ok=True)
    new = card.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**facts, "pid": me.pid, "since": me.create_time()}, file)
    new.replace(card)


def _runs_whole_pipeline(pid: int) -> bool:
    """Whether the process is a `dvc repro` or `dvc exp run` of everything: one that names a stage may stop after it."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    words = list(itertools.dropwhile(lambda word: word not in ("repro", "exp"), command))
    rest = words[2:] if words[:2] == ["exp", "run"] else words[1:] if words[:1] == ["repro"] else ["another command"]
    return set(rest) <= HARMLESS


if __name__ == "__main__":
    main()
