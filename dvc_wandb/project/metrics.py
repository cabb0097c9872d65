"""Reads the metrics files of a project."""

from __future__ import annotations

import os
from typing import Any

from dvc_wandb.project.pipeline import Pipeline


def named(pipeline: Pipeline) -> set[str]:
    """The files that `metrics:` at the top of a dvc.yaml names, seen from the project's root."""
    sections = pipeline.dvc.repo.index._metrics.items()
    return {
        os.path.normpath(os.path.join(os.path.dirname(pipeline.dvc.relative(file)), path))
        for file, paths in sections
        for path in paths
    }


def read(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """The metrics by file and dotted name; leaves out files that can't be read."""
    from dvc.utils.flatten import flatten

    revisions: Any = pipeline.dvc.repo.metrics.show()
    files = next(iter(revisions.values()), {}).get("data", {})
    values = {file: shown["data"] for file, shown in files.items() if "data" in shown}
    return {
        file: {str(k): v for k, v in (flatten(one) if isinstance(one, dict) else {"": one}).items()}
        for file, one in values.items()
    }
