"""The plots that the `plots:` sections of a project's dvc.yaml files define, their files as seen from the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

Plot = dict[str, Any]


def collect_definitions(sections: dict[str, list[Any]], base: Path) -> dict[str, Plot]:
    """The plots by name; `sections` by their dvc.yaml, in the project at `base`."""
    found: dict[str, Plot] = {}
    for file, entries in sections.items():
        folder = Path(file).parent.relative_to(base)
        for entry in entries:
            told = {entry: {}} if isinstance(entry, str) else entry
            found |= dict(_from_root(folder, name, plot or {}) for name, plot in told.items())
    return found


def _from_root(folder: Path, name: str, plot: Plot) -> tuple[str, Plot]:
    """A plot defined in `folder`. Its name is a file too, unless `y` names the files."""

    def seen(path: str) -> str:
        return os.path.normpath(folder / path)

    axes = {axis: {seen(k): v for k, v in plot[axis].items()} for axis in "xy" if isinstance(plot.get(axis), dict)}
    return name if "y" in axes else seen(name), {**plot, **axes}
