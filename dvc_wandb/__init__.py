"""DVC ↔ W&B: mirrors a DVC project's stages as W&B runs, and its outputs as artifacts with the same content.

Works for any DVC project. Stage scripts use `tracked_run`; `dvc-wandb --help` shows the commands.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc_wandb.errors import DvcWandbError, one_line
    from dvc_wandb.recorder.tracked_run import TrackedRun, tracked_run

__all__ = ["DvcWandbError", "TrackedRun", "one_line", "tracked_run"]

_MODULES = {
    "DvcWandbError": "dvc_wandb.errors",
    "TrackedRun": "dvc_wandb.recorder.tracked_run",
    "one_line": "dvc_wandb.errors",
    "tracked_run": "dvc_wandb.recorder.tracked_run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the command handles Ctrl-C before it imports anything heavy."""
    if name not in _MODULES:
        raise AttributeError(f"module 'dvc_wandb' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
