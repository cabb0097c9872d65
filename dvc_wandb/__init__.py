"""DVC ↔ W&B: a DVC project's stages as W&B runs, its outputs as artifacts, tied together by content.

Works for any DVC project. `tracked_run` is what stage scripts use; `dvc-wandb --help` shows the rest.
"""

from dvc_wandb.errors import LineageError, first_line
from dvc_wandb.recorder.tracked_run import TrackedRun, tracked_run

__all__ = ["LineageError", "TrackedRun", "first_line", "tracked_run"]
