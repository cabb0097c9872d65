"""What W&B shows of DVC's metrics and plots: the same numbers, curves and pictures on both sides.

A file that can't be read as one is mirrored like every other, and shown as nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineage import plots
from lineage.pipeline import Execution, Pipeline

PICTURES = {".png", ".jpg", ".jpeg", ".gif"}
STEPS = ("step", "epoch")  # a table whose first column is one of these is a history


def summary(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The metrics files of `execution` as one mapping, for the run's summary."""
    found: dict[str, Any] = {}
    for out in execution.outs:
        if out.kind == "metrics":
            place = pipeline.at_hand(out)
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                found |= _read_metrics(file) if file.is_file() else {}
    return found


def history(pipeline: Pipeline, execution: Execution) -> Iterator[dict[str, Any]]:
    """The rows of the plots that hold a training's history, named as W&B's Keras callback names them."""
    for out in execution.outs:
        if out.kind == "plots" and not out.is_folder:
            rows = _read_table(pipeline.at_hand(out))
            first = next(iter(rows[0]), "") if rows else ""
            if first in STEPS:
                yield from ({f"{first}/{name}": value for name, value in row.items()} for row in rows)


def pictures(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The pictures and confusion matrices among the plots of `execution`, as W&B's media by name."""
    found: dict[str, Any] = {}
    for out in execution.outs:
        if out.kind == "plots" and Path(out.path).suffix in PICTURES:
            found |= _picture(pipeline.at_hand(out))
    for name, plot in pipeline.plots().items():
        x, y = plot.get("x"), plot.get("y")
        if plot.get("template") != "confusion" or not isinstance(x, str) or not isinstance(y, dict):
            continue
        for path, column in y.items():
            for out in (out for out in execution.outs if out.path == path):
                table = _read_table(pipeline.at_hand(out))
                pairs = [(row[x], row[column]) for row in table if {x, column} <= row.keys()]
                found |= {name: _confusion(*map(list, zip(*pairs, strict=True)))} if pairs else {}
    return found


def _picture(path: Path) -> dict[str, Any]:
    import wandb

    try:
        return {path.stem: wandb.Image(str(path))}
    except (OSError, ValueError):
        return {}


def _confusion(actual: list[Any], predicted: list[Any]) -> Any:
    import wandb

    classes = sorted({*actual, *predicted}, key=lambda one: (isinstance(one, str), one))
    index = {name: at for at, name in enumerate(classes)}
    return wandb.plot.confusion_matrix(
        y_true=[index[name] for name in actual],
        preds=[index[name] for name in predicted],
        class_names=[str(name) for name in classes],
    )


def _read_metrics(path: Path) -> dict[str, Any]:
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import load_path
    from dvc_objects.fs.local import localfs

    try:
        values = load_path(str(path), localfs)
    except (DvcException, ValueError):
        return {}
    return {str(name): value for name, value in values.items()} if isinstance(values, dict) else {path.stem: values}


def _read_table(path: Path) -> list[dict[str, Any]]:
    return [{name: _number(value) for name, value in row.items()} for row in plots.rows(path, path.suffix.lower())]


def _number(value: Any) -> Any:
    for kind in (int, float):
        try:
            return kind(value) if isinstance(value, str) else value
        except ValueError:
            continue
    return value
