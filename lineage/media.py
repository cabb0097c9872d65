"""What W&B shows of DVC's metrics and plots: the same numbers, curves and pictures on both sides."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineage.pipeline import Execution, Pipeline

PICTURES = {".png", ".jpg", ".jpeg", ".gif"}
STEPS = ("step", "epoch")  # a table whose first column is one of these is a history


def summary(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The metrics files of `execution` as one mapping, for the run's summary."""
    found: dict[str, Any] = {}
    for out in execution.outs:
        if out.kind == "metrics":
            found |= _read_metrics(pipeline.at_hand(out))
    return found


def history(pipeline: Pipeline, execution: Execution) -> Iterator[dict[str, Any]]:
    """The rows of the plots that hold a training's history, named as W&B's Keras callback names them."""
    for out in execution.outs:
        if out.kind == "plots" and out.path.endswith(".csv"):
            rows = _read_table(pipeline.at_hand(out))
            first = next(iter(rows[0]), "") if rows else ""
            if first in STEPS:
                yield from ({f"{first}/{name}": value for name, value in row.items()} for row in rows)


def pictures(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The pictures and confusion matrices among the plots of `execution`, as W&B's media by name."""
    import wandb

    found: dict[str, Any] = {}
    for out in execution.outs:
        if out.kind == "plots" and Path(out.path).suffix in PICTURES:
            found[Path(out.path).stem] = wandb.Image(str(pipeline.at_hand(out)))
    for name, plot in pipeline.plots().items():
        y = plot.get("y")
        if plot.get("template") != "confusion" or not isinstance(y, dict):
            continue
        for path, column in y.items():
            for out in (out for out in execution.outs if out.path == path):
                rows = _read_table(pipeline.at_hand(out))
                found[name] = _confusion([row[plot["x"]] for row in rows], [row[column] for row in rows])
    return found


def _confusion(actual: list[Any], predicted: list[Any]) -> Any:
    import wandb

    classes = sorted({*actual, *predicted})
    index = {name: at for at, name in enumerate(classes)}
    return wandb.plot.confusion_matrix(
        y_true=[index[name] for name in actual],
        preds=[index[name] for name in predicted],
        class_names=[str(name) for name in classes],
    )


def _read_metrics(path: Path) -> dict[str, Any]:
    if path.suffix in (".yaml", ".yml"):
        import yaml

        values = yaml.safe_load(path.read_text())
    else:
        values = json.loads(path.read_text())
    return values if isinstance(values, dict) else {path.stem: values}


def _read_table(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
