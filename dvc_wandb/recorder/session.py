"""What a recorder keeps between stages: DVC's project, the connection, and the thread for the SDK."""

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
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason, not_mirrored_message
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name
from dvc_wandb.recorder.client import launcher_pid

Message = tuple[str, bool]  # a line for the terminal, and whether it reports a failure

RECONNECT_AFTER = 30.0  # seconds; to try it in each stage would slow the pipeline down
OPTIONS_OF_ALL = {"-q", "--quiet", "-v", "--verbose", "-f", "--force"}  # options with which DVC still runs all stages


class RecorderSession:
    """The session for the stages of the process `runner` in the project `root`. Threads may share it."""

    def __init__(self, root: Path, runner: int) -> None:
        self.root = root
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._pending: set[Future[Any]] = set()
        self._connecting = threading.Lock()
        self._connection: RegistryConnection | None = None
        self._connect_error: RegistryUnavailableError | None = None
        self._last_attempt = 0.0
        self.unresponsive: RegistryUnavailableError | None = None
        self._unreported: list[str] = []  # stages with outputs to mirror, whose outcome was not reported yet
        self._loaded = threading.Event()
        self._pipeline: Pipeline | DvcWandbError | None = None
        self.lock = threading.Lock()  # stages may begin and end at the same time, and DVC's objects are not for threads
        self._launched = launcher_pid(root) == runner
        self._runs_whole_pipeline = _runs_whole_pipeline(runner)
        self._messages: list[Message] = []

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        """Queue `work` for the SDK's thread."""
        future = self._worker.submit(work, *arguments)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def result(self, future: Future[Any]) -> Any:
        """The result of `future`. Raises RegistryUnavailableError if the registry stops answering.

        The SDK then retries for minutes, and its thread is lost for the stages that follow.
        """
        if self.unresponsive:
            raise self.unresponsive
        return timeouts.wait_for(future, self.check_registry)

    def check_registry(self) -> None:
        """Raises RegistryUnavailableError if the registry has stopped answering."""
        if self._connection is None:  # still connecting
            return
        try:
            self.get_connection().check()
        except RegistryUnavailableError as error:
            self.unresponsive = error
            for stage in self._unreported[:]:
                self.report_outcome(stage, self._not_mirrored(stage), failed=True)
            raise

    def load(self) -> None:
        """Read the project with DVC, for `pipeline`. Then connect: the stage begins without waiting for that."""
        try:
            self._pipeline = Pipeline(self.root)
        except DvcWandbError as error:
            self._pipeline = error
        self._loaded.set()
        self.submit(self.get_connection)

    @property
    def pipeline(self) -> Pipeline:
        """The project as it was when the first stage began. Raises DvcWandbError if DVC can't read it."""
        self._loaded.wait()
        if not isinstance(self._pipeline, Pipeline):
            raise DvcWandbError(str(self._pipeline))
        return self._pipeline

    def get_connection(self) -> RegistryConnection:
        """The connection, made once. Restarts a stopped embedded registry. Raises RegistryUnavailableError."""
        with self._connecting:
            if self.unresponsive:
                raise self.unresponsive
            if self._connection is None:
                self._connection = self._connect()
            else:
                connection.ensure_running(self._connection, self.root)
            return self._connection

    def _connect(self) -> RegistryConnection:
        if self._connect_error and time.monotonic() - self._last_attempt < RECONNECT_AFTER:
            raise self._connect_error
        try:
            connected = connection.connect(self.root, project_name(self.root))
        except RegistryUnavailableError as error:
            self._connect_error, self._last_attempt = error, time.monotonic()
            raise
        self.add_message(f"Look at it: {connection.browser_url(connected, self.root)}")
        return connected

    def downstream_will_run(self, finished: Execution) -> bool:
        """Whether DVC will certainly run a stage that reads an output of `finished`, or its launcher waits itself."""
        if self._launched:
            return True
        return self._runs_whole_pipeline and self.pipeline.downstream_is_outdated(finished)

    def expect_outcome(self, stage: str) -> None:
        """Note that the outcome for the outputs of `stage` is to be reported."""
        if self.unresponsive:
            self.add_message(self._not_mirrored(stage), failed=True)
        else:
            self._unreported.append(stage)

    def report_outcome(self, stage: str, line: str, failed: bool = False) -> None:
        """Report the outcome for the outputs of `stage`, once."""
        if stage in self._unreported:
            self._unreported.remove(stage)
            self.add_message(line, failed)

    def _not_mirrored(self, stage: str) -> str:
        assert self.unresponsive is not None
        return not_mirrored_message(stage, error_reason(self.unresponsive))

    def add_message(self, line: str, failed: bool = False) -> None:
        self._messages.append((line, failed))

    def take_messages(self, by_launcher: bool = False) -> list[Message]:
        """The messages for the terminal since the last call. A launcher takes them itself: stages run side by side."""
        if self._launched and not by_launcher:
            return []
        messages, self._messages = self._messages, []
        return messages

    @property
    def is_idle(self) -> bool:
        """Whether all that was queued is done, or never will be."""
        return self.unresponsive is not None or not self._pending

    def end(self) -> None:
        """Wait for all queued work, unless the registry has stopped answering."""
        if self.unresponsive is None:
            self._worker.shutdown(wait=True)


def _runs_whole_pipeline(pid: int) -> bool:
    """Whether the process is a `dvc repro` or `dvc exp run` of all stages, not only up to a named one."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    words = list(itertools.dropwhile(lambda word: word not in ("repro", "exp"), command))
    options = words[2:] if words[:2] == ["exp", "run"] else words[1:] if words[:1] == ["repro"] else ["another command"]
    return set(options) <= OPTIONS_OF_ALL
