"""A merge that git could not finish, and the commands that take one side of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dvc_wandb.project.git import commands as git

BASE, OURS, THEIRS = "1", "2", "3"  # git's stages of an unmerged path


def unmerged(root: Path, paths: Iterable[str] = (".",)) -> dict[str, set[str]]:
    """The paths that git has not merged, each with the stages that it has of them."""
    listed = git.output_or_none(root, "--literal-pathspecs", "ls-files", "--unmerged", "-z", "--", *paths) or ""
    stages: dict[str, set[str]] = {}
    for facts, _, path in (entry.partition("\t") for entry in listed.split("\0") if entry):
        stages.setdefault(path, set()).add(facts.split()[2])
    return stages


def how_to_settle(root: Path) -> str:
    """A sentence on the commands, for the current folder, that take one side of all unmerged paths; "" without any.

    A rebase calls what one has made oneself theirs. `git checkout` refuses paths that a side has deleted. Without a
    `dvc checkout`, `dvc repro` would write the bytes of the workspace into a .dvc file of the other side.
    """
    stages = unmerged(root)
    both = [os.path.relpath(root / path) for path, has in sorted(stages.items()) if {OURS, THEIRS} <= has]
    if not both:
        return ""
    names = " ".join(map(git.pathspec, both))
    return (
        f" git has not merged {', '.join(both)}: `git checkout --ours -- {names}` takes the side that was checked out, "
        "with `--theirs` the one that was to be merged; then `dvc checkout`, `dvc repro --all-pipelines`, `git add` "
        "and `git commit`."
    )
