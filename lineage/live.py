"""A run in the stage's own process, for callbacks that log while the stage works; the recorder goes on in it later."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.errors import in_a_sentence
from lineage.pipeline import Execution
from lineage.recorder.line import Line

if TYPE_CHECKING:
    import wandb


class Live:
    """Opened beside the stage's first steps, in a thread."""

    def __init__(self, root: Path, recorder: Line, execution: Execution) -> None:
        self._root, self._recorder, self._execution = root, recorder, execution
        self._run: wandb.Run | None = None
        self._missing: str | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def opened(self) -> wandb.Run:
        """The run; one that goes nowhere while the registry is away."""
        self._thread.join()
        if self._run is None:
            import wandb

            from lineage import record

            self._run = wandb.init(
                mode="offline" if os.environ.get("WANDB_MODE") == "offline" else "disabled",
                settings=wandb.Settings(silent=True),
                **record.described(self._execution),
            )
        return self._run

    def close(self, exit_code: int) -> tuple[str | None, str | None]:
        """End the run here: its id where the recorder can go on in it, else the reason why it can't."""
        self._thread.join()
        if self._run is None or self._missing:
            return None, self._missing
        try:
            self._recorder.ask("connection")  # which brings a registry back that went away since
            self._run.finish(exit_code=exit_code)
        except Exception as error:
            return None, in_a_sentence(error)
        return self._run.id, None

    def _open(self) -> None:
        try:
            from lineage import connection, record

            connected = self._recorder.ask("connection")
            connection.enter(self._root)
            self._run = connection.open_run(connected, **record.described(self._execution))
        except Exception as error:  # whatever the registry or the SDK may raise, the stage goes on
            self._missing = in_a_sentence(error)
