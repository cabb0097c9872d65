"""What outlives a stage in its recorder: the project as DVC knows it, the registry, and the one thread for the SDK."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from dvc_wandb.client import connection, timeouts
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.errors import LineageError, RegistryAway, in_a_sentence, not_mirrored
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import name_of

Said = tuple[str, bool]  # a line for the terminal, and whether it tells of a failure

ASK_AGAIN_AFTER = 30.0  # seconds; one that lets each stage wait for an answer would hold up the pipeline
HARMLESS = {"-q", "--quiet", "-v", "--verbose", "-f", "--force"}  # options that leave no stage out


class RecorderSession:
    """For the stages of the process `runner` in the project `root`; used from several threads."""

    def __init__(self, root: Path, runner: int) -> None:
        self.root = root
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._connecting = threading.Lock()
        self._connection: RegistryConnection | None = None
        self._away: RegistryAway | None = None
        self._asked = 0.0
        self.hangs: RegistryAway | None = None
        self._untold: list[str] = []  # stages whose outputs were handed over, and of which nothing was said yet
        self.later(self.connected)  # while DVC reads the project
        self._loaded = threading.Event()
        self._pipeline: Pipeline | LineageError | None = None
        self._whole = _runs_whole_pipeline(runner)
        self._said: list[Said] = []

    def later(self, work: Any, *arguments: Any) -> Future[Any]:
        """Have the SDK's thread do `work` once it has done all before it."""
        return self._worker.submit(work, *arguments)

    def result(self, work: Future[Any]) -> Any:
        """What the SDK's thread made of `work`; raises RegistryAway where the registry no longer answers.

        The SDK goes on asking for minutes then, and its thread has time for no stage that comes after.
        """
        if self.hangs:
            raise self.hangs
        return timeouts.result(work, self.look)

    def look(self) -> None:
        """Raises RegistryAway where the registry that was found doesn't answer any more."""
        if self._connection is None:  # being looked for
            return
        try:
            self.connected().check()
        except RegistryAway as error:
            self.hangs = error
            for stage in self._untold[:]:
                self.tell(stage, self._not_mirrored(stage), failed=True)
            raise

    def load(self) -> None:
        """Have DVC read the project, for `pipeline`."""
        try:
            self._pipeline = Pipeline(self.root)
        except LineageError as error:
            self._pipeline = error
        self._loaded.set()

    @property
    def pipeline(self) -> Pipeline:
        """The project as it was when the first stage began; raises LineageError where DVC can't read it."""
        self._loaded.wait()
        if not isinstance(self._pipeline, Pipeline):
            raise LineageError(str(self._pipeline))
        return self._pipeline

    def connected(self) -> RegistryConnection:
        """The registry, found once and brought back where it went away; raises RegistryAway."""
        with self._connecting:
            if self.hangs:
                raise self.hangs
            if self._connection is None:
                self._connection = self._connect()
            else:
                connection.still_there(self._connection, self.root)
            return self._connection

    def _connect(self) -> RegistryConnection:
        if self._away and time.monotonic() - self._asked < ASK_AGAIN_AFTER:
            raise self._away
        try:
            return connection.connect(self.root, name_of(self.root))
        except RegistryAway as error:
            self._away, self._asked = error, time.monotonic()
            raise

    def more_comes(self, finished: Execution) -> bool:
        """Whether DVC is sure to go on with a stage that reads what `finished` made."""
        return self._whole and self.pipeline.downstream_is_outdated(finished)

    def handed_over(self, stage: str) -> None:
        """What becomes of the outputs of `stage` will be told."""
        if self.hangs:
            self.say(self._not_mirrored(stage), failed=True)
        else:
            self._untold.append(stage)

    def tell(self, stage: str, line: str, failed: bool = False) -> None:
        """Say what became of the outputs of `stage`, once."""
        if stage in self._untold:
            self._untold.remove(stage)
            self.say(line, failed)

    def _not_mirrored(self, stage: str) -> str:
        assert self.hangs is not None
        return not_mirrored(stage, in_a_sentence(self.hangs))

    def say(self, line: str, failed: bool = False) -> None:
        self._said.append((line, failed))

    def heard(self) -> list[Said]:
        """What there is to say to the person at the terminal, once."""
        said, self._said = self._said, []
        return said

    def end(self) -> None:
        """Return when all that was asked for is done, as far as it can be."""
        if self.hangs is None:
            self._worker.shutdown(wait=True)


def _runs_whole_pipeline(pid: int) -> bool:
    """Whether the process is a `dvc repro` or `dvc exp run` of everything: one that names a stage may stop after it."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    words = list(itertools.dropwhile(lambda word: word not in ("repro", "exp"), command))
    rest = words[2:] if words[:2] == ["exp", "run"] else words[1:] if words[:1] == ["repro"] else ["another command"]
    return set(rest) <= HARMLESS
