"""The W&B run of one stage, from the stage's first call to its last."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil

from dvc_wandb.client import connection
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason, not_mirrored_message
from dvc_wandb.production import alias
from dvc_wandb.production.alias import ModelNotInRegistryError
from dvc_wandb.production.promoting_stage import FOLLOWED_BY_COMMAND
from dvc_wandb.project import cache, remedies
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.undeclared import undeclared_deps
from dvc_wandb.recorder.session import Message, RecorderSession
from dvc_wandb.sync import fetch, log_run, mirror
from dvc_wandb.sync.locks import exclusive
from dvc_wandb.sync.mirrored_project import MirroredProject

if TYPE_CHECKING:
    import wandb

LiveRunResult = tuple[str | None, str | None] | None  # the id of the stage's live run, or why there is none


class StageRun:
    """One stage's run. The stage calls the methods `on_…`."""

    def __init__(self, session: RecorderSession) -> None:
        self._session = session
        self._execution: Execution | None = None
        self._run: wandb.Run | None = None
        self._failure: str | None = None
        self._settings: dict[str, Any] = {}
        self._start = self._seconds = 0.0  # of the stage's process: when it started, how long it worked
        self._ended = self._failed = False

    def on_begin(self, stage: str, live: bool, pid: int, program: str) -> Execution:
        """The stage as DVC knows it. Opens the run in the background, unless the stage has a live one."""
        with self._session.lock:
            execution = self._session.pipeline.workspace_execution(stage)
        for dep in execution.deps:
            if dep.md5 is None:
                remedy = remedies.for_missing_file(self._session.pipeline.dvc, dep.path)
                raise DvcWandbError(f"{dep.path} is missing. {remedy}")
        self._execution = execution
        self._settings = {"x_stats_pid": pid, "program": program}
        self._start = psutil.Process(pid).create_time()
        if not live:
            self._session.submit(self._attempt, self._open)
        return execution

    def on_connection(self) -> RegistryConnection:
        return self._session.get_connection()

    def on_messages(self) -> list[Message]:
        return self._session.take_messages()

    def on_messages_for_launcher(self) -> list[Message]:
        return self._session.take_messages(by_launcher=True)

    def on_is_idle(self) -> bool:
        return self._session.is_idle

    def on_check_registry(self) -> None:
        self._session.check_registry()

    def on_use_model(self, content: Content) -> str | None:
        """The path of the model as downloaded from the registry; None if the registry is unavailable."""
        try:
            return self._session.result(self._session.submit(self._attempt, self._use_model, content))
        except RegistryUnavailableError:
            return None

    def on_find_model(self, target: str, md5: str) -> str | None:
        """The path of an earlier model; None if its bytes are nowhere."""
        try:
            return self._session.result(self._session.submit(self._find_model, target, md5))
        except RegistryUnavailableError:  # the workspace or DVC's cache may have it
            return self._find_model(target, md5)

    def on_complete(self, console: str, live: LiveRunResult, opened: list[str]) -> list[Message]:
        """Log the outputs and finish the run. Waits for that if no other stage follows.

        Reports the undeclared deps among the files that the stage `opened` and the modules that it imports.
        """
        self._seconds = time.time() - self._start
        pipeline, stage = self._session.pipeline, self._stage
        for out in self._started.outs:
            if not (self._session.root / out.path).exists():
                raise DvcWandbError(f"{out.path} was not written, but dvc.yaml has it among the outs.")
        with self._session.lock:
            undeclared = pipeline.undeclared_deps({stage: opened})
            finished = pipeline.workspace_execution(stage)
            pipeline.snapshot(finished.outs)
        finished = replace(finished, undeclared_deps=tuple(one.path for one in undeclared))
        for line in undeclared_deps.messages(undeclared):
            self._session.add_message(line, failed=True)
        self._ended = True
        self._session.expect_outcome(stage)
        done = self._session.submit(self._complete, finished, console, live)
        if not self._session.downstream_will_run(finished):
            with contextlib.suppress(RegistryUnavailableError):  # already reported
                self._session.result(done)
        return self._session.take_messages()

    def on_abandon(self, console: str, live: LiveRunResult) -> list[Message]:
        """Finish the run as failed, and restore the stage's earlier outputs."""
        self._ended = self._failed = True
        if self._execution is not None:
            self._restore()
            with contextlib.suppress(RegistryUnavailableError):
                self._session.result(self._session.submit(self._close, console, live, 1))
        return self._session.take_messages()

    def on_disconnect(self) -> None:
        """Finish the run as failed if the stage was killed."""
        if not self._ended and self._execution is not None:
            self._session.submit(self._close, "", None, 1)

    @property
    def _started(self) -> Execution:
        assert self._execution is not None, "a stage begins before it ends"
        return self._execution

    @property
    def _stage(self) -> str:
        return self._started.stage

    def _restore(self) -> None:
        for line in cache.restore_outs(self._session.pipeline, self._stage):
            self._session.add_message(f"{self._stage}: {line}", failed=True)

    def _attempt(self, work: Any, *arguments: Any) -> Any:
        """What `work` returns; None if it fails. Whatever it raises, the stage goes on; keeps the first reason."""
        if self._failure is None:
            try:
                return work(*arguments)
            except Exception as error:
                self._failure = error_reason(error)
        return None

    def _open(self, live: str | None = None) -> None:
        """Open the run, or resume the stage's live one, and declare its inputs."""
        run = self._run = connection.open_run(
            self._session.get_connection(),
            reinit="create_new",
            settings=self._settings,
            **({"id": live, "resume": "allow"} if live else {}),
            **log_run.init_arguments(self._started),
        )
        self._use_inputs(run)

    def _use_inputs(self, run: wandb.Run) -> None:
        """Declare the inputs. Mirrors first those that the registry lacks."""
        from wandb.errors import CommError

        try:
            log_run.use_inputs(run, self._started)
        except (CommError, ValueError):
            if self._failed:  # a failed run needs no complete inputs
                return
            pipeline, registry_connection = Pipeline(self._session.root), self._session.get_connection()
            makers = sorted({maker for dep in self._started.reads if (maker := pipeline.maker(dep))})
            registry = MirroredProject(registry_connection)
            added = [part for part in self._started.parts if not pipeline.maker(part)]
            mirror.mirror_sources(pipeline, registry_connection, registry, [*pipeline.sources(), *added])
            if makers:
                mirror.mirror_executions(pipeline, registry_connection, registry, pipeline.locked(*makers))
            log_run.use_inputs(run, self._started)

    def _use_model(self, content: Content) -> str | None:
        collections = self._started.meta.get("uses") or {}
        assert self._run is not None
        return self._run.use_model(f"{collections.get(content.path, content.artifact)}:{content.alias}")

    def _find_model(self, target: str, md5: str) -> str | None:
        try:
            return str(fetch.find_model(self._session.pipeline, target, md5, self._session.get_connection))
        except Exception:  # the stage decides what to do without it
            return None

    def _complete(self, finished: Execution, console: str, live: LiveRunResult) -> None:
        production_note = self._attempt(self._log, finished, live)
        run, failure = self._run, self._failure
        self._close(console, live, 0)
        if self._failure or run is None:
            line = not_mirrored_message(self._stage, failure or self._failure or "")
        else:
            url = f"{self._session.get_connection().project_url}/runs/{run.id}"
            line = f"{self._stage}: {self._seconds:.0f} s, mirrored as {url}"
        self._session.report_outcome(self._stage, line, failed=bool(self._failure or run is None))
        if production_note:
            self._session.add_message(f"{self._stage}: {production_note}")

    def _log(self, finished: Execution, live: LiveRunResult) -> str | None:
        """Log the outputs in the run; a sentence on production, if the stage promotes."""
        registry = self._session.get_connection()
        self._resume(live)
        assert self._run is not None
        if live is None:  # the callbacks of a live run have logged it
            log_run.log_new_history(self._run, self._session.pipeline, finished)
        logged = log_run.log_outputs(self._run, self._session.pipeline, finished)
        for limit in logged.limits:
            self._session.add_message(f"{self._stage}: {limit}.")
        if logged.errors:
            raise DvcWandbError("; ".join(map(str, logged.errors)))
        log_run.mark_complete(self._run, finished)
        is_followed = finished.meta.get("promotes") and FOLLOWED_BY_COMMAND not in os.environ
        return self._follow_git(finished, registry) if is_followed else None

    def _follow_git(self, finished: Execution, registry: RegistryConnection) -> str | None:
        """Let the alias follow what is committed; in words what came of it."""
        pipeline = self._session.pipeline
        try:
            if note := alias.uncommitted_note(pipeline, finished):
                return note
            with exclusive(pipeline.root, "alias"):
                followed = alias.follow(pipeline, finished, registry)
        except ModelNotInRegistryError:  # `dvc-wandb mirror` brings it, or says where it may be
            return None
        except DvcWandbError as error:
            return error_reason(error)
        return followed.sentence if followed else None

    def _resume(self, live: LiveRunResult) -> None:
        id, failure = live or (None, None)
        if failure:
            raise DvcWandbError(failure)
        if id and self._run is None:
            self._open(id)

    def _close(self, console: str, live: LiveRunResult, exit_code: int) -> None:
        """Finish the run, if there is one."""
        self._attempt(self._resume, live)
        if self._run is None:
            return
        try:
            if console and live is None:
                self._run.write_logs(console)
            self._run.finish(exit_code=exit_code)
        except Exception as error:
            self._failure = self._failure or error_reason(error)
