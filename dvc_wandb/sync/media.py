"""DVC's metrics and plots as W&B's summary, history, pictures and tables.

A file that can't be read as one of these is mirrored all the same, and not shown. What is too much for a run is told in
a sentence that says where all of it is.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from dvc_wandb.errors import DvcWandbError, MissingContentError, error_reason
from dvc_wandb.production.decision import read_decision
from dvc_wandb.project import metrics as metrics_files
from dvc_wandb.project import plot_definitions, plots
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.plot_definitions import OutFile, PlotDefinition, files_at, find_out

PICTURES = {".png", ".jpg", ".jpeg", ".gif"}
MAX_PICTURES = 100  # pictures in a run; its artifacts have them all
MAX_CLASSES = 100  # in a confusion matrix: W&B keeps 10,000 rows of a table, and it has one for each pair
STEPS = ("step", "epoch")  # a table whose first column is one of these is a history
AXES = {f"{step}/{step}" for step in STEPS}


def summary(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """The metrics files of `execution` as one mapping, for the run's summary, and the sentence of its decision."""
    metrics: dict[str, Any] = {}
    for one in _files(pipeline, execution, "metrics", metrics_files.named(pipeline)):
        metrics |= _read_metrics(one.file)
    decision = read_decision(pipeline, execution).get("decision")
    return metrics | {"decision": decision} if decision else metrics


def history(pipeline: Pipeline, execution: Execution) -> list[dict[str, Any]]:
    """The rows of a training's history, with the names of W&B's Keras callback.

    In a folder, a table's columns are named after its file. All tables' values of one step are one row.
    """
    all_tables = [(one, _read_table(one.file)) for one in _plot_files(pipeline, execution)]
    tables = [(one, first, rows) for one, rows in all_tables if rows and (first := next(iter(rows[0]), "")) in STEPS]
    table_counts = Counter(
        _column(one, first, column) for one, first, rows in tables for column in rows[0] if column != first
    )
    rows_by_step: dict[tuple[Any, int], dict[str, Any]] = {}
    for one, first, rows in tables:
        repeats: Counter[Any] = Counter()  # a step may have several rows in one table
        for row in rows:
            step = row.get(first) if isinstance(row.get(first), int | float) else repr(row.get(first))
            merged = rows_by_step.setdefault((step, repeats[step]), {})
            for column, value in row.items():
                is_shared = table_counts[_column(one, first, column)] > 1
                merged[_column(one, first, column, is_shared)] = value
            repeats[step] += 1
    numbered = not any(isinstance(step, str) for step, _ in rows_by_step)
    return [rows_by_step[at] for at in (sorted(rows_by_step) if numbered else rows_by_step)]


def _column(table: OutFile, first: str, column: str, is_shared: bool = False) -> str:
    """The name of a column in W&B. With `is_shared` it has the table's path: other tables have the same column."""
    if column == first or not (table.is_folder or is_shared):
        return f"{first}/{column}"
    named = PurePosixPath(_full_path(table) if is_shared else table.name).with_suffix("")
    return str(named if column == named.name else named / column)


def _full_path(one: OutFile) -> str:
    return f"{one.path}/{one.name}" if one.is_folder else one.path


def _plot_files(pipeline: Pipeline, execution: Execution) -> list[OutFile]:
    return _files(pipeline, execution, "plots", plot_definitions.files(pipeline))


def _files(pipeline: Pipeline, execution: Execution, kind: str, named: Iterable[str]) -> list[OutFile]:
    """The files of the outs of a `kind`, and those in other outs that are `named` at the top of a dvc.yaml."""
    paths = {out.path: out for out in execution.outs if out.kind == kind}
    for path in sorted(named):
        out = find_out(execution.outs, path)
        if out and out.kind != kind and out.kind != "reference":
            paths[path] = out
    found = [one for path, out in paths.items() for one in files_at(pipeline, out, path)]
    return list({one.file: one for one in reversed(found)}.values())[::-1]


def pictures(pipeline: Pipeline, execution: Execution, limits: list[str]) -> dict[str, Any]:
    """The pictures and confusion matrices among the plots of `execution`, as W&B's media by name.

    Adds to `limits` a sentence for what is left out.
    """
    files = [one for one in _plot_files(pipeline, execution) if PurePosixPath(one.name).suffix.lower() in PICTURES]
    key_counts = Counter(str(PurePosixPath(one.name).with_suffix("")) for one in files)
    media: dict[str, Any] = {}
    if len(files) > MAX_PICTURES:
        limits.append(f"its run shows {MAX_PICTURES} of {len(files)} pictures; the artifacts have them all")
    for one in files[:MAX_PICTURES]:
        key = str(PurePosixPath(one.name).with_suffix(""))
        media |= _picture(_full_path(one) if key_counts[key] > 1 else key, one.file)
    for name, plot in plot_definitions.read(pipeline).items():
        if plot.get("template") in plot_definitions.CONFUSION:
            media |= _confusions(pipeline, execution, name, plot, limits)
    return media


def _confusions(
    pipeline: Pipeline, execution: Execution, name: str, plot: PlotDefinition, limits: list[str]
) -> dict[str, Any]:
    """The confusion matrices that a plot draws, one for each file and column of y, as W&B's media by name."""
    found = [
        (path, one, plot_definitions.axis_of(plot.get("x"), path), column)
        for path, columns in plot_definitions.columns_by_file(name, plot).items()
        if (out := find_out(execution.outs, path))
        for one in files_at(pipeline, out, path)
        for column in columns
    ]
    media: dict[str, Any] = {}
    for path, one, x, column in found:
        table = plots.rows(one.file, one.file.suffix.lower())  # names as they stand: "01" is not 1
        pairs = [(row[x], row[column]) for row in table if x and {x, column} <= row.keys()]
        classes = {str(value) for pair in pairs for value in pair}
        if len(classes) > MAX_CLASSES:
            limits.append(
                f"the confusion matrix '{name}' has {MAX_CLASSES} of {len(classes)} classes, those mistaken "
                f"most often; {path} has them all"
            )
        if pairs:
            key = name if len(found) == 1 else f"{name}/{_full_path(one)}/{column}"
            media[key] = _confusion(*map(list, zip(*pairs, strict=True)))
        else:
            limits.append(f"its run lacks the confusion matrix '{name}': {path} has no rows with '{x}' and '{column}'")
    return media


def tables(pipeline: Pipeline, execution: Execution, limits: list[str]) -> dict[str, Any]:
    """The tables that the function in `meta.wandb.tables` makes, by name; none if bytes are missing.

    Its argument is a function that finds a dependency or an output by file name. Adds to `limits` a sentence for each
    table of which the SDK cuts rows. Raises DvcWandbError if the function fails.
    """
    import wandb

    def locate(name: str) -> Path:
        return pipeline.locate(execution.find_content(name, "deps", "outs"))

    function = execution.meta.get("tables")
    try:
        made = call_project_function(function, pipeline, locate) if function else {}
    except MissingContentError:
        return {}
    for name, table in made.items():
        if isinstance(table, wandb.Table) and len(table.data) > wandb.Table.MAX_ROWS:
            limits.append(
                f"the table '{name}' has {wandb.Table.MAX_ROWS:,} of {len(table.data):,} rows; as one of "
                f"`meta.wandb.views`, in the artifact, it has up to {wandb.Table.MAX_ARTIFACT_ROWS:,}"
            )
    return made


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
