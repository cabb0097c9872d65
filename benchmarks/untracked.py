"""Replaces dvc_wandb/recorder/tracked_run.py in benchmarks/pipeline.py: the same stages, no mirror, no wandb import.

Paths and parameters come from dvc.yaml and params.yaml by plain YAML.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class TrackedRun:
    def __init__(self, stage: str) -> None:
        self._stage = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][stage]

    def params_in(self, file: str) -> dict[str, Any]:
        names: list[str] = []
        for entry in self._stage.get("params", []):
            if isinstance(entry, dict):
                names += entry.get(file, [])
            elif file == "params.yaml":
                names.append(entry)
        values = yaml.safe_load(Path(file).read_text())
        return {name: _get(values, name.split(".")) for name in names}

    def dep(self, name: str) -> Path:
        return next(Path(path) for path in self._stage["deps"] if Path(path).name == name)

    def out(self, name: str) -> Path:
        entries = [entry for key in ("outs", "metrics", "plots") for entry in self._stage.get(key, [])]
        paths = [Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in entries]
        found = next(path for path in paths if path.name == name)
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def md5(self, name: str) -> str:
        lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
        outs = [out for stage in lock.values() for out in stage["outs"]]
        return next(out["md5"] for out in outs if out["path"] == str(self.dep(name)))

    def depends_on(self, path: str) -> bool:
        return path in self._stage["deps"]

    def use_model(self, name: str) -> Path:
        return self.dep(name)

    def wandb_run(self) -> None:
        pass


@contextlib.contextmanager
def tracked_run(stage: str, live: bool = False) -> Iterator[TrackedRun]:
    module = types.ModuleType("wandb.integration.keras")
    module.__dict__["WandbMetricsLogger"] = _no_logger
    sys.modules.update(dict.fromkeys(("wandb", "wandb.integration", "wandb.integration.keras"), module))
    yield TrackedRun(stage)


def _no_logger() -> Any:
    from tensorflow import keras

    return keras.callbacks.Callback()


def _get(values: Any, path: list[str]) -> Any:
    for part in path:
        values = values[part]
    return values
