"""Reads DVC's plots, at the md5s of dvc.lock: curves, confusion matrices, pictures."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.project import plot_definitions
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.plot_definitions import files_at, find_out

PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
STEPS = ("step", "epoch")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Curves:
    """Lines over one axis: their points by name, x ascending as in the file."""

    title: str
    x: str
    lines: dict[str, list[tuple[float, float]]]
    kind: str = "curves"


@dataclass(frozen=True)
class Confusion:
    """How often each class (row) was taken for each (column)."""

    title: str
    classes: list[str]
    counts: list[list[int]]
    kind: str = "confusion"


@dataclass(frozen=True)
class Picture:
    """A picture file."""

    title: str
    path: str
    media: str
    content: bytes
    kind: str = "picture"


Plot = Curves | Confusion | Picture


def read(pipeline: Pipeline) -> list[Plot]:
    """The plots of `pipeline`: as defined, else one per file. Leaves out those with missing bytes."""
    outs = {out.path: out for execution in pipeline.locked() for out in execution.outs}
    definitions = plot_definitions.read(pipeline)
    defined = plot_definitions.files(pipeline)
    rest = {out.path: {} for out in outs.values() if out.kind == "plots" and out.path not in defined}
    return [
        plot for name, definition in (definitions | rest).items() for plot in _plots(pipeline, outs, name, definition)
    ]


def _plots(pipeline: Pipeline, outs: dict[str, Content], name: str, definition: dict[str, Any]) -> Iterator[Plot]:
    title = str(definition.get("title") or name)
    lines_by_file: list[tuple[str, dict[str, list[tuple[float, float]]]]] = []
    label = ""
    for path, columns in plot_definitions.columns_by_file(name, definition).items():
        out = find_out(outs.values(), path)
        try:
            files = files_at(pipeline, out, path) if out else []
        except DvcWandbError:
            continue
        for file, file_path in ((one.name, one.file) for one in files):
            if media := PICTURES.get(Path(file).suffix.lower()):
                yield Picture(title if len(files) == 1 else f"{title}/{file}", path, media, file_path.read_bytes())
            elif table := rows(file_path, Path(file).suffix.lower()):
                label = _axis(definition.get("x"), path, table)
                if definition.get("template") in plot_definitions.CONFUSION and columns:
                    yield _confusion(title, table, label, columns[0])
                else:
                    lines_by_file.append((f"{path}/{file}" if len(files) > 1 else path, _lines(table, label, columns)))
    if lines := _label_lines(lines_by_file):
        yield Curves(title, label, lines)


def _label_lines(
    lines_by_file: list[tuple[str, dict[str, list[tuple[float, float]]]]],
) -> dict[str, list[tuple[float, float]]]:
    """The lines of several files by their names, and by their files where a name comes twice."""
    names = Counter(name for _, lines in lines_by_file for name in lines)
    return {
        name if names[name] == 1 else f"{file} {name}": points
        for file, lines in lines_by_file
        for name, points in lines.items()
    }


def _axis(x: Any, path: str, rows: Rows) -> str:
    """The column that x is; without one, the column that counts steps, else the row's number."""
    named = plot_definitions.axis_of(x, path)
    return str(named or next((column for column in rows[0] if column in STEPS), ""))


def _lines(rows: Rows, x: str, columns: list[str]) -> dict[str, list[tuple[float, float]]]:
    y_columns = columns or [one for one in rows[0] if one != x]
    points = {
        column: [
            (float(at if (x_value := _number(row.get(x))) is None else x_value), value)
            for at, row in enumerate(rows)
            if (value := _number(row.get(column))) is not None
        ]
        for column in y_columns
    }
    return {column: found for column, found in points.items() if found}


def _confusion(title: str, rows: Rows, actual: str, predicted: str) -> Confusion:
    pairs = Counter((str(row.get(actual)), str(row.get(predicted))) for row in rows)
    classes = sorted({one for pair in pairs for one in pair}, key=lambda one: (_number(one) is None, _number(one), one))
    return Confusion(title, classes, [[pairs[row, column] for column in classes] for row in classes])


def rows(path: Path, suffix: str) -> Rows:
    """The rows of a table, of a list in JSON or YAML, or of the first list in a mapping; none of anything else."""
    import yaml

    try:
        if suffix in (".csv", ".tsv"):
            with path.open(newline="") as file:
                read = csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ",")
                return [{name: value for name, value in row.items() if name and value is not None} for row in read]
        if suffix not in (".json", ".yaml", ".yml"):
            return []
        value = json.loads(path.read_text()) if suffix == ".json" else yaml.safe_load(path.read_text())
    except (ValueError, csv.Error, yaml.YAMLError):  # whatever it is, it is no table
        return []
    if isinstance(value, dict):
        value = next((one for one in value.values() if isinstance(one, list)), [])
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None
