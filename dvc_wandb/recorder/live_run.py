"""A run in the stage's own process, for callbacks that log while the stage works. The recorder later resumes it."""

from __future__ import annotations

import os
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.client import timeouts
from dvc_wandb.errors import error_reason
from dvc_wandb.project.lock import Execution
from dvc_wandb.recorder.client import RecorderClient

if TYPE_CHECKING:
    import wandb


class LiveRun:
    """A run that opens in a thread while the stage takes its first steps."""

    def __init__(self, root: Path, recorder: RecorderClient, execution: Execution) -> None:
        self._root, self._recorder, self._execution = root, recorder, execution
        self._opening = timeouts.in_background(self._open)
        self._failure: str | None = None

    def wandb_run(self) -> wandb.Run:
        """The run; a disabled one if the registry is unavailable."""
        run = self._result(self._opening)
        if run is None:
            import wandb

            from dvc_wandb.sync import log_run

            run = wandb.init(
                mode="offline" if os.environ.get("WANDB_MODE") == "offline" else "disabled",
                settings=wandb.Settings(silent=True),
                **log_run.init_arguments(self._execution),
            )
        return run

    def close(self, exit_code: int) -> tuple[str | None, str | None]:
        """Finish the run here. Returns its id if the recorder can resume it, else the reason why not."""
        run = self._result(self._opening)
        if run is not None:
            self._result(timeouts.in_background(partial(self._finish, run, exit_code)))
        return (None, self._failure) if run is None or self._failure else (run.id, None)

    def _result(self, future: Future[Any]) -> Any:
        """The result of `future`; None if it fails. Whatever the registry or the SDK raises, the stage goes on."""
        try:
            return None if self._failure else timeouts.wait_for(future, lambda: self._recorder.call("check_registry"))
        except Exception as error:
            self._failure = error_reason(error)
            if not future.done():
                timeouts.kill_sdk_service()
            return None

    def _open(self) -> wandb.Run:
        from dvc_wandb.client import connection
        from dvc_wandb.sync import log_run

        registry = self._recorder.call("connection")
        connection.configure_sdk(self._root)
        return connection.open_run(registry, **log_run.init_arguments(self._execution))

    def _finish(self, run: wandb.Run, exit_code: int) -> None:
        self._recorder.call("connection")  # restarts the embedded registry if it has stopped
        run.finish(exit_code=exit_code)
