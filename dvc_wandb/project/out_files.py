"""The files of an out at a path that may lie in it, as `metrics:` and `plots:` at the top of a dvc.yaml name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline


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
