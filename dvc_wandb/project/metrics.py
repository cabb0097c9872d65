"""Reads the metrics files of a project."""

from __future__ import annotations

from typing import Any

from dvc_wandb.project.pipeline import Pipeline


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
