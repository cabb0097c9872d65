"""What a stage asks of the machine that runs it: `meta.resources` in dvc.yaml, else `resources` in params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.settings import setting

Resources = dict[str, str | int | float | bool]  # such as cpus, gpus, memory, minutes, partition


def defaults(root: Path) -> Resources:
    """What stages get that ask for nothing else. Raises ProjectError if that is no table of plain values."""
    return _checked(setting(root, "resources"), "params.yaml: resources")


def of_stage(stage: Any, name: str, default: Resources) -> Resources:
    """What DVC's `stage` asks for, over the defaults. Raises ProjectError as `defaults`."""
    meta = stage.meta if isinstance(stage.meta, dict) else {}
    return default | _checked(meta.get("resources"), f"dvc.yaml: stage '{name}': meta.resources")


def _checked(table: Any, where: str) -> Resources:
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise ProjectError(f"{where} is {table!r}. A table is expected, such as {{cpus: 4, minutes: 30}}.")
    for key, value in table.items():
        if not isinstance(value, str | int | float | bool):
            raise ProjectError(f"{where}: {key} is {value!r}. A number or a text is expected.")
    return {str(key): value for key, value in table.items()}
