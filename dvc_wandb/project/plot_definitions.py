"""The plots that a project defines, their files as seen from the project's root; the files of an out at such a path."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline

PlotDefinition = dict[str, Any]  # as DVC's documentation of `plots:` has it: x, y, title, template, …
CONFUSION = ("confusion", "confusion_normalized")  # DVC's templates for confusion matrices


def read(pipeline: Pipeline) -> dict[str, PlotDefinition]:
    """The definitions of the `plots:` sections by name, and those that stand at an out by its path."""
    plots = {path: out.plot for path, out in pipeline.dvc.outs.items() if isinstance(out.plot, dict)}
    for file, entries in pipeline.dvc.repo.index._plots.items():
        folder = PurePosixPath(pipeline.dvc.relative(file)).parent
        for entry in entries:
            definitions = {entry: {}} if isinstance(entry, str) else entry
            plots |= dict(_from_root(folder, name, plot or {}) for name, plot in definitions.items())
    return plots


def files(pipeline: Pipeline) -> set[str]:
    """The files and folders that the plots are drawn from, seen from the project's root."""
    return {path for name, definition in read(pipeline).items() for path in columns_by_file(name, definition)}


def columns_by_file(name: str, definition: PlotDefinition) -> dict[str, list[str]]:
    """The columns of y by the file that they are in; none named means all."""
    y = definition.get("y")
    of_file = y if isinstance(y, dict) else {name: y}
    return {file: [columns] if isinstance(columns, str) else list(columns or []) for file, columns in of_file.items()}


def axis_of(x: Any, path: str) -> str | None:
    """The column that x is in a file; None if the plot names none."""
    return x.get(path) if isinstance(x, dict) else x


def _from_root(folder: PurePosixPath, name: str, plot: PlotDefinition) -> tuple[str, PlotDefinition]:
    """A plot defined in `folder`. Its name is a file too, unless `y` names the files."""

    def seen(path: str) -> str:
        return os.path.normpath(folder / path)

    axes = {axis: {seen(k): v for k, v in plot[axis].items()} for axis in "xy" if isinstance(plot.get(axis), dict)}
    return name if "y" in axes else seen(name), {**plot, **axes}


# ---- files ----


@dataclass(frozen=True)
class OutFile:
    """A file of an out: its `name` at `path`, which is a folder or that file itself, and where it lies."""

    path: str
    name: str
    is_folder: bool
    file: Path


def find_out(outs: Iterable[Content], path: str) -> Content | None:
    """The out that `path` is or lies in; None if it is in none."""
    return next((out for out in outs if path == out.path or path.startswith(f"{out.path}/")), None)


def files_at(pipeline: Pipeline, out: Content, path: str) -> list[OutFile]:
    """The files of `out` at `path`, under their own names. Raises MissingContentError."""
    root = pipeline.locate(out)
    if not out.is_folder:
        return [OutFile(path, PurePosixPath(path).name, False, root)]
    names, inside = sorted(pipeline.files(out)), path[len(out.path) + 1 :]
    if inside in names:
        return [OutFile(path, PurePosixPath(path).name, False, root / inside)]
    prefix = f"{inside}/" if inside else ""
    return [OutFile(path, name.removeprefix(prefix), True, root / name) for name in names if name.startswith(prefix)]
