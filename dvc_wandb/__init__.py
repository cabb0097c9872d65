"""DVC ↔ W&B: mirrors a DVC project's stages as W&B runs, and its outputs as artifacts with the same content.

Works for any DVC project. Stage scripts use `tracked_run`; `dvc-wandb --help` shows the commands.
"""

from dvc_wandb.errors import DvcWandbError, first_line
from dvc_wandb.recorder.tracked_run import TrackedRun, tracked_run

__all__ = ["DvcWandbError", "TrackedRun", "first_line", "tracked_run"]
