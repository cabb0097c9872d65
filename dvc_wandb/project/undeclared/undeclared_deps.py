"""Holds what a stage reads against what dvc.yaml says that it does.

What another stage makes counts too: DVC runs the two in order only where it is a dep.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from dvc_wandb.project import git
from dvc_wandb.project.dvc_project import DvcProject
from dvc_wandb.project.undeclared import imported_modules
from dvc_wandb.project.undeclared.commands import programs
from dvc_wandb.project.undeclared.yaml_lines import as_yaml, stage_lines

OF_TOOLS = {"dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".gitignore", ".gitattributes"}
FEW = 10  # files of a folder that are named one by one


@dataclass(frozen=True)
class UndeclaredDep:
    """What `stage` reads and dvc.yaml doesn't name: `path` in the project.

    `file` is the dvc.yaml that has the stage, as `name`; `entry` is how `path` is written there. What is the same for
    all items of a `foreach` stands in its `do`.
    """

    stage: str
    path: str
    file: str
    name: str
    entry: str
    is_foreach: bool = False

    def __str__(self) -> str:
        return (
            f"{self.stage} reads {self.path}, which is none of its deps: when that changes, DVC doesn't run it again."
        )


def find(dvc: DvcProject, name: str, opened: Iterable[str] = ()) -> list[UndeclaredDep]:
    """The modules that a stage imports and the files that it `opened`, where dvc.yaml doesn't name them.

    Files that git ignores count where DVC keeps them.
    """
    stage = dvc.stage(name)
    if not stage.cmd or not hasattr(stage, "name"):  # a .dvc file
        return []
    declared = {dvc.path(entry) for entry in (*stage.deps, *stage.outs)}
    folder = dvc.relative(str(stage.wdir))
    read = cache(dvc.read)
    imported = [path for one in programs(stage.cmd, folder) for path in imported_modules.imported_files(one, read)]
    paths = {path for path in (*imported, *opened) if not _is_beneath(path, declared) and _is_input(dvc, path)}
    paths = {dvc.path(out) if (out := dvc.folder_out(path)) is not None else path for path in paths}
    paths -= _ignored_by_git(dvc, sorted(paths))
    return [_undeclared(dvc, stage, path) for path in sorted(_in_few_words(paths, declared))]


def imported_by(dvc: DvcProject, name: str) -> set[str]:
    """The top-level names of all modules that a stage's own code imports."""
    stage = dvc.stage(name)
    folder, read = dvc.relative(str(stage.wdir)), cache(dvc.read)
    found = [imported_modules.imported_names(one, read) for one in programs(stage.cmd or "", folder)]
    return set().union(*found)


def messages(undeclared: Collection[UndeclaredDep]) -> list[str]:
    """A line for each, and what dvc.yaml needs, ready to paste."""
    needed = [
        [f"{file} needs:", *(f"    {line}" for line in text)] for file, text in dvc_yaml_lines(undeclared).items()
    ]
    return [*map(str, undeclared), *(line for text in needed for line in text)]


def dvc_yaml_lines(undeclared: Iterable[UndeclaredDep]) -> dict[str, list[str]]:
    """What each dvc.yaml needs, by its path: lines to paste."""
    entries: dict[str, dict[tuple[str, bool], dict[str, None]]] = {}
    for one in undeclared:
        entries.setdefault(one.file, {}).setdefault((one.name, one.is_foreach), {})[one.entry] = None
    found = {}
    for file, stages in entries.items():
        found[file] = ["stages:"]
        for (name, is_foreach), paths in stages.items():
            found[file] += stage_lines(name, ["deps:", *(f"  - {path}" for path in paths)], is_foreach)
    return found


def _undeclared(dvc: DvcProject, stage: Any, path: str) -> UndeclaredDep:
    entry = posixpath.relpath(path, dvc.relative(str(stage.wdir)))
    return UndeclaredDep(
        stage=dvc.address(stage),
        path=path,
        file=dvc.relative(stage.path),
        name=stage.name.partition("@")[0],  # foreach and matrix have it once
        entry=as_yaml(entry),
        is_foreach=dvc.is_foreach(dvc.relative(stage.path), stage.name.partition("@")[0]),
    )


def _is_input(dvc: DvcProject, path: str) -> bool:
    """Whether a file can be a dep: parameters have their own place in dvc.yaml, and the files of tools have none."""
    name = PurePosixPath(path).name
    if name in OF_TOOLS or name.endswith(".dvc") or path in dvc.params_files or imported_modules.is_ours(path):
        return False
    return name != "__init__.py" or imported_modules.has_code(dvc.read(path) or b"")


def _is_beneath(path: str, declared: set[str]) -> bool:
    return path in declared or any(str(parent) in declared for parent in PurePosixPath(path).parents)


def _in_few_words(paths: set[str], declared: set[str]) -> set[str]:
    """`paths`, and for much data of one folder the folder; DVC allows none around what dvc.yaml names already.

    A folder of modules would change with each bytecode that Python writes there.
    """
    held = Counter(posixpath.dirname(path) for path in paths if not path.endswith(".py"))
    many = {folder for folder, count in held.items() if folder and count > FEW}
    many -= {folder for folder in many if any(_is_beneath(path, {folder}) for path in declared)}
    return many | {path for path in paths if path.endswith(".py") or posixpath.dirname(path) not in many}


def _ignored_by_git(dvc: DvcProject, paths: list[str]) -> set[str]:
    """Those of `paths` that git ignores and DVC doesn't keep."""
    if not paths or dvc.rev:
        return set()
    told = git.output_or_none(dvc.root, "check-ignore", "--stdin", "-z", stdin="\0".join(paths))
    return {path for path in (told or "").split("\0") if path not in dvc.outs}
