"""The command that restores an unreadable file: from a side of a merge, from HEAD, or from an earlier commit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from dvc_wandb.project import git
from dvc_wandb.project.git import merges


def command_for_workspace(path: Path, is_readable: Callable[[str], bool]) -> str:
    """The command that makes the file at `path` readable again, for the current folder."""
    name = git.pathspec(os.path.relpath(path))
    for side, stage in (("--theirs", merges.THEIRS), ("--ours", merges.OURS)):
        if _is_readable_at(path, f":{stage}", is_readable) and merges.unmerged(path.parent, [path.name]):
            return f"git checkout {side} -- {name}"
    if _is_readable_at(path, "HEAD", is_readable):
        return f"git checkout HEAD -- {name}"
    return command_for_commit(path, is_readable) if _commits(path) else f"rm -- {shlex.quote(os.path.relpath(path))}"


def command_for_commit(path: Path, is_readable: Callable[[str], bool]) -> str:
    """The command that commits the file as it was in the last commit where it could be read."""
    name = git.pathspec(os.path.relpath(path))
    good = next((commit for commit in _commits(path) if _is_readable_at(path, commit, is_readable)), None)
    back = f"git checkout {good[:10]} -- {name}" if good else f"git rm --quiet --force -- {name}"
    return f"{back} && git commit --message {shlex.quote(f'Restore {path.name}')}"


def _commits(path: Path) -> list[str]:
    """The commits of this branch that changed the file, latest first."""
    arguments = ("log", "--first-parent", "--format=%H", "--", f"./{path.name}")
    return (git.output_or_none(path.parent, *arguments) or "").splitlines()


def _is_readable_at(path: Path, commit: str, is_readable: Callable[[str], bool]) -> bool:
    content = git.file_at(path.parent, commit, path.name)
    return content is not None and is_readable(content.decode(errors="replace"))
