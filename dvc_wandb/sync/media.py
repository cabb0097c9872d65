"""DVC's metrics and plots as W&B's summary, history, pictures and tables.

A file that can't be read as one of these is mirrored all the same, and not shown.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from dvc_wandb.errors import DvcWandbError, MissingContentError, error_reason
from dvc_wandb.production.decision import read_decision
from dvc_wandb.project import plot_definitions, plots
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline

PICTURES = {".png", ".jpg", ".jpeg", ".gif"}
MAX_PICTURES = 100  # pictures in a run; its artifacts have them all
MAX_CLASSES = 100  # in a confusion matrix: W&B keeps 10,000 rows of a table, and it has one for each pair
STEPS = ("step", "epoch")  # a table whose first column is one of these is a history


def summary(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The metrics files of `execution` as one mapping, for the run's summary, and the sentence of its decision."""
    metrics: dict[str, Any] = {}
    for out in execution.outs:
        if out.kind == "metrics":
            path = pipeline.locate(out)
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                metrics |= _read_metrics(file) if file.is_file() else {}
    decision = read_decision(pipeline, execution).get("decision")
    return metrics | {"decision": decision} if decision else metrics


def history(pipeline: Pipeline, execution: Execution) -> list[dict[str, Any]]:
    """The rows of a training's history, with the names of W&B's Keras callback.

    In a folder, a table's columns are named after its file. All tables' values of one step are one row.
    """
    all_tables = [(out, name, _read_table(path)) for out, name, path in _plot_files(pipeline, execution)]
    tables = [
        (out, name, first, rows)
        for out, name, rows in all_tables
        if rows and (first := next(iter(rows[0]), "")) in STEPS
    ]
    table_counts = Counter(
        _column(*table[:3], column) for table in tables for column in table[3][0] if column != table[2]
    )
    rows_by_step: dict[tuple[Any, int], dict[str, Any]] = {}
    for out, name, first, rows in tables:
        repeats: Counter[Any] = Counter()  # a step may have several rows in one table
        for row in rows:
            step = row.get(first) if isinstance(row.get(first), int | float) else repr(row.get(first))
            merged = rows_by_step.setdefault((step, repeats[step]), {})
            for column, value in row.items():
                is_shared = table_counts[_column(out, name, first, column)] > 1
                merged[_column(out, name, first, column, is_shared)] = value
            repeats[step] += 1
    numbered = not any(isinstance(step, str) for step, _ in rows_by_step)
    return [rows_by_step[at] for at in (sorted(rows_by_step) if numbered else rows_by_step)]


def _column(out: Content, name: str, first: str, column: str, is_shared: bool = False) -> str:
    """The name of a column in W&B. With `is_shared` it has the table's path: other tables have the same column."""
    if column == first or not (out.is_folder or is_shared):
        return f"{first}/{column}"
    path = PurePosixPath(out.path, name) if out.is_folder else PurePosixPath(out.path)
    table = (path if is_shared else PurePosixPath(name)).with_suffix("")
    return str(table if column == table.name else table / column)


def _plot_files(pipeline: Pipeline, execution: Execution) -> Iterator[tuple[Content, str, Path]]:
    """The plots of `execution`: the out, the file's name in it, and its path."""
    for out in execution.outs:
        if out.kind == "plots":
            root = pipeline.locate(out)
            for name in sorted(pipeline.files(out)):
                yield out, name, root / name if out.is_folder else root


def pictures(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The pictures and confusion matrices among the plots of `execution`, as W&B's media by name."""
    files = [one for one in _plot_files(pipeline, execution) if PurePosixPath(one[1]).suffix.lower() in PICTURES]
    key_counts = Counter(str(PurePosixPath(name).with_suffix("")) for _, name, _ in files)
    media: dict[str, Any] = {}
    if len(files) > MAX_PICTURES:
        print(
            f"{execution.stage}: its run shows {MAX_PICTURES} of {len(files)} pictures; the artifacts have them all.",
            file=sys.stderr,
        )
    for out, name, path in files[:MAX_PICTURES]:
        key = str(PurePosixPath(name).with_suffix(""))
        if key_counts[key] > 1:
            key = f"{out.path}/{name}" if out.is_folder else out.path
        media |= _picture(key, path)
    for name, plot in plot_definitions.read(pipeline).items():
        x, y = plot.get("x"), plot.get("y")
        if plot.get("template") != "confusion" or not isinstance(x, str) or not isinstance(y, dict):
            continue
        for path, column in y.items():
            for out in (out for out in execution.outs if out.path == path):
                file = pipeline.locate(out)
                table = plots.rows(file, file.suffix.lower())  # names as they stand: "01" is not 1
                pairs = [(row[x], row[column]) for row in table if {x, column} <= row.keys()]
                media |= {name: _confusion(*map(list, zip(*pairs, strict=True)))} if pairs else {}
    return media


def tables(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The tables that the function in `meta.wandb.tables` makes, by name; none if bytes are missing.

    Its argument is a function that finds a dependency or an output by file name. Raises DvcWandbError if it fails.
    """

    def locate(name: str) -> Path:
        return pipeline.locate(execution.find_content(name, "deps", "outs"))

    function = execution.meta.get("tables")
    try:
        return call_project_function(function, pipeline, locate) if function else {}
    except MissingContentError:
        return {}


def call_project_function(reference: str, pipeline: Pipeline, argument: Any) -> dict[str, Any]:
    """What the project's function `reference`, MODULE:NAME, returns; {} if it fails with the data of an old commit.

    Raises DvcWandbError if it fails, MissingContentError if bytes are missing.
    """
    module, _, function_name = str(reference).partition(":")
    if str(pipeline.root) not in sys.path:  # at the end, so that no file of the project hides an installed package
        sys.path.append(str(pipeline.root))
    try:
        result = getattr(importlib.import_module(module), function_name)(argument)
        if not isinstance(result, dict):
            raise TypeError(f"it returns a {type(result).__name__}, not a dict of tables by their names")
        return result
    except MissingContentError:
        raise
    except Exception as error:
        if pipeline.rev:
            return {}
        raise DvcWandbError(
            f"the function '{reference}', which `meta.wandb` names in dvc.yaml, failed: {error_reason(error)}"
        ) from error


def _picture(name: str, path: Path) -> dict[str, Any]:
    import wandb

    try:
        return {name: wandb.Image(str(path))}
    except (OSError, ValueError):
        return {}


def _confusion(actual: list[Any], predicted: list[Any]) -> Any:
    """The confusion matrix of all classes; of very many, of those that are mistaken most often."""
    import wandb

    pairs = [(str(one), str(other)) for one, other in zip(actual, predicted, strict=True)]
    names = {name for pair in pairs for name in pair}
    if len(names) > MAX_CLASSES:
        mistaken = Counter(name for pair in pairs if pair[0] != pair[1] for name in pair)
        names = {name for name, _ in mistaken.most_common(MAX_CLASSES)} or set(sorted(names)[:MAX_CLASSES])
        pairs = [pair for pair in pairs if names.issuperset(pair)]
    classes = sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    index = {name: at for at, name in enumerate(classes)}
    return wandb.plot.confusion_matrix(
        y_true=[index[name] for name, _ in pairs],
        preds=[index[name] for _, name in pairs],
        class_names=classes,
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
