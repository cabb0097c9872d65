"""Reads what a promoting stage decided: the JSON file among its outs with a `decision`, a sentence for people."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline


def read_decision(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The contents of that file; {} if `execution` has none, or its bytes aren't at hand."""
    outs = execution.outs if execution.meta.get("promotes") else ()
    for out in outs:
        if PurePath(out.path).suffix == ".json":
            facts = read_json(pipeline, execution, out.path)
            if isinstance(facts.get("decision"), str):
                return facts
    return {}


def read_json(pipeline: Pipeline, execution: Execution, path: str) -> dict[str, Any]:
    """The JSON object in an out of `execution`; {} if it is none, or its bytes aren't at hand."""
    try:
        value = json.loads(pipeline.locate(execution.out(path)).read_text())
    except (DvcWandbError, OSError, ValueError, StopIteration):
        return {}
    return value if isinstance(value, dict) else {}
